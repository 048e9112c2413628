// SPDX-License-Identifier: GPL-2.0
//! The control protocol: one request a line, one line `ok ...` or `error ...` in answer.

use std::str::FromStr;

use crate::engine::OnTmr;
use crate::hold::{parse_number, Spec};
use crate::ring::Response;
use crate::scsi::sense::Sense;

/// Which held commands a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this id.
    Id(u16),
    /// All, oldest first.
    All,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `hold SPEC`: keep commands back from now on.
    Hold(Spec),
    /// `unhold`: remove all hold and sense rules; held commands stay held.
    Unhold,
    /// `held`: list the ids of held commands, oldest first.
    Held,
    /// `release ID|all`: execute held commands and complete them.
    Release(Which),
    /// `cancel ID|all`: complete held commands with TASK ABORTED.
    Cancel(Which),
    /// `complete ID STATUS [read-len=N] [sense=KEY/ASC/ASCQ] [unknown-op] [keep-buf]`: complete a held
    /// command with exactly this response and without touching its data.
    Complete(u16, Response),
    /// `on-tmr cancel|ignore`: what becomes of held commands that task management names from now on.
    OnTmr(OnTmr),
    /// `pause`: read nothing from the ring.
    Pause,
    /// `resume`: read the ring again.
    Resume,
    /// `stats`: counters.
    Stats,
    /// `sense KEY ASC ASCQ [SELECTOR[,lba=FIRST[-LAST]][,count=N]]`: answer the next matching commands with
    /// CHECK CONDITION. Without a selector all, without a count one.
    Sense(Sense, Spec),
    /// `quit`: end the daemon.
    Quit,
}

impl FromStr for Request {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        match *words.as_slice() {
            ["hold", spec] => Ok(Self::Hold(spec.parse()?)),
            ["unhold"] => Ok(Self::Unhold),
            ["held"] => Ok(Self::Held),
            ["release", which] => Ok(Self::Release(parse_which(which)?)),
            ["cancel", which] => Ok(Self::Cancel(parse_which(which)?)),
            ["complete", id, status, ref options @ ..] => Ok(Self::Complete(
                parse("id", id)?,
                parse_response(status, options)?,
            )),
            ["on-tmr", "cancel"] => Ok(Self::OnTmr(OnTmr::Cancel)),
            ["on-tmr", "ignore"] => Ok(Self::OnTmr(OnTmr::Ignore)),
            ["pause"] => Ok(Self::Pause),
            ["resume"] => Ok(Self::Resume),
            ["stats"] => Ok(Self::Stats),
            ["sense", key, asc, ascq] => Ok(Self::Sense(
                parse_sense(key, asc, ascq)?,
                "all,count=1".parse()?,
            )),
            ["sense", key, asc, ascq, spec] => {
                let sense = parse_sense(key, asc, ascq)?;
                let mut spec: Spec = spec.parse()?;
                if spec.delay_ms.is_some() {
                    return Err("sense takes no delay".into());
                }
                spec.count = spec.count.or(Some(1));
                Ok(Self::Sense(sense, spec))
            }
            ["quit"] => Ok(Self::Quit),
            [] => Err("empty request".into()),
            _ => Err(format!("bad request {line:?}")),
        }
    }
}

fn parse<T: TryFrom<u64>>(what: &str, text: &str) -> Result<T, String> {
    parse_number(text)
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("bad {what} {text:?}"))
}

fn parse_which(text: &str) -> Result<Which, String> {
    match text {
        "all" => Ok(Which::All),
        id => parse("id", id).map(Which::Id),
    }
}

fn parse_sense(key: &str, asc: &str, ascq: &str) -> Result<Sense, String> {
    let key = parse("sense key", key)?;
    if key > 15 {
        return Err(format!("bad sense key {key}"));
    }
    Ok(Sense {
        key,
        asc: parse("ASC", asc)?,
        ascq: parse("ASCQ", ascq)?,
    })
}

fn parse_response(status: &str, options: &[&str]) -> Result<Response, String> {
    let mut response = Response::status(parse("status", status)?);
    for option in options {
        match option.split_once('=') {
            None if *option == "unknown-op" => response.unknown_op = true,
            None if *option == "keep-buf" => response.keep_buf = true,
            Some(("read-len", len)) => response.read_len = Some(parse("length", len)?),
            Some(("sense", sense)) => {
                let parts: Vec<_> = sense.split('/').collect();
                let [key, asc, ascq] = *parts.as_slice() else {
                    return Err(format!("bad sense {sense:?}"));
                };
                response.sense = parse_sense(key, asc, ascq)?.bytes(false);
            }
            _ => return Err(format!("bad option {option:?}")),
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed() {
        let sense = |key, asc, ascq| Sense { key, asc, ascq };
        let ok = |request| Ok::<_, String>(request);
        assert_eq!(
            "hold read,count=1".parse(),
            ok(Request::Hold("read,count=1".parse().unwrap()))
        );
        assert_eq!(" release  7 ".parse(), ok(Request::Release(Which::Id(7))));
        assert_eq!("cancel all".parse(), ok(Request::Cancel(Which::All)));
        assert_eq!(
            "complete 3 0x18".parse(),
            ok(Request::Complete(3, Response::status(0x18)))
        );
        let response = Response {
            sense: sense(4, 0x44, 0).bytes(false),
            read_len: Some(512),
            unknown_op: true,
            keep_buf: true,
            ..Response::status(2)
        };
        assert_eq!(
            "complete 65535 2 sense=4/0x44/0 read-len=512 unknown-op keep-buf".parse(),
            ok(Request::Complete(65535, response))
        );
        assert_eq!(
            "sense 3 0x11 0 opcode=0x28,count=2".parse(),
            ok(Request::Sense(
                sense(3, 0x11, 0),
                "opcode=0x28,count=2".parse().unwrap()
            ))
        );
        assert_eq!(
            "sense 6 0x29 0".parse(),
            ok(Request::Sense(
                sense(6, 0x29, 0),
                "all,count=1".parse().unwrap()
            ))
        );
        for (line, request) in [
            ("unhold", Request::Unhold),
            ("held", Request::Held),
            ("on-tmr cancel", Request::OnTmr(OnTmr::Cancel)),
            ("on-tmr ignore", Request::OnTmr(OnTmr::Ignore)),
            ("pause", Request::Pause),
            ("resume", Request::Resume),
            ("stats", Request::Stats),
            ("quit", Request::Quit),
        ] {
            assert_eq!(line.parse(), ok(request));
        }
    }

    #[test]
    fn bad_requests_are_refused() {
        for bad in [
            "",
            "   ",
            "hold",
            "hold x",
            "hold read extra",
            "release",
            "release -1",
            "release 65536",
            "cancel x",
            "complete 1",
            "complete 1 256",
            "complete x 0",
            "complete 1 2 sense=1/2",
            "complete 1 2 sense=16/0/0",
            "complete 1 2 what",
            "complete 1 2 read-len=-1",
            "sense 1 2",
            "sense 16 0 0",
            "sense 3 256 0",
            "sense 3 1 1 read,delay=5",
            "on-tmr",
            "on-tmr maybe",
            "pause now",
            "QUIT",
            "held\0",
        ] {
            assert!(bad.parse::<Request>().is_err(), "{bad:?}");
        }
    }
}
