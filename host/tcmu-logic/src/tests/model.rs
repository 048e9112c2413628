// SPDX-License-Identifier: GPL-2.0

//! The reference: what the engine has to do, in terms of commands, without its data structures.
//!
//! Each operation of the engine has a counterpart here, which is told what the engine put on the
//! ring, and says which answers LIO must have got. The properties P2 to P7 are assertions here.

use super::command::{Reply, Request, Token};
use super::host::TestHost;
use super::space::{Plan, Space};
use super::user::{Entry, Held, Kind, Response, Run};
use crate::logic::engine::Config;
use crate::logic::ops::Direction;
use crate::logic::ring::Broken;
use std::collections::VecDeque;

/// Where a command is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// LIO has it.
    Gone,
    Qfull,
    InFlight(u16),
    /// Timed out, and still on the ring.
    TimedOut(u16),
    /// Completed, with its buffer left to user space.
    Kept(u16),
}

/// A command.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) request: Request,
    pub(crate) place: Place,
    /// When its time is over, in seconds.
    pub(crate) deadline: Option<u64>,
    /// Blocks of its buffers.
    pub(crate) blocks: Vec<u32>,
}

/// A notification that has been announced but is not on the ring.
#[derive(Debug)]
pub(crate) struct Tmr {
    pub(crate) kind: u8,
    pub(crate) ids: Vec<u16>,
}

/// What the engine has done in an operation.
pub(crate) struct Observed {
    /// New entries of the ring.
    pub(crate) entries: VecDeque<Entry>,
    /// Answers to LIO.
    pub(crate) answers: Vec<(Token, Reply)>,
    /// Whether it was refused memory.
    pub(crate) refused: bool,
}

/// State of the reference.
pub(crate) struct Model {
    pub(crate) space: Space,
    pub(crate) commands: Vec<Known>,
    pub(crate) waiting: VecDeque<Token>,
    pub(crate) in_flight: VecDeque<Token>,
    pub(crate) pending: VecDeque<Tmr>,
    pub(crate) announced: u64,
    pub(crate) on_ring: u64,
    pub(crate) dropped: u64,
    pub(crate) blocked: bool,
    pub(crate) broken: Option<Broken>,
    /// A lack of memory has stopped the queue of waiting commands.
    pub(crate) starved: bool,
    /// The answers of the current operation.
    answers: Vec<(Token, Reply)>,
}

impl Model {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            space: Space::new(config),
            commands: Vec::new(),
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            pending: VecDeque::new(),
            announced: 0,
            on_ring: 0,
            dropped: 0,
            blocked: false,
            broken: None,
            starved: false,
            answers: Vec::new(),
        }
    }

    /// The answers that LIO must have got in the current operation, in order.
    pub(crate) fn take_answers(&mut self) -> Vec<(Token, Reply)> {
        std::mem::take(&mut self.answers)
    }

    /// Notes a command that LIO hands over.
    pub(crate) fn add(&mut self, request: Request) {
        self.commands.push(Known {
            request,
            place: Place::Gone,
            deadline: None,
            blocks: Vec::new(),
        });
    }

    fn answer(&mut self, token: Token, reply: Reply) {
        self.commands[token].deadline = None;
        self.answers.push((token, reply));
    }

    /// Lets a command wait.
    pub(crate) fn wait(&mut self, token: Token, deadline: u64) {
        self.commands[token].place = Place::Qfull;
        self.commands[token].deadline = Some(deadline);
        self.waiting.push_back(token);
    }

    fn end_wait(&mut self, token: Token, reply: Reply) {
        self.waiting.retain(|&waiting| waiting != token);
        self.commands[token].place = Place::Gone;
        self.answer(token, reply);
    }

    /// Takes a command off the ring's books that has been answered.
    fn free(&mut self, token: Token) {
        let command = &mut self.commands[token];
        command.place = Place::Gone;
        self.space.free(&std::mem::take(&mut command.blocks));
    }

    /// The command that has `id`, if it is on the ring or kept.
    pub(crate) fn find(&self, id: u16) -> Option<Token> {
        self.commands.iter().position(|command| {
            let (Place::InFlight(own) | Place::TimedOut(own) | Place::Kept(own)) = command.place
            else {
                return false;
            };
            own == id
        })
    }

    /// What `token` would get on the ring.
    pub(crate) fn plan(&self, token: Token) -> Plan {
        self.space.plan(&self.commands[token].request)
    }

    /// `token` must have been put on the ring as planned: P3, P4, P5.
    pub(crate) fn start(
        &mut self,
        host: &TestHost,
        token: Token,
        deadline: Option<u64>,
        aborted: bool,
        observed: &mut Observed,
    ) {
        let Plan::Fits(plan) = self.plan(token) else {
            panic!("command {token} does not fit");
        };
        assert!(!aborted, "P5: aborted command {token} is on the ring");
        assert!(
            self.pending.is_empty(),
            "P3: command {token} comes before a notification"
        );
        self.expect_pad(plan.offset, observed);
        let entry = observed.entries.pop_front();
        let Some(Entry {
            offset,
            length,
            kind: Kind::Command(held),
        }) = entry
        else {
            panic!("command {token} is not on the ring: {entry:?}");
        };
        assert_eq!((offset, length), (plan.offset, plan.length));
        let Held {
            id,
            token: held_token,
            cdb,
            data,
            bidi,
        } = held;
        assert_eq!(held_token, token, "commands start in order");
        assert_eq!((&data, &bidi), (&plan.data, &plan.bidi), "command {token}");
        assert_eq!(self.find(id), None, "id {id} is in use");
        assert!(
            !self.pending.iter().any(|tmr| tmr.ids.contains(&id)),
            "P4: id {id} is listed"
        );
        let request = &self.commands[token].request;
        let (text, padding) = cdb.split_at(request.cdb.len());
        assert_eq!(text, request.cdb);
        assert!(padding.len() < 8 && padding.iter().all(|&byte| byte == 0));
        if request.has_data_out() {
            let bytes = bytes(host, &data);
            assert_eq!(bytes.len(), request.data_length as usize);
            assert!((0..)
                .zip(bytes)
                .all(|(at, byte)| byte == request.out_byte(at)));
        }
        self.space.commit(offset, length, true);
        self.space.take(&plan.blocks);
        let command = &mut self.commands[token];
        command.place = Place::InFlight(id);
        command.deadline = deadline;
        command.blocks = plan.blocks;
        self.in_flight.push_back(token);
    }

    fn expect_pad(&mut self, offset: u32, observed: &mut Observed) {
        if offset == self.space.head {
            return;
        }
        assert_eq!(
            observed.entries.pop_front(),
            Some(Entry {
                offset: self.space.head,
                length: self.space.size - self.space.head,
                kind: Kind::Pad,
            })
        );
        let length = self.space.size - self.space.head;
        self.space.commit(self.space.head, length, false);
    }

    /// Notifications must have been put on the ring in order, as many as fit: P2.
    pub(crate) fn run_tmrs(&mut self, observed: &mut Observed) -> bool {
        while let Some(tmr) = self.pending.front() {
            let length = (32 + 2 * tmr.ids.len() as u32).div_ceil(8) * 8;
            let Some(offset) = self.space.place(length) else {
                return false;
            };
            let kind = Kind::Tmr {
                kind: tmr.kind,
                ids: tmr.ids.clone(),
            };
            self.expect_pad(offset, observed);
            let property = if observed.refused { "P8" } else { "P2" };
            assert_eq!(
                observed.entries.pop_front(),
                Some(Entry {
                    offset,
                    length,
                    kind
                }),
                "{property}: a notification is not on the ring as it must be"
            );
            self.space.commit(offset, length, false);
            self.pending.pop_front();
            self.on_ring += 1;
        }
        true
    }

    /// Waiting commands must have been started in order, as many as fit.
    pub(crate) fn run_qfull(
        &mut self,
        host: &TestHost,
        deadline: Option<u64>,
        observed: &mut Observed,
    ) {
        if self.broken.is_some() || !self.run_tmrs(observed) {
            return;
        }
        self.starved = false;
        while let Some(&token) = self.waiting.front() {
            if host.ledger().borrow().is_aborted(token) {
                self.end_wait(token, Reply::TaskAborted);
                continue;
            }
            match self.plan(token) {
                Plan::NoSpace => break,
                Plan::Fits(_) if observed.refused && observed.entries.is_empty() => {
                    self.starved = true;
                    break;
                }
                Plan::Fits(_) => {
                    self.waiting.pop_front();
                    self.start(host, token, deadline, false, observed);
                }
                Plan::TooBig => {
                    let reply = (token, Reply::CheckCondition);
                    if observed.refused && !observed.answers.contains(&reply) {
                        self.starved = true;
                        break;
                    }
                    self.end_wait(token, Reply::CheckCondition);
                }
            }
        }
    }

    /// User space's completions must have been taken.
    pub(crate) fn reap(&mut self, host: &TestHost) -> Result<(), Broken> {
        let tail = host.mailbox_tail();
        if !self.space.is_boundary(tail) {
            return self.break_ring(Broken::Tail(tail));
        }
        while let Some((offset, is_command)) = self.space.oldest(tail) {
            if is_command {
                let response = Response::read(host, offset);
                let Some(token) = self.find(response.id) else {
                    return self.break_ring(Broken::UnknownId(response.id));
                };
                match self.commands[token].place {
                    Place::Kept(_) => return self.break_ring(Broken::KeptId(response.id)),
                    Place::InFlight(_) => {
                        self.in_flight.retain(|&other| other != token);
                        let reply = self.reply(host, token, &response);
                        self.answer(token, reply);
                    }
                    _ => {}
                }
                if response.keep_buf {
                    self.commands[token].place = Place::Kept(response.id);
                } else {
                    self.free(token);
                }
            }
            self.space.release_oldest();
        }
        Ok(())
    }

    fn break_ring(&mut self, broken: Broken) -> Result<(), Broken> {
        self.broken = Some(broken);
        Err(broken)
    }

    /// How LIO must be told what user space has said.
    fn reply(&self, host: &TestHost, token: Token, response: &Response) -> Reply {
        if response.unknown_op {
            return Reply::CheckCondition;
        }
        let Known {
            request, blocks, ..
        } = &self.commands[token];
        let is_read = request.direction == Direction::FromDevice;
        let read_length = (is_read && response.has_read_len && response.read_len > 0)
            .then_some(response.read_len.min(request.data_length));
        let sense = (response.status == 2).then(|| response.sense.clone());
        let data_blocks = request.data_length.div_ceil(self.space.block_size) as usize;
        let (data, bidi) = blocks.split_at(data_blocks);
        let data_in = if sense.is_some() && read_length.is_none() {
            None
        } else if let Some(length) = request.bidi_length {
            Some((bidi, length))
        } else if is_read {
            Some((data, read_length.unwrap_or(request.data_length)))
        } else {
            None
        };
        Reply::Response {
            status: response.status,
            sense,
            read_length,
            data_in: data_in.map(|(blocks, length)| {
                let bytes = blocks.iter().flat_map(|&block| host.block(block));
                bytes.copied().take(length as usize).collect()
            }),
        }
    }

    /// A task management function has aborted `aborted`: P5, P6.
    pub(crate) fn task_management(&mut self, kind: u8, aborted: &[Token], notify: bool) {
        let listed = notify && self.broken.is_none();
        self.announced += u64::from(notify);
        self.dropped += u64::from(notify && !listed);
        let mut ids = Vec::new();
        for &token in aborted {
            match self.commands[token].place {
                Place::Qfull => self.end_wait(token, Reply::TaskAborted),
                Place::InFlight(id) => ids.push(id),
                _ => {}
            }
        }
        if listed {
            let mut earlier: Vec<u16> = Vec::new();
            ids.retain(|&id| {
                let known =
                    earlier.contains(&id) || self.pending.iter().any(|tmr| tmr.ids.contains(&id));
                earlier.push(id);
                !known
            });
            self.pending.push_back(Tmr { kind, ids });
        }
    }

    /// Commands whose time is over must have been answered.
    pub(crate) fn check_timeouts(&mut self, now: u64) {
        let due = |command: &Known| command.deadline.is_some_and(|deadline| deadline <= now);
        for token in self.in_flight.clone() {
            if due(&self.commands[token]) {
                self.in_flight.retain(|&other| other != token);
                if let Place::InFlight(id) = self.commands[token].place {
                    self.commands[token].place = Place::TimedOut(id);
                }
                self.answer(token, Reply::CheckCondition);
            }
        }
        for token in self.waiting.clone() {
            if due(&self.commands[token]) {
                self.end_wait(token, Reply::TaskSetFull);
            }
        }
    }

    /// What waits must have been failed.
    pub(crate) fn fail_waiting(&mut self) {
        while let Some(&token) = self.waiting.front() {
            self.end_wait(token, Reply::Busy);
        }
    }

    /// The ring must have been emptied.
    pub(crate) fn reset(&mut self, reply: &Reply) {
        while let Some(token) = self.in_flight.pop_front() {
            self.answer(token, reply.clone());
            self.free(token);
        }
        for token in 0..self.commands.len() {
            if let Place::TimedOut(_) | Place::Kept(_) = self.commands[token].place {
                self.free(token);
            }
        }
        self.dropped += self.pending.len() as u64;
        self.pending.clear();
        self.space.reset();
        self.broken = None;
    }

    /// Ids of the kept commands.
    pub(crate) fn kept(&self) -> Vec<u16> {
        let kept = |command: &Known| match command.place {
            Place::Kept(id) => Some(id),
            _ => None,
        };
        self.commands.iter().filter_map(kept).collect()
    }

    /// A kept buffer must have been freed, if there is one with this id.
    pub(crate) fn free_kept(&mut self, id: u16) -> bool {
        let is_kept = self.kept().contains(&id);
        if let (true, Some(token)) = (is_kept, self.find(id)) {
            self.free(token);
        }
        is_kept
    }

    /// Commands that have not been answered.
    pub(crate) fn unanswered(&self) -> Vec<Token> {
        let mut tokens: Vec<Token> = self
            .waiting
            .iter()
            .chain(&self.in_flight)
            .copied()
            .collect();
        tokens.sort_unstable();
        tokens
    }
}

/// The bytes of the data area that `runs` describe.
fn bytes(host: &TestHost, runs: &[Run]) -> Vec<u8> {
    runs.iter()
        .flat_map(|&(offset, length)| offset..offset + length)
        .map(|at| host.data(at))
        .collect()
}
