// SPDX-License-Identifier: GPL-2.0

//! LOGICAL UNIT RESET, and the aborts of PREEMPT AND ABORT.

#![deny(unsafe_code)]

use core::{
    pin::Pin,
    ptr, //
};

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    bindings,
    core::{
        command::{
            Abort,
            Command, //
        },
        device::Device,
        registration::Registrations,
        request::{
            RequestRef,
            TmrRequest, //
        },
        session::Session,
        taken::TakenCommands,
        trace, //
    },
    log::ratelimited,
    logic::{
        self,
        Cause,
        Wait, //
    },
    submission, //
};

/// A reset of a logical unit, or what PREEMPT AND ABORT makes of it.
pub(crate) struct Reset<'a> {
    device: &'a Device,
    /// The LUN_RESET request itself.
    request: Option<&'a TmrRequest>,
    /// The nexus that the LUN_RESET or the PREEMPT AND ABORT came from.
    nexus: Option<&'a Session>,
    /// The registrations that a PREEMPT AND ABORT removed. It reaches their commands alone.
    preempted: Option<Registrations<'a>>,
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
        preempted: Option<Registrations<'a>>,
        command: Option<&'a Command>,
    ) -> Self {
        Self {
            device,
            request,
            nexus: request
                .map(TmrRequest::command)
                .or(command)
                .and_then(Command::session),
            cause: match preempted {
                Some(_) => Cause::PreemptAndAbort,
                None => Cause::LunReset,
            },
            preempted,
            command,
            tas: device.task_aborted_status(),
        }
    }

    /// Carries the reset out (SAM-5 7.7; SPC-4 5.12.11.2.6).
    ///
    /// When it returns, no command that was in the task set before can reach the medium any more,
    /// as far as the reset reaches. C: `core_tmr_lun_reset()`.
    ///
    /// Everything is aborted before anything is waited for, so that the backend learns at once
    /// what it may cancel. What may need the reset mutex to end is waited for after the mutex has
    /// been released. `logic.rs` says why, and why commands come before requests.
    pub(crate) fn run(&self) {
        pin_init::stack_pin_init!(let commands = TakenCommands::new(self.device));
        pin_init::stack_pin_init!(let ending = TakenCommands::new(self.device));
        pin_init::stack_pin_init!(let later = TakenCommands::new(self.device));

        submission::wait(self.device);
        let met = {
            let _one_at_a_time = self.device.reset_mutex().lock();

            for request in self.device.lock_requests().iter() {
                self.meet_request(request);
            }
            self.abort_commands(commands.as_mut(), ending.as_mut());

            // Requests that come from now on find no command that was there before.
            let met = TmrRequest::next_number();

            commands.notify(self.function());

            self.wait_for_requests(met, Wait::WithMutex);
            wait_for_commands(ending);
            while let Some(command) = commands.as_mut().pop_front() {
                match self.time_for(&command, command.is_sent()) {
                    Wait::AfterMutex => later.as_mut().push_back(command),
                    // `abort_commands()` has left commands that need no wait on their list: nobody
                    // else would wait for one that is off it.
                    Wait::WithMutex | Wait::Never => {
                        command.show();
                        command.wait();
                    }
                }
            }
            met
        };
        self.wait_for_requests(met, Wait::AfterMutex);
        wait_for_commands(later);

        if self.cause == Cause::LunReset && self.device.release_spc2_reservation() {
            pr_debug!("LUN_RESET: released the SPC-2 reservation\n");
        }
        self.device.resets().fetch_add(1, Relaxed);
        // What the core answers to a LUN_RESET when this returns.
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
    #[inline]
    fn reaches(&self, command: &Command, session: &Session) -> bool {
        logic::reaches_nexus(self.cause, self.is_same_nexus(session))
            && self
                .preempted
                .as_ref()
                .is_none_or(|preempted| preempted.contain(command))
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
        let command = request.command();
        let Some(session) = command.session() else {
            ratelimited!(
                pr_err,
                "LUN_RESET: task management request without a session\n"
            );
            return None;
        };
        self.reaches(command, session).then_some((command, session))
    }

    /// What a task management request comes to because of the reset.
    ///
    /// A request of the nexus that sent the LUN_RESET is aborted without an answer, as in C: the
    /// initiator may have given up on it and sent the reset instead, and could take a late answer
    /// for that of the reset. Others are carried out and answered: an initiator that gets another
    /// answer than FUNCTION COMPLETE for its ABORT_TASK would go on to a reset of its own.
    fn meet_request(&self, request: &TmrRequest) {
        let Some((command, session)) = self.reached(request) else {
            return;
        };
        if self.is_same_nexus(session) {
            command.abort(self.device, false);
        } else {
            request.overtake();
        }
    }

    /// Waits, one after the other, for the task management requests for which it is time `now`.
    ///
    /// Only for those with numbers below `met`: what comes later takes commands that come later.
    /// C waits for all of them in `core_tmr_drain_tmr_list()`.
    fn wait_for_requests(&self, met: u64, now: Wait) {
        while let Some(request) = self.hold_request(met, now) {
            request.wait();
        }
    }

    /// The first of the requests that [`Reset::wait_for_requests()`] waits for.
    fn hold_request(&self, met: u64, now: Wait) -> Option<RequestRef> {
        let wanted = |request: &TmrRequest| {
            request.number() < met
                && logic::wait_for_request(self.cause, request.phase()) == now
                && self.reached(request).is_some()
        };
        let requests = self.device.lock_requests();
        let found = requests
            .iter()
            .filter(|request| wanted(request))
            .find_map(TmrRequest::hold);
        found
    }

    /// Aborts the commands that the reset reaches, and takes those that it will wait for out of the
    /// task set: aborted ones onto `commands`, those found at their end onto `ending`. C:
    /// `core_tmr_drain_state_list()`.
    fn abort_commands(
        &self,
        mut commands: Pin<&mut TakenCommands<'a>>,
        mut ending: Pin<&mut TakenCommands<'a>>,
    ) {
        for queue in self.device.queues() {
            for task in queue.lock_tasks().iter() {
                let Some(session) = task.session() else {
                    continue;
                };
                if self.is_itself(&task) || !self.reaches(&task, session) {
                    continue;
                }
                let answer = logic::answers(self.is_same_nexus(session), self.tas);
                let list = match task.abort(self.device, answer) {
                    Abort::Marked { sent } if self.time_for(&task, sent) == Wait::Never => continue,
                    Abort::Marked { .. } => commands.as_mut(),
                    Abort::Ending => ending.as_mut(),
                    Abort::TooLate => continue,
                };
                if let Some(command) = task.take() {
                    list.push_back(command);
                }
            }
        }
    }

    /// Whether this is the PREEMPT AND ABORT command.
    fn is_itself(&self, command: &Command) -> bool {
        self.command.is_some_and(|own| ptr::eq(own, command))
    }

    /// When the reset waits for a command that it has aborted.
    fn time_for(&self, command: &Command, sent: bool) -> Wait {
        logic::wait_for_command(self.cause, self.device.kind_of(command), sent)
    }
}

/// Waits for all of `commands`, in the order in which they were taken.
fn wait_for_commands(mut commands: Pin<&mut TakenCommands<'_>>) {
    while let Some(command) = commands.as_mut().pop_front() {
        command.show();
        command.wait();
    }
}
