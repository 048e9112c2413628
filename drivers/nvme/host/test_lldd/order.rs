// SPDX-License-Identifier: GPL-2.0

//! What a test orders, one line at a time:
//!
//! ```text
//! local L register [TEMPLATE]         L, R: small numbers, of which the names are made
//! local L unregister
//! local L inside WHAT                 what the next localport_delete does itself
//! remote L R register [DEV_LOSS_TMO]
//! remote L R unregister
//! remote L R inside WHAT
//! remote L R dev-loss SECONDS
//! remote L R requests POLICY          what becomes of LS requests from now on
//! remote L R commands POLICY          what becomes of commands from now on
//! remote L R answer POLICY            what becomes of the LS requests that are held
//! remote L R receive ASSOCIATION      the target disconnects an association; 0 is none
//! remote L R disconnect               the same with the one that was created last
//! responses POLICY                    when the transport is told that a response was sent
//! sleep FUNCTION MS                   how long a function of the driver takes
//! null
//! reset
//! ```
//!
//! `null` unregisters what is no port. `reset` ends all that is held, unregisters all ports, and
//! waits for their callbacks; only then the module can be unloaded.

use core::str;

use kernel::prelude::*;

use crate::state::{
    Inside,
    Local,
    Policy,
    Remote,
    Sleeper,
    LOCALS,
    REMOTES, //
};

/// What is done with a local port.
pub(crate) enum LocalOrder {
    Register(TemplateKind),
    Unregister,
    Inside(Inside),
}

/// What is done with a remote port.
pub(crate) enum RemoteOrder {
    Register(u32),
    Unregister,
    Inside(Inside),
    DevLoss(u32),
    Requests(Policy),
    Commands(Policy),
    Answer(Policy),
    Receive(u64),
    Disconnect,
}

/// Functions and parameters that a port is registered with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TemplateKind {
    /// The usual ones.
    Usual,
    /// The same, in another place.
    Twin,
    /// More memory behind a local port.
    MoreLocal,
    /// More memory behind a remote port.
    MoreRemote,
    /// More memory behind a command.
    MoreCommand,
    /// Less memory behind everything.
    Less,
    /// As many queues as the controller likes, instead of one.
    MoreQueues,
    /// Without `ls_abort`.
    NoAbort,
    /// Without `remoteport_delete`.
    NoDelete,
    /// Without queues.
    NoQueues,
}

/// An order.
pub(crate) enum Order {
    Local(Local, LocalOrder),
    Remote(Remote, RemoteOrder),
    Responses(Policy),
    Sleep(Sleeper, u32),
    Null,
    Reset,
}

const TEMPLATES: [(&str, TemplateKind); 10] = [
    ("usual", TemplateKind::Usual),
    ("twin", TemplateKind::Twin),
    ("more-local", TemplateKind::MoreLocal),
    ("more-remote", TemplateKind::MoreRemote),
    ("more-command", TemplateKind::MoreCommand),
    ("less", TemplateKind::Less),
    ("more-queues", TemplateKind::MoreQueues),
    ("no-abort", TemplateKind::NoAbort),
    ("no-delete", TemplateKind::NoDelete),
    ("no-queues", TemplateKind::NoQueues),
];

const POLICIES: [(&str, Policy); 4] = [
    ("accept", Policy::Accept),
    ("hold", Policy::Hold),
    ("reject", Policy::Reject),
    ("fail", Policy::Fail),
];

const INSIDES: [(&str, Inside); 3] = [
    ("nothing", Inside::Nothing),
    ("register", Inside::Register),
    ("unregister", Inside::Unregister),
];

const SLEEPERS: [(&str, Sleeper); 4] = [
    ("ls_abort", Sleeper::LsAbort),
    ("xmt_ls_rsp", Sleeper::XmtLsRsp),
    ("remoteport_delete", Sleeper::RemoteportDelete),
    ("localport_delete", Sleeper::LocalportDelete),
];

/// The words of a line.
struct Words<'a>(str::SplitAsciiWhitespace<'a>);

impl<'a> Words<'a> {
    fn word(&mut self) -> Result<&'a str> {
        self.0.next().ok_or(EINVAL)
    }

    fn number<T: str::FromStr>(&mut self) -> Result<T> {
        self.word()?.parse().map_err(|_| EINVAL)
    }

    fn one_of<T: Copy>(&mut self, names: &[(&str, T)]) -> Result<T> {
        let word = self.word()?;
        let found = names.iter().find(|(name, _)| *name == word);
        found.map(|(_, value)| *value).ok_or(EINVAL)
    }

    fn local(&mut self) -> Result<Local> {
        let number = self.number()?;
        (number < LOCALS).then_some(Local(number)).ok_or(EINVAL)
    }

    fn remote(&mut self) -> Result<Remote> {
        let local = self.local()?;
        let number = self.number()?;
        let remote = Remote { local, number };
        (number < REMOTES).then_some(remote).ok_or(EINVAL)
    }

    /// What `read` makes of the rest, if there is one.
    fn rest<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.0.clone().next().is_none() {
            return Ok(None);
        }
        read(self).map(Some)
    }

    fn end(mut self) -> Result {
        self.0.next().map_or(Ok(()), |_| Err(EINVAL))
    }
}

impl Order {
    /// Reads a line. `EINVAL`: it is none of those above.
    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        let text = str::from_utf8(text).map_err(|_| EINVAL)?;
        let mut words = Words(text.split_ascii_whitespace());
        let order = match words.word()? {
            "local" => Self::Local(words.local()?, LocalOrder::parse(&mut words)?),
            "remote" => Self::Remote(words.remote()?, RemoteOrder::parse(&mut words)?),
            "responses" => Self::Responses(words.one_of(&POLICIES)?),
            "sleep" => Self::Sleep(words.one_of(&SLEEPERS)?, words.number()?),
            "null" => Self::Null,
            "reset" => Self::Reset,
            _ => return Err(EINVAL),
        };
        words.end()?;
        Ok(order)
    }
}

impl LocalOrder {
    fn parse(words: &mut Words<'_>) -> Result<Self> {
        Ok(match words.word()? {
            "register" => {
                let kind = words.rest(|words| words.one_of(&TEMPLATES))?;
                Self::Register(kind.unwrap_or(TemplateKind::Usual))
            }
            "unregister" => Self::Unregister,
            "inside" => Self::Inside(words.one_of(&INSIDES)?),
            _ => return Err(EINVAL),
        })
    }
}

impl RemoteOrder {
    fn parse(words: &mut Words<'_>) -> Result<Self> {
        Ok(match words.word()? {
            // The transport takes 0 for its default.
            "register" => Self::Register(words.rest(Words::number)?.unwrap_or(0)),
            "unregister" => Self::Unregister,
            "inside" => Self::Inside(words.one_of(&INSIDES)?),
            "dev-loss" => Self::DevLoss(words.number()?),
            "requests" => Self::Requests(words.one_of(&POLICIES)?),
            "commands" => Self::Commands(words.one_of(&POLICIES)?),
            "answer" => Self::Answer(words.one_of(&POLICIES)?),
            "receive" => Self::Receive(words.number()?),
            "disconnect" => Self::Disconnect,
            _ => return Err(EINVAL),
        })
    }
}
