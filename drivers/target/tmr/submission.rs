// SPDX-License-Identifier: GPL-2.0

//! Waiting for the submission queues of a logical unit.

#![deny(unsafe_code)]

use crate::core::device::Device;

/// Waits until every command that a fabric handed over before is in the task set, as far as that
/// can be waited for.
///
/// A fabric that queues its submissions has got rid of a command before the core knows it. A task
/// management request that comes in after the command would miss it, and the initiator would take
/// the command for gone when it is about to run. (C: `flush_work()` for each queue.)
///
/// A PREEMPT AND ABORT can run inside the work item of such a queue. It must not wait for this work
/// item, which is itself, and two work items must not wait for each other. So it waits for none.
/// This is right for the commands that it may miss:
///
/// - A command ahead of the PREEMPT AND ABORT in the same batch has been submitted, so it is in the
///   task set.
/// - A command behind it in the same batch, or in the queue of another CPU, is not in the task set
///   yet. It enters the task set after the PREEMPT AND ABORT, which is one of the orders that
///   SAM-5 allows for commands of several nexuses, and for those of one nexus the very order in
///   which they were sent. It then meets the new registrations: these are in force before the
///   aborts begin, and a command is checked against them after it has entered the task set
///   (`__target_execute_cmd()`). So it cannot be that a command is neither aborted nor checked, and
///   a preempted nexus does not get past a reservation.
///
/// Must not be called with the reset mutex held: a PREEMPT AND ABORT in the work item that is
/// waited for may want it.
pub(crate) fn wait(device: &Device) {
    if device.in_submission() {
        return;
    }
    for queue in device.queues() {
        queue.flush_submission();
    }
}
