// SPDX-License-Identifier: GPL-2.0

//! SCSI commands of the tests: each must be answered exactly once.

use crate::logic::ops::{
    Command,
    Completer,
    Completion,
    Direction, //
};
use crate::logic::sam::SamStatus;
use crate::logic::slots::SlotIndex;
use std::cell::RefCell;
use std::rc::Rc;

/// Number of a command, in the order in which they were made.
pub(crate) type Token = usize;

/// What a command asks for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) cdb: Vec<u8>,
    pub(crate) direction: Direction,
    pub(crate) data_length: u32,
    pub(crate) bidi_length: Option<u32>,
}

impl Request {
    /// A command whose CDB names `token`, so that user space can tell which one it has got.
    pub(crate) fn new(
        token: Token,
        cdb_length: usize,
        direction: Direction,
        data_length: u32,
        bidi_length: Option<u32>,
    ) -> Self {
        let mut cdb: Vec<u8> = (0..cdb_length).map(|byte| 0x80 | byte as u8).collect();
        cdb[1..5].copy_from_slice(&(token as u32).to_be_bytes());
        Self {
            cdb,
            direction,
            data_length,
            bidi_length,
        }
    }

    /// Byte `at` of the Data-Out buffer.
    pub(crate) fn out_byte(&self, at: usize) -> u8 {
        (usize::from(self.cdb[4]) * 31 + usize::from(self.cdb[3]) * 17 + at * 7 + 1) as u8
    }

    /// Whether there is a Data-Out buffer.
    pub(crate) fn has_data_out(&self) -> bool {
        self.direction == Direction::ToDevice || self.bidi_length.is_some()
    }
}

/// What LIO was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Busy,
    CheckCondition,
    TaskSetFull,
    TaskAborted,
    Response {
        status: u8,
        sense: Option<Vec<u8>>,
        read_length: Option<u32>,
        data_in: Option<Vec<u8>>,
    },
}

/// Who has a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The engine, or the test on the way to it.
    Engine,
    /// LIO again: it was refused.
    Refused,
    /// LIO again: it was answered.
    Answered,
}

struct Record {
    owner: Owner,
    aborted: bool,
    slot: Option<SlotIndex>,
    data_in: Option<Vec<u8>>,
}

/// LIO's view of all commands.
#[derive(Default)]
pub(crate) struct Ledger {
    records: Vec<Record>,
    answers: Vec<(Token, Reply)>,
    /// The test is over: commands may be dropped.
    closed: bool,
}

impl Ledger {
    /// Number of commands made.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Sets `CMD_T_ABORTED`.
    pub(crate) fn abort(&mut self, token: Token) {
        self.records[token].aborted = true;
    }

    /// Whether `CMD_T_ABORTED` is set.
    pub(crate) fn is_aborted(&self, token: Token) -> bool {
        self.records[token].aborted
    }

    /// The slot that the engine has told a command, which it has not answered.
    pub(crate) fn slot(&self, token: Token) -> Option<SlotIndex> {
        assert_eq!(self.records[token].owner, Owner::Engine);
        self.records[token].slot
    }

    /// Keeps what a command was given as Data-In.
    pub(crate) fn set_data_in(&mut self, token: Token, data: Vec<u8>) {
        let old = self.records[token].data_in.replace(data);
        assert!(old.is_none(), "command {token}: data was copied twice");
    }

    /// Takes the Data-In of a command.
    pub(crate) fn take_data_in(&mut self, token: Token) -> Option<Vec<u8>> {
        self.records[token].data_in.take()
    }

    /// Notes an answer.
    pub(crate) fn answer(&mut self, token: Token, reply: Reply) {
        let record = &mut self.records[token];
        assert_eq!(
            record.owner,
            Owner::Engine,
            "P7: command {token} was answered twice"
        );
        record.owner = Owner::Answered;
        self.answers.push((token, reply));
    }

    /// The answers since the last call.
    pub(crate) fn take_answers(&mut self) -> Vec<(Token, Reply)> {
        std::mem::take(&mut self.answers)
    }

    /// Allows the engine to be dropped with commands in it.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }
}

/// A command of LIO.
pub(crate) struct TestCommand {
    pub(crate) token: Token,
    pub(crate) request: Request,
    ledger: Rc<RefCell<Ledger>>,
}

impl TestCommand {
    /// Makes the command that has the ledger's next token.
    pub(crate) fn new(ledger: &Rc<RefCell<Ledger>>, request: Request, aborted: bool) -> Self {
        let token = ledger.borrow().len();
        ledger.borrow_mut().records.push(Record {
            owner: Owner::Engine,
            aborted,
            slot: None,
            data_in: None,
        });
        Self {
            token,
            request,
            ledger: ledger.clone(),
        }
    }

    /// Takes a command back that the engine has refused.
    pub(crate) fn take_back(self) {
        self.ledger.borrow_mut().records[self.token].owner = Owner::Refused;
    }
}

impl Drop for TestCommand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let ledger = self.ledger.borrow();
        assert!(
            ledger.closed || ledger.records[self.token].owner != Owner::Engine,
            "P7: command {} was dropped without an answer",
            self.token
        );
    }
}

impl Command for TestCommand {
    fn cdb(&self) -> &[u8] {
        &self.request.cdb
    }

    fn direction(&self) -> Direction {
        self.request.direction
    }

    fn data_length(&self) -> u32 {
        self.request.data_length
    }

    fn bidi_length(&self) -> Option<u32> {
        self.request.bidi_length
    }

    fn is_aborted(&self) -> bool {
        self.ledger.borrow().is_aborted(self.token)
    }

    fn set_slot(&mut self, slot: SlotIndex) {
        // The driver keeps the number in a field of LIO's command.
        let slot = SlotIndex::from_raw(slot.into_raw());
        self.ledger.borrow_mut().records[self.token].slot = Some(slot);
    }
}

/// LIO, which gets commands back.
pub(crate) struct TestCompleter {
    pub(crate) ledger: Rc<RefCell<Ledger>>,
}

impl Completer for TestCompleter {
    type Command = TestCommand;

    fn complete(&mut self, command: TestCommand, completion: Completion<'_>) {
        let mut ledger = self.ledger.borrow_mut();
        let reply = match completion {
            Completion::Status(SamStatus::Busy) => Reply::Busy,
            Completion::Status(SamStatus::CheckCondition) => Reply::CheckCondition,
            Completion::Status(SamStatus::TaskSetFull) => Reply::TaskSetFull,
            Completion::Status(SamStatus::TaskAborted) => Reply::TaskAborted,
            Completion::Response {
                status,
                sense,
                read_length,
            } => Reply::Response {
                status,
                sense: sense.map(|sense| sense.to_vec()),
                read_length,
                data_in: ledger.take_data_in(command.token),
            },
        };
        ledger.answer(command.token, reply);
    }
}
