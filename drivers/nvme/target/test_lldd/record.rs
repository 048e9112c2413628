// SPDX-License-Identifier: GPL-2.0

//! What the transport has done with a command, and whether it may.

use kernel::{
    fmt,
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::order::{
    Kind,
    Kinds, //
};

/// Whether the transport has taken the command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Received {
    /// `nvmet_fc_rcv_fcp_req()` has not returned.
    Not,
    /// It has returned this.
    Returned(i32),
}

/// Something that the transport has asked for and the LLDD has not completed.
#[derive(Clone, Copy)]
struct Outstanding {
    kind: Kind,
    /// When it is completed by itself.
    due: Option<Instant<Monotonic>>,
}

/// What became of the response.
#[derive(Clone, Copy, Default)]
pub(crate) struct Response {
    /// Status of the NVMe command.
    pub(crate) status: u16,
    /// Its result.
    pub(crate) result: u64,
    /// Number of the command that it is said to be of; none if the response does not say.
    pub(crate) command: Option<u16>,
}

/// All that is known of a command.
pub(crate) struct Record {
    /// Number in the NVMe command.
    number: u16,
    hold: Kinds,
    late: Option<u32>,
    refuse: Kinds,
    received: Received,
    defer_rcv: u32,
    released: u32,
    aborted: u32,
    operations: u32,
    outstanding: Option<Outstanding>,
    response: Option<Response>,
    faults: u32,
    /// The first of them.
    fault: &'static str,
}

/// Whether it is now, or was.
fn is_past(due: Instant<Monotonic>) -> bool {
    due - Instant::now() <= Delta::ZERO
}

/// What is done about an operation.
pub(crate) enum Asked {
    /// Refuse it.
    Refuse,
    /// Complete it as soon as may be.
    Now,
    /// Complete it later.
    Later,
}

impl Record {
    /// Of a command that was not handed over yet.
    pub(crate) fn new(number: u16, hold: Kinds, late: Option<u32>, refuse: Kinds) -> Self {
        Self {
            number,
            hold,
            late,
            refuse,
            received: Received::Not,
            defer_rcv: 0,
            released: 0,
            aborted: 0,
            operations: 0,
            outstanding: None,
            response: None,
            faults: 0,
            fault: "",
        }
    }

    fn fault(&mut self, what: &'static str) {
        if self.faults == 0 {
            self.fault = what;
        }
        self.faults += 1;
    }

    /// `nvmet_fc_rcv_fcp_req()` has returned. True: the buffer of the command IU may be reused.
    pub(crate) fn returned(&mut self, value: i32) -> bool {
        self.received = Received::Returned(value);
        let accepted = value == 0 || value == EOVERFLOW.to_errno();
        let given_back = self.released + self.operations + self.aborted;
        if !accepted && (given_back != 0 || self.defer_rcv != 0) {
            self.fault("refused, but used");
        }
        if value == 0 && self.defer_rcv != 0 {
            self.fault("defer_rcv, but not deferred");
        }
        let deferred = value == EOVERFLOW.to_errno();
        if deferred && self.defer_rcv == 0 && self.released + self.operations != 0 {
            self.fault("used before defer_rcv");
        }
        !deferred
    }

    /// Called back. True: the buffer may be reused.
    pub(crate) fn defer_rcv(&mut self) -> bool {
        self.defer_rcv += 1;
        match self.received {
            Received::Returned(value) if value != EOVERFLOW.to_errno() => {
                self.fault("defer_rcv, but not deferred");
            }
            _ if self.defer_rcv > 1 => self.fault("defer_rcv twice"),
            _ if self.released != 0 => self.fault("defer_rcv after release"),
            _ => return true,
        }
        false
    }

    /// Called back to do something.
    pub(crate) fn ask(&mut self, kind: Kind, response: Option<Response>, flows: bool) -> Asked {
        self.operations += 1;
        self.check_own("operation after release", "operation of a refused command");
        if self.outstanding.is_some() {
            self.fault("two operations at a time");
        }
        if self.received == Received::Returned(EOVERFLOW.to_errno()) && self.defer_rcv == 0 {
            self.fault("operation before defer_rcv");
        }
        if let Some(response) = response {
            if response
                .command
                .is_some_and(|command| command != self.number)
            {
                self.fault("response to another command");
            }
            if self.response.is_some() {
                self.fault("two responses");
            }
            self.response = Some(response);
        }
        if self.refuse.has(kind) {
            return Asked::Refuse;
        }
        let held = self.hold.has(kind) && !flows;
        let due = match self.late {
            _ if !held => Some(Instant::now()),
            Some(msecs) => Some(Instant::now() + Delta::from_millis(msecs.into())),
            None => None,
        };
        self.outstanding = Some(Outstanding { kind, due });
        if held {
            Asked::Later
        } else {
            Asked::Now
        }
    }

    /// Called back to abort the exchange. True: something is completed for that.
    pub(crate) fn abort(&mut self, silent: bool) -> bool {
        self.aborted += 1;
        if self.aborted > 1 {
            self.fault("fcp_abort twice");
        }
        self.check_own("fcp_abort after release", "fcp_abort of a refused command");
        match &mut self.outstanding {
            // A response is on its way, and is completed when it is.
            Some(outstanding) if outstanding.kind == Kind::Write && !silent => {
                outstanding.due = Some(Instant::now());
                true
            }
            _ => false,
        }
    }

    /// Called back to take the exchange back.
    pub(crate) fn release(&mut self) {
        self.check_own("release twice", "release of a refused command");
        self.released += 1;
        if self.outstanding.is_some() {
            self.fault("release during an operation");
        }
        if self.received == Received::Returned(EOVERFLOW.to_errno()) && self.defer_rcv == 0 {
            self.fault("release before defer_rcv");
        }
    }

    fn check_own(&mut self, after_release: &'static str, refused: &'static str) {
        if self.released != 0 {
            self.fault(after_release);
        }
        if let Received::Returned(value) = self.received {
            if value != 0 && value != EOVERFLOW.to_errno() {
                self.fault(refused);
            }
        }
    }

    /// Takes what is to be completed: whatever it is, or only if it is due. It is completed with an
    /// error if the transport has aborted the exchange.
    pub(crate) fn take(&mut self, only_due: bool) -> Option<(Kind, bool)> {
        let Outstanding { kind, due } = self.outstanding?;
        if only_due && !due.is_some_and(is_past) {
            return None;
        }
        self.outstanding = None;
        Some((kind, self.aborted != 0))
    }

    /// Milliseconds until something is due.
    pub(crate) fn wait(&self) -> Option<u32> {
        let due = self.outstanding?.due?;
        let left = (due - Instant::now()).as_millis_ceil();
        Some(u32::try_from(left.max(0)).unwrap_or(u32::MAX))
    }

    /// Nothing is held any more. True: something was.
    pub(crate) fn flow(&mut self) -> bool {
        self.hold = Kinds::default();
        match &mut self.outstanding {
            Some(outstanding) => {
                outstanding.due = Some(Instant::now());
                true
            }
            None => false,
        }
    }

    /// Whether the transport has the command.
    pub(crate) fn is_out(&self) -> bool {
        match self.received {
            Received::Not => true,
            Received::Returned(value) => {
                (value == 0 || value == EOVERFLOW.to_errno()) && self.released == 0
            }
        }
    }

    /// Whether the LLDD has something to complete.
    pub(crate) fn is_asked(&self) -> bool {
        self.outstanding.is_some()
    }

    /// How often the transport has done what it must not.
    pub(crate) fn faults(&self) -> u32 {
        self.faults
    }
}

impl Record {
    /// For people, and for programs: words with values, in one line.
    pub(crate) fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.received {
            Received::Not => write!(out, "rcv=?")?,
            Received::Returned(value) => write!(out, "rcv={value}")?,
        }
        let waits = self.outstanding.map_or("-", |waits| waits.kind.name());
        write!(
            out,
            " defer_rcv={} release={} fcp_abort={} ops={} op={waits}",
            self.defer_rcv, self.released, self.aborted, self.operations
        )?;
        match self.response {
            None => write!(out, " status=- result=-")?,
            Some(response) => write!(
                out,
                " status={:#x} result={:#x}",
                response.status, response.result
            )?,
        }
        write!(out, " faults={} fault=", self.faults)?;
        if self.fault.is_empty() {
            return write!(out, "-");
        }
        for (number, word) in self.fault.split(' ').enumerate() {
            let gap = if number > 0 { "_" } else { "" };
            write!(out, "{gap}{word}")?;
        }
        Ok(())
    }
}
