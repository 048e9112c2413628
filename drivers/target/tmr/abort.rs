// SPDX-License-Identifier: GPL-2.0

//! The task management function ABORT TASK.

#![deny(unsafe_code)]

use kernel::sync::atomic::Relaxed;

use crate::{
    bindings,
    log::ratelimited,
    policy::{
        self,
        Phase, //
    },
    submission,
    task::{
        AbortedCommands,
        Command,
        Session, //
    },
    tmr_device::{
        Device,
        Verdict, //
    },
    tmr_request::TmrRequest,
    tmr_trace, //
};

/// Executes ABORT TASK (SAM-5 7.2) for a command of `nexus` and sets the response.
///
/// Returns when the fabric has released the command. C: `core_tmr_abort_task()`.
///
/// Unlike C, all submission queues are waited for before the first state list is searched. From
/// the search on the request waits for its command alone, which is what resets rely on that wait
/// for a request (see [`Phase`]).
pub(crate) fn abort_task(device: &Device, request: &TmrRequest, nexus: &Session) {
    let tag = request.referenced_tag();

    submission::wait(device);

    pin_init::stack_pin_init!(let aborted = AbortedCommands::new());
    for queue in device.queues() {
        let found = queue.abort(&aborted, |command| judge(command, request, nexus));
        if found.is_break() {
            break;
        }
    }

    // Also with an empty list: user space wants to trace what is asked of it.
    device.notify(bindings::tcm_tmreq_table_TMR_ABORT_TASK, &aborted);

    let response = if let Some(held) = aborted.pop() {
        let fabric = held.command().fabric_name();
        ratelimited!(
            pr_info,
            "ABORT_TASK: {fabric} command with tag {tag} is aborted\n"
        );
        held.wait();
        device.aborts_complete().fetch_add(1, Relaxed);
        bindings::tcm_tmrsp_table_TMR_FUNCTION_COMPLETE
    } else {
        ratelimited!(pr_info, "ABORT_TASK: no command with tag {tag} to abort\n");
        device.aborts_no_task().fetch_add(1, Relaxed);
        bindings::tcm_tmrsp_table_TMR_TASK_DOES_NOT_EXIST
    };
    request.set_response(response);
    let function = bindings::tcm_tmreq_table_TMR_ABORT_TASK;
    tmr_trace::done(device, function, tag, response);
}

/// What ABORT TASK does with a command.
fn judge(command: &Command, request: &TmrRequest, nexus: &Session) -> Verdict {
    let kind = command.kind();
    let same_nexus = command.session().is_some_and(|session| session.is(nexus));
    if !policy::abort_task_means(same_nexus, kind, command.tag(), request.referenced_tag()) {
        return Verdict::Leave;
    }
    // A reset that has aborted this request leaves the command to nobody but itself.
    if !request.enter(Phase::on(kind)) {
        return Verdict::GiveUp;
    }
    // Never answered: it is the initiator's own wish.
    Verdict::TakeOnly(false)
}
