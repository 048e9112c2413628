// SPDX-License-Identifier: GPL-2.0

//! The task management function ABORT TASK.

#![deny(unsafe_code)]

use kernel::sync::atomic::Relaxed;

use crate::{
    bindings,
    core::{
        command::{
            Abort,
            Command, //
        },
        device::Device,
        request::TmrRequest,
        session::Session,
        taken::TakenCommands,
        task_set::TakenCommand,
        trace, //
    },
    log::ratelimited,
    logic::{
        self,
        Phase, //
    },
    submission, //
};

/// Executes ABORT TASK (SAM-5 7.2) for a command of `nexus` and sets the response.
///
/// Returns when the fabric has released the command. C: `core_tmr_abort_task()`.
///
/// Unlike C, all submission queues are waited for before the first state list is searched. From
/// the search on the request waits only for its command. Resets that wait for a request rely on
/// that (see [`Phase`]).
///
/// If a reset of another nexus has overtaken the request, it may find nothing because the reset has
/// taken the command. It is answered once the reset has seen the end of what it aborted, with
/// FUNCTION COMPLETE: the command is not in the task set any more.
pub(crate) fn abort_task(device: &Device, request: &TmrRequest, nexus: &Session) {
    let tag = request.referenced_tag();

    submission::wait(device);

    pin_init::stack_pin_init!(let aborted = TakenCommands::new(device));
    let ending = match find(device, request, nexus) {
        Some((command, Abort::Marked { .. })) => {
            aborted.as_mut().push_back(command);
            None
        }
        Some((command, _)) => Some(command),
        None => None,
    };

    // Also with an empty list: user space wants to trace what is asked of it.
    aborted.notify(bindings::tcm_tmreq_table_TMR_ABORT_TASK);

    let aborted = aborted.pop_front().inspect(|command| {
        let fabric = command.fabric_name();
        ratelimited!(
            pr_info,
            "ABORT_TASK: {fabric} command with tag {tag} is aborted\n"
        );
    });
    let response = if let Some(command) = aborted.or(ending) {
        command.wait();
        device.aborts_complete().fetch_add(1, Relaxed);
        bindings::tcm_tmrsp_table_TMR_FUNCTION_COMPLETE
    } else {
        ratelimited!(pr_info, "ABORT_TASK: no command with tag {tag} to abort\n");
        device.aborts_no_task().fetch_add(1, Relaxed);
        if request.phase() == Phase::Overtaken {
            // The reset holds it until what it aborted, and had been sent, has ended.
            drop(device.reset_mutex().lock());
            bindings::tcm_tmrsp_table_TMR_FUNCTION_COMPLETE
        } else {
            bindings::tcm_tmrsp_table_TMR_TASK_DOES_NOT_EXIST
        }
    };
    request.set_response(response);
    let function = bindings::tcm_tmreq_table_TMR_ABORT_TASK;
    trace::done(device, function, tag, response);
    request.finish();
}

/// Finds the command that the request means and takes it out of the task set, aborted or at its
/// end. The request is in the phase of waiting for it then.
fn find(device: &Device, request: &TmrRequest, nexus: &Session) -> Option<(TakenCommand, Abort)> {
    for queue in device.queues() {
        for task in queue.lock_tasks().iter() {
            if !is_meant(&task, request, nexus) {
                continue;
            }
            // A reset has aborted the request; the command with this tag may have come after it.
            if request.is_aborted() {
                return None;
            }
            // Never answered: it is the initiator's own wish.
            let end = task.abort(device, false);
            match end {
                Abort::Marked { sent } => request.set_phase(Phase::on(device.kind_of(&task), sent)),
                Abort::Ending => request.set_phase(Phase::OnCommand),
                Abort::TooLate => continue,
            }
            if let Some(command) = task.take() {
                return Some((command, end));
            }
        }
    }
    None
}

/// Whether the request is about this command.
fn is_meant(command: &Command, request: &TmrRequest, nexus: &Session) -> bool {
    let same_nexus = command.session().is_some_and(|session| session.is(nexus));
    let (tag, referenced) = (command.tag(), request.referenced_tag());
    logic::abort_task_means(same_nexus, command.is_request(), tag, referenced)
}
