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
    log::ratelimited,
    policy::{
        self,
        Cause,
        Wait, //
    },
    submission,
    task::{
        AbortedCommands,
        Command,
        Session, //
    },
    tmr_device::{
        Device,
        Registrations,
        Verdict, //
    },
    tmr_request::{
        RequestList,
        TmrRequest, //
    },
    tmr_trace, //
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
    /// that is free again. `policy.rs` says why.
    pub(crate) fn run(&self) {
        pin_init::stack_pin_init!(let requests = AbortedCommands::new());
        pin_init::stack_pin_init!(let commands = AbortedCommands::new());
        pin_init::stack_pin_init!(let later = AbortedCommands::new());

        submission::wait(self.device);
        {
            let _one_at_a_time = self.device.reset_mutex().lock();

            self.device.for_each_request(|request, list| {
                self.abort_request(request, list, &requests, &later)
            });
            for queue in self.device.queues() {
                let _ = queue.abort(&commands, |command| self.judge(command));
            }

            self.device.notify(self.function(), &commands);

            requests.wait();
            while let Some(held) = commands.pop() {
                match policy::wait_for_command(self.cause, held.command().kind()) {
                    Wait::WithMutex => {
                        held.show();
                        held.wait();
                    }
                    Wait::AfterMutex => later.push(held),
                    // `judge()` leaves these on their list.
                    Wait::Never => drop(held),
                }
            }
        }
        later.wait();

        if self.cause == Cause::LunReset && self.device.release_spc2_reservation() {
            pr_debug!("LUN_RESET: released the SPC-2 reservation\n");
        }
        self.device.resets().fetch_add(1, Relaxed);
        // The core answers a LUN_RESET so when this returns.
        let response = bindings::tcm_tmrsp_table_TMR_FUNCTION_COMPLETE;
        tmr_trace::done(self.device, self.function(), 0, response);
    }

    /// The task management function that the backend is told.
    fn function(&self) -> bindings::tcm_tmreq_table {
        match self.cause {
            Cause::LunReset => bindings::tcm_tmreq_table_TMR_LUN_RESET,
            Cause::PreemptAndAbort => bindings::tcm_tmreq_table_TMR_LUN_RESET_PRO,
        }
    }

    /// Whether the reset reaches what came in with `command` of `session`.
    fn reaches(&self, command: &Command, session: &Session) -> bool {
        let keys = self.preempted.map(Registrations::keys);
        policy::reaches_nexus(self.cause, self.is_same_nexus(session))
            && policy::reaches(keys, command.reservation_key())
    }

    /// Whether `session` is the nexus that asked for the reset.
    fn is_same_nexus(&self, session: &Session) -> bool {
        self.nexus.is_some_and(|nexus| nexus.is(session))
    }

    /// Aborts a task management request of the logical unit, if it is to be.
    ///
    /// C: `core_tmr_drain_tmr_list()`.
    fn abort_request(
        &self,
        request: &TmrRequest,
        list: &RequestList,
        now: &AbortedCommands,
        later: &AbortedCommands,
    ) {
        let itself = self.request.is_some_and(|own| ptr::eq(own, request));
        // A LUN_RESET would wait for the mutex that this one holds, and has the same effect.
        if itself || request.function() == bindings::tcm_tmreq_table_TMR_LUN_RESET {
            return;
        }
        let Some(command) = request.command() else {
            ratelimited!(
                pr_err,
                "LUN_RESET: task management request without a command\n"
            );
            return;
        };
        let Some(session) = command.session() else {
            ratelimited!(
                pr_err,
                "LUN_RESET: task management request without a session\n"
            );
            return;
        };
        if !self.reaches(command, session) {
            return;
        }
        let answer = policy::answers_request(self.is_same_nexus(session));
        if !command.mark_aborted(session, answer) {
            return;
        }
        // After the mark: what is `Searching` now will take no command.
        let aborted = match policy::wait_for_request(self.cause, request.phase()) {
            Wait::WithMutex => now,
            Wait::AfterMutex => later,
            Wait::Never => return,
        };
        if let Some(held) = command.hold() {
            request.leave(list);
            aborted.push(held);
        }
    }

    /// What the reset does with a command of the task set. C: `core_tmr_drain_state_list()`.
    fn judge(&self, command: &Command) -> Verdict {
        let itself = self.command.is_some_and(|own| ptr::eq(own, command));
        if itself {
            return Verdict::Leave;
        }
        let Some(session) = command.session() else {
            ratelimited!(pr_err, "LUN_RESET: command without a session\n");
            return Verdict::Leave;
        };
        if !self.reaches(command, session) {
            return Verdict::Leave;
        }
        let answer = policy::answers_command(self.is_same_nexus(session), self.tas);
        match policy::wait_for_command(self.cause, command.kind()) {
            Wait::Never => Verdict::Mark(answer),
            Wait::WithMutex | Wait::AfterMutex => Verdict::Take(answer),
        }
    }
}
