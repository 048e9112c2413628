// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of task management (`trace.h`), subsystem `target_tmr`.

use crate::{
    bindings,
    core::command::{
        AbortedCommands,
        Command, //
    },
    core::device::Device,
    object::CObject,
};

/// A fabric has received a request for `function` and is about to submit it with `command`.
pub(crate) fn received(command: &Command, function: u8) {
    // SAFETY: The command is valid and its fabric has set its session.
    unsafe { bindings::lio_tmr_trace_received(command.as_raw(), function) };
}

/// `command` has just been marked as aborted.
pub(crate) fn abort(command: &Command) {
    // SAFETY: The command is valid; a tracepoint may be anywhere.
    unsafe { bindings::lio_tmr_trace_abort(command.as_raw()) };
}

/// The backend of `device` is about to be told that `function` has aborted `commands`.
pub(crate) fn notify(device: &Device, function: u32, commands: &AbortedCommands) {
    // SAFETY: Only reads a static key.
    if unsafe { bindings::lio_tmr_trace_notify_enabled() } {
        let count = commands.list().iter().count() as u32;
        // SAFETY: The device is valid. The functions fit a byte, as `struct se_tmr_req` has them.
        unsafe { bindings::lio_tmr_trace_notify(device.as_raw(), function as u8, count) };
    }
}

/// `function` has been carried out on `device`; `tag` and `response` are those of its request.
pub(crate) fn done(device: &Device, function: u32, tag: u64, response: u32) {
    // SAFETY: The device is valid. Function and response fit a byte, as in `struct se_tmr_req`.
    unsafe {
        bindings::lio_tmr_trace_done(device.as_raw(), function as u8, tag, response as u8);
    }
}
