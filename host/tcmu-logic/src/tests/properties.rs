// SPDX-License-Identifier: GPL-2.0

//! The properties P2 to P8 of `Documentation/target/tcmu-rust.rst`, as LIO and user space see them.
//!
//! Nothing here knows how the engine works: only what LIO hands over and announces, which entries
//! user space finds on the ring, and which answers LIO gets. Each violation names its property.

use super::command::{Reply, Token};
use super::user::{Entry, Held, Kind};
use crate::logic::engine::Counters;
use std::collections::VecDeque;
use std::fmt;

/// A property by its number in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    /// Each notification gets onto the ring once, in order; what discards it is counted.
    P2 = 2,
    /// Nothing else gets onto the ring while a notification waits.
    P3,
    /// A listed id is given to no command before its notification is on the ring.
    P4,
    /// User space never sees an aborted command that it has not got yet.
    P5,
    /// The list has exactly the aborted commands that user space works on, each once.
    P6,
    /// Each command is answered exactly once.
    P7,
    /// Lack of memory loses no notification.
    P8,
}

impl Property {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::P2,
        Self::P3,
        Self::P4,
        Self::P5,
        Self::P6,
        Self::P7,
        Self::P8,
    ];
}

impl fmt::Display for Property {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "P{}", *self as u8)
    }
}

/// Where a command of LIO is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The engine has it, user space has not seen it.
    Handed,
    /// User space works on it.
    OnRing(u16),
    /// LIO has it back.
    Gone,
}

struct Known {
    place: Place,
    aborted: bool,
}

/// A notification that has been announced and is not on the ring.
struct Announced {
    kind: u8,
    ids: Vec<u16>,
    /// Whether memory was refused when it was announced.
    starved: bool,
}

/// What is told of notifications, in numbers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    announced: u64,
    delivered: u64,
    dropped: u64,
}

/// What has been seen, and what of it must not be.
#[derive(Default)]
pub(crate) struct Properties {
    commands: Vec<Known>,
    waiting: VecDeque<Announced>,
    told: Told,
    /// Waiting commands that an announcement has named: due in the same step.
    due: Vec<Token>,
    violations: Vec<String>,
}

impl Properties {
    fn violated(&mut self, property: Property, what: impl fmt::Display) {
        self.violations.push(format!("{property}: {what}"));
    }

    /// LIO hands over its next command.
    pub(crate) fn submitted(&mut self, aborted: bool) {
        self.commands.push(Known {
            place: Place::Handed,
            aborted,
        });
    }

    /// The engine has refused a command.
    pub(crate) fn refused(&mut self, token: Token) {
        if self.commands[token].place != Place::Handed {
            self.violated(
                Property::P7,
                format_args!("command {token}, refused, is not only LIO's"),
            );
        }
        self.commands[token].place = Place::Gone;
        self.check();
    }

    /// LIO sets `CMD_T_ABORTED`.
    pub(crate) fn aborted(&mut self, token: Token) {
        self.commands[token].aborted = true;
    }

    /// LIO has announced a task management function that aborts `aborted`.
    pub(crate) fn announced(&mut self, kind: u8, aborted: &[Token], notify: bool, broken: bool) {
        self.due = aborted.to_vec();
        self.due
            .retain(|&token| self.commands[token].place == Place::Handed);
        if !notify {
            return;
        }
        self.told.announced += 1;
        if broken {
            self.told.dropped += 1;
            return;
        }
        let mut ids = Vec::new();
        for &token in aborted {
            if let Place::OnRing(id) = self.commands[token].place {
                let listed = self.waiting.iter().any(|tmr| tmr.ids.contains(&id));
                if !listed && !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
        self.waiting.push_back(Announced {
            kind,
            ids,
            starved: false,
        });
    }

    /// Memory was refused while the newest notification was announced.
    pub(crate) fn starved(&mut self) {
        if let Some(tmr) = self.waiting.back_mut() {
            tmr.starved = true;
        }
    }

    /// `reset_ring` was called: notifications that wait are discarded.
    pub(crate) fn reset(&mut self) {
        self.told.dropped += self.waiting.len() as u64;
        self.waiting.clear();
    }

    /// The engine has put `entries` on the ring and has given LIO `answers`.
    pub(crate) fn observed<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry>,
        answers: &[(Token, Reply)],
        counters: &Counters,
    ) {
        for entry in entries {
            match &entry.kind {
                Kind::Pad => {}
                Kind::Tmr { kind, ids } => self.notified(*kind, ids),
                Kind::Command(held) => self.started(held),
            }
        }
        for &(token, _) in answers {
            if self.commands[token].place == Place::Gone {
                self.violated(
                    Property::P7,
                    format_args!("command {token} is answered twice"),
                );
            }
            self.commands[token].place = Place::Gone;
        }
        for token in std::mem::take(&mut self.due) {
            if self.commands[token].place != Place::Gone {
                self.violated(
                    Property::P5,
                    format_args!("command {token}, aborted while it waited, is not answered"),
                );
            }
        }
        let told = Told {
            announced: counters.announced,
            delivered: counters.delivered,
            dropped: counters.dropped,
        };
        if told != self.told {
            let what = format!("{told:?} is told instead of {:?}", self.told);
            self.violated(Property::P2, what);
        }
        self.check();
    }

    /// A notification is on the ring.
    fn notified(&mut self, kind: u8, ids: &[u16]) {
        self.told.delivered += 1;
        let at = self.waiting.iter().position(|tmr| tmr.kind == kind);
        let Some(at) = at else {
            let what = format!("a notification of kind {kind} is on the ring once too often");
            return self.violated(Property::P2, what);
        };
        for tmr in self.waiting.drain(..at).collect::<Vec<_>>() {
            self.lost(&tmr);
        }
        if let Some(tmr) = self.waiting.pop_front() {
            let (mut expected, mut found) = (tmr.ids, ids.to_vec());
            expected.sort_unstable();
            found.sort_unstable();
            if expected != found {
                let what = format!("the ids {found:?} are listed instead of {expected:?}");
                self.violated(Property::P6, what);
            }
        }
    }

    /// A notification has not got onto the ring.
    fn lost(&mut self, tmr: &Announced) {
        let kind = tmr.kind;
        if tmr.starved {
            let what = format!("a notification of kind {kind} is lost for lack of memory");
            self.violated(Property::P8, what);
        } else {
            let what = format!("a notification of kind {kind} is lost, or overtaken by another");
            self.violated(Property::P2, what);
        }
    }

    /// A command is on the ring.
    fn started(&mut self, held: &Held) {
        let &Held { id, token, .. } = held;
        if !self.waiting.is_empty() {
            let what = format!("command {token} gets onto the ring while a notification waits");
            self.violated(Property::P3, what);
        }
        if self.waiting.iter().any(|tmr| tmr.ids.contains(&id)) {
            let what = format!("command {token} gets id {id}, which a waiting notification lists");
            self.violated(Property::P4, what);
        }
        if self.commands[token].aborted {
            self.violated(
                Property::P5,
                format_args!("aborted command {token} is on the ring"),
            );
        }
        if self.commands[token].place != Place::Handed {
            let what = format!("command {token} is on the ring though it was there or is LIO's");
            self.violated(Property::P7, what);
        }
        self.commands[token].place = Place::OnRing(id);
    }

    /// Everything has had the time to come to its end.
    pub(crate) fn finish(&mut self) {
        for tmr in std::mem::take(&mut self.waiting) {
            self.lost(&tmr);
        }
        for token in 0..self.commands.len() {
            if self.commands[token].place != Place::Gone {
                self.violated(
                    Property::P7,
                    format_args!("command {token} is never answered"),
                );
            }
        }
        self.check();
    }

    fn check(&mut self) {
        assert!(self.violations.is_empty(), "{}", self.violations.join("; "));
    }
}
