// SPDX-License-Identifier: GPL-2.0

//! LOGICAL UNIT RESET, and the aborts of PREEMPT AND ABORT.

#![deny(unsafe_code)]

use core::ptr;

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    bindings,
    core::command::{
        Abort,
        AbortedCommands,
        Command,
        Session, //
    },
    core::device::{
        Device,
        Place,
        Registrations,
        Verdict, //
    },
    core::request::TmrRequest,
    core::trace, //
    log::ratelimited,
    logic::{
        self,
        Cause,
        Wait, //
    },
    submission,
};

/// A reset of a logical unit, or what PREEMPT AND ABORT makes of it.
pub(crate) struct Reset<'a> {
    device: &'a Device,
    /// The LUN_RESET request itself.
    request: Option<&'a TmrRequest>,
    /// The nexus that the LUN_RESET or the PREEMPT AND ABORT came from.
    nexus: Option<&'a Session>,
    /// The registrations that a PREEMPT AND ABORT removed. It reaches their commands alone.
    preempted: Option<&'a Registrations>,
    /// The PREEMPT AND ABORT command itself.
    command: Option<&'a Command>,
    cause: Cause,
    /// The TAS bit when the reset began.
    tas: bool,
}

impl<'a> Reset<'a> {
    /// Prepares a reset, with the parameters of `core_tmr_lun_reset()`.
    pub(crate) fn new(
        device: &'a Device,
        request: Option<&'a TmrRequest>,
        preempted: Option<&'a Registrations>,
        command: Option<&'a Command>,
    ) -> Self {
        Self {
            device,
            request,
            nexus: request
                .and_then(TmrRequest::command)
                .or(command)
                .and_then(Command::session),
            preempted,
            command,
            cause: match preempted {
                Some(_) => Cause::PreemptAndAbort,
                None => Cause::LunReset,
            },
            tas: device.task_aborted_status(),
        }
    }

    /// Carries the reset out (SAM-5 7.7; SPC-4 5.12.11.2.6).
    ///
    /// When it returns, no command that was in the task set before can reach the medium any more,
    /// as far as the reset reaches. C: `core_tmr_lun_reset()`.
    ///
    /// Everything is aborted before anything is waited for, so that the backend learns at once
    /// what it may cancel, and what may itself be waiting for the reset mutex is waited for when
    /// that is free again. `logic.rs` says why, and why commands come before requests.
    pub(crate) fn run(&self) {
        pin_init::stack_pin_init!(let commands = AbortedCommands::new());
        pin_init::stack_pin_init!(let ending = AbortedCommands::new());
        pin_init::stack_pin_init!(let later = AbortedCommands::new());

        if let Some(preempted) = self.preempted {
            preempted.keep_own();
        }
        submission::wait(self.device);
        let met = {
            let _one_at_a_time = self.device.reset_mutex().lock();

            self.device
                .for_each_request(|request| self.meet_request(request));
            for queue in self.device.queues() {
                let _ = queue.abort(
                    |command| self.judge(command),
                    |command, end| self.place(command, end, &commands, &ending),
                );
            }

            // Requests that come from now on find no command that was there before.
            let met = TmrRequest::next_number();

            self.device.notify(self.function(), &commands);

            self.wait_for_requests(met, Wait::WithMutex);
            ending.wait();
            while let Some(held) = commands.pop() {
                match self.time_for(held.command(), held.command().is_sent()) {
                    Wait::AfterMutex => later.push(held),
                    // `place()` leaves those that need not be waited for on their list: off it,
                    // nobody else would.
                    Wait::WithMutex | Wait::Never => {
                        held.show();
                        held.wait();
                    }
                }
            }
            met
        };
        self.wait_for_requests(met, Wait::AfterMutex);
        later.wait();

        if self.cause == Cause::LunReset && self.device.release_spc2_reservation() {
            pr_debug!("LUN_RESET: released the SPC-2 reservation\n");
        }
        self.device.resets().fetch_add(1, Relaxed);
        // The core answers a LUN_RESET so when this returns.
        let response = bindings::tcm_tmrsp_table_TMR_FUNCTION_COMPLETE;
        trace::done(self.device, self.function(), 0, response);
    }

    /// The task management function that the backend is told.
    fn function(&self) -> bindings::tcm_tmreq_table {
        match self.cause {
            Cause::LunReset => bindings::tcm_tmreq_table_TMR_LUN_RESET,
            Cause::PreemptAndAbort => bindings::tcm_tmreq_table_TMR_LUN_RESET_PRO,
        }
    }

    /// Whether the reset reaches what came with `command` from `session`.
    fn reaches(&self, command: &Command, session: &Session) -> bool {
        logic::reaches_nexus(self.cause, self.is_same_nexus(session))
            && self
                .preempted
                .is_none_or(|preempted| preempted.contains(command))
    }

    /// Whether `session` is the nexus that asked for the reset.
    fn is_same_nexus(&self, session: &Session) -> bool {
        self.nexus.is_some_and(|nexus| nexus.is(session))
    }

    /// The command of a task management request that the reset reaches, with its session.
    fn reached<'r>(&self, request: &'r TmrRequest) -> Option<(&'r Command, &'r Session)> {
        let itself = self.request.is_some_and(|own| ptr::eq(own, request));
        // A LUN_RESET would wait for the mutex that this one holds, and has the same effect.
        if itself || request.function() == bindings::tcm_tmreq_table_TMR_LUN_RESET {
            return None;
        }
        let found = request
            .command()
            .and_then(|command| Some((command, command.session()?)));
        if found.is_none() {
            ratelimited!(
                pr_err,
                "LUN_RESET: task management request without a command or session\n"
            );
        }
        found.filter(|(command, session)| self.reaches(command, session))
    }

    /// What a task management request comes to because of the reset.
    ///
    /// Of the nexus that sent the LUN_RESET it is aborted without an answer, as in C: an initiator
    /// that has given up on a request and sent the reset instead could take the late answer for that
    /// of the reset. Others are answered when they have been carried out: an initiator that gets
    /// another answer than FUNCTION COMPLETE for its ABORT_TASK would go on to a reset of its own.
    fn meet_request(&self, request: &TmrRequest) {
        let Some((command, session)) = self.reached(request) else {
            return;
        };
        if self.is_same_nexus(session) {
            command.abort(session, false);
        } else {
            request.overtake();
        }
    }

    /// Waits, one after the other, for the task management requests for which it is time `now`.
    ///
    /// Only for those with numbers below `met`: what comes later takes commands that come later.
    /// C waits for all of them in `core_tmr_drain_tmr_list()`.
    fn wait_for_requests(&self, met: u64, now: Wait) {
        let wanted = |request: &TmrRequest| {
            request.number() < met
                && logic::wait_for_request(self.cause, request.phase()) == now
                && self.reached(request).is_some()
        };
        while let Some(held) = self.device.find_request(wanted) {
            if let Some(request) = held.command().request() {
                request.wait();
            }
            // Its initiator may not have acknowledged the answer, and never do so.
            drop(held);
        }
    }

    /// What the reset does with a command of the task set. C: `core_tmr_drain_state_list()`.
    fn judge(&self, command: &Command) -> Verdict {
        let itself = self.command.is_some_and(|own| ptr::eq(own, command));
        if itself {
            return Verdict::Leave;
        }
        match command.session() {
            Some(session) if self.reaches(command, session) => {
                Verdict::Abort(logic::answers(self.is_same_nexus(session), self.tas))
            }
            _ => Verdict::Leave,
        }
    }

    /// When the reset waits for a command that it has aborted.
    fn time_for(&self, command: &Command, sent: bool) -> Wait {
        logic::wait_for_command(self.cause, command.kind(), sent)
    }

    /// Where a command goes that the reset has aborted, or found at its end.
    fn place<'l>(
        &self,
        command: &Command,
        end: Abort,
        commands: &'l AbortedCommands,
        ending: &'l AbortedCommands,
    ) -> Place<'l> {
        match end {
            Abort::Marked { sent } => match self.time_for(command, sent) {
                Wait::WithMutex | Wait::AfterMutex => Place::On(commands),
                Wait::Never => Place::Stay,
            },
            Abort::Ending => Place::On(ending),
            Abort::TooLate => Place::Stay,
        }
    }
}
