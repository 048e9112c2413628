// SPDX-License-Identifier: GPL-2.0

//! The text of orders: a word, perhaps a number, and `NAME=VALUE` in any order.

use core::str;

use kernel::prelude::*;

/// What is ordered.
pub(crate) enum Order<'a> {
    /// Registers the target port.
    Register(Register),
    /// Unregisters it.
    Unregister,
    /// Hands over a link service request.
    LinkService(LinkService<'a>),
    /// Hands over commands.
    Command(Command<'a>),
    /// Completes what the LLDD was asked to do for a command, with an error or none.
    Complete(u32, i32),
    /// Completes all that it was asked to do, for any command.
    CompleteAll,
    /// Hands over an ABTS for a command.
    Abort(u32),
    /// From now on nothing is held any more.
    Flow,
    /// Whether the LLDD does nothing when the transport aborts an exchange.
    Silent(bool),
    /// Holds up the receiver of commands for so many milliseconds, or no longer.
    Stall(u32),
    /// Forgets all commands and link services.
    Clear,
}

/// `register nn=HEX pn=HEX defer=0|1`
pub(crate) struct Register {
    pub(crate) node_name: u64,
    pub(crate) port_name: u64,
    /// Whether the LLDD keeps the buffers of commands that have to wait.
    pub(crate) defers: bool,
}

/// `ls ID data=HEX [length=N]`
pub(crate) struct LinkService<'a> {
    pub(crate) id: u32,
    pub(crate) data: Hex<'a>,
    /// As how long it is handed over.
    pub(crate) length: Option<u32>,
}

/// `command ID conn=HEX sqe=HEX [count=N] [dir=none|read|write] [size=N] [data=HEX]
/// [hold=KINDS] [late=MS] [refuse=KINDS] [bad=length|format|fc_id|iu_len]`
#[derive(Clone, Copy)]
pub(crate) struct Command<'a> {
    /// The number of the first of them.
    pub(crate) id: u32,
    /// How many there are, with numbers in turn, that are in the NVMe commands, too.
    pub(crate) count: u32,
    pub(crate) connection: u64,
    /// The flags of the command IU.
    pub(crate) flags: u8,
    /// Bytes of data.
    pub(crate) size: u32,
    /// The NVMe command.
    pub(crate) sqe: Hex<'a>,
    /// What the host sends as data.
    pub(crate) data: Hex<'a>,
    /// What is not completed at once.
    pub(crate) hold: Kinds,
    /// But after so many milliseconds; otherwise when that is ordered.
    pub(crate) late: Option<u32>,
    /// What the LLDD does not do.
    pub(crate) refuse: Kinds,
    pub(crate) bad: Bad,
}

/// What is wrong with a command IU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    Nothing,
    Length,
    Format,
    FcId,
    IuLength,
}

/// A kind of operation that the transport asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    ReadAndRespond,
    Respond,
}

impl Kind {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadAndRespond => "read_rsp",
            Self::Respond => "rsp",
        }
    }
}

/// Some of the kinds: `read`, `write`, `rsp`, with commas, or `none`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Kinds {
    read: bool,
    write: bool,
    respond: bool,
}

impl Kinds {
    fn parse(text: &str) -> Result<Self> {
        let mut kinds = Self::default();
        if text == "none" {
            return Ok(kinds);
        }
        for word in text.split(',') {
            match word {
                "read" => kinds.read = true,
                "write" => kinds.write = true,
                "rsp" => kinds.respond = true,
                _ => return Err(EINVAL),
            }
        }
        Ok(kinds)
    }

    /// Whether this kind is one of them.
    pub(crate) fn has(self, kind: Kind) -> bool {
        match kind {
            Kind::Read => self.read,
            Kind::Write => self.write,
            Kind::ReadAndRespond => self.read || self.respond,
            Kind::Respond => self.respond,
        }
    }
}

/// Bytes, two digits each.
#[derive(Clone, Copy)]
pub(crate) struct Hex<'a>(&'a [u8]);

impl<'a> Hex<'a> {
    const NONE: Self = Self(&[]);

    fn parse(text: &'a str) -> Result<Self> {
        let digits = text.as_bytes();
        if digits.len() % 2 != 0 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(EINVAL);
        }
        Ok(Self(digits))
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.0.len() / 2
    }

    /// All of them.
    pub(crate) fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
        self.0
            .chunks_exact(2)
            .map(move |pair| value(pair[0]) << 4 | value(pair[1]))
    }
}

/// The words of an order that are `NAME=VALUE`.
struct Values<'a>(&'a str);

impl<'a> Values<'a> {
    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .split_ascii_whitespace()
            .filter_map(|word| word.split_once('='))
    }

    /// `EINVAL`: a name is none of these, or comes twice.
    fn only(&self, names: &[&str]) -> Result {
        let words = self.0.split_ascii_whitespace().count();
        let known = names
            .iter()
            .filter(|name| self.find(name).is_some())
            .count();
        if known == words {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    fn find(&self, name: &str) -> Option<&'a str> {
        self.pairs().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    fn get(&self, name: &str) -> Result<&'a str> {
        self.find(name).ok_or(EINVAL)
    }

    fn number<T: str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.find(name)
            .map(|value| value.parse().map_err(|_| EINVAL))
            .transpose()
    }

    fn name(&self, name: &str) -> Result<u64> {
        u64::from_str_radix(self.get(name)?, 16).map_err(|_| EINVAL)
    }

    fn hex(&self, name: &str) -> Result<Hex<'a>> {
        self.find(name).map_or(Ok(Hex::NONE), Hex::parse)
    }

    fn kinds(&self, name: &str) -> Result<Kinds> {
        self.find(name).map_or(Ok(Kinds::default()), Kinds::parse)
    }
}

impl<'a> Order<'a> {
    /// Reads an order. `EINVAL`: it is none.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self> {
        let text = str::from_utf8(text).map_err(|_| EINVAL)?.trim_ascii();
        let (word, rest) = split(text);
        let (first, values) = match word {
            "ls" | "command" | "complete" | "abort" | "silent" | "stall" => split(rest),
            _ => ("0", rest),
        };
        let id = first.parse::<u32>().map_err(|_| EINVAL)?;
        let values = Values(values);
        let allowed: &[&str] = match word {
            "register" => &["nn", "pn", "defer"],
            "ls" => &["data", "length"],
            "command" => &[
                "conn", "count", "dir", "size", "sqe", "data", "hold", "late", "refuse", "bad",
            ],
            "complete" => &["error"],
            _ => &[],
        };
        values.only(allowed)?;
        Ok(match word {
            "register" => Self::Register(Register {
                node_name: values.name("nn")?,
                port_name: values.name("pn")?,
                defers: values.number::<u8>("defer")?.ok_or(EINVAL)? != 0,
            }),
            "unregister" => Self::Unregister,
            "ls" => Self::LinkService(LinkService {
                id,
                data: Hex::parse(values.get("data")?)?,
                length: values.number("length")?,
            }),
            "command" => Self::Command(command(id, &values)?),
            "complete" => Self::Complete(id, values.number("error")?.unwrap_or(0)),
            "complete_all" => Self::CompleteAll,
            "abort" => Self::Abort(id),
            "flow" => Self::Flow,
            "silent" => Self::Silent(id != 0),
            "stall" => Self::Stall(id),
            "clear" => Self::Clear,
            _ => return Err(EINVAL),
        })
    }
}

/// The first word, and what comes after it.
fn split(text: &str) -> (&str, &str) {
    text.split_once(' ')
        .map_or((text, ""), |(word, rest)| (word, rest.trim_ascii()))
}

fn command<'a>(id: u32, values: &Values<'a>) -> Result<Command<'a>> {
    const WRITE: u8 = 1;
    const READ: u8 = 2;

    Ok(Command {
        id,
        count: values.number("count")?.unwrap_or(1),
        connection: values.name("conn")?,
        flags: match values.find("dir") {
            None | Some("none") => 0,
            Some("write") => WRITE,
            Some("read") => READ,
            Some(_) => return Err(EINVAL),
        },
        size: values.number("size")?.unwrap_or(0),
        sqe: Hex::parse(values.get("sqe")?)?,
        data: values.hex("data")?,
        hold: values.kinds("hold")?,
        late: values.number("late")?,
        refuse: values.kinds("refuse")?,
        bad: match values.find("bad") {
            None => Bad::Nothing,
            Some("length") => Bad::Length,
            Some("format") => Bad::Format,
            Some("fc_id") => Bad::FcId,
            Some("iu_len") => Bad::IuLength,
            Some(_) => return Err(EINVAL),
        },
    })
}
