// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of task management (`trace.h`), subsystem `target_tmr`.

use crate::{
    bindings,
    object::CObject, //
};

/// A fabric has received a request for `function` and is about to submit it with `command`.
pub(crate) fn received(command: &impl CObject<C = bindings::se_cmd>, function: u8) {
    // SAFETY: The command is valid and its fabric has set its session.
    unsafe { bindings::lio_tmr_trace_received(command.as_raw(), function) };
}

/// `command` has just been marked as aborted.
pub(crate) fn abort(command: &impl CObject<C = bindings::se_cmd>) {
    // SAFETY: The command is valid; a tracepoint may be anywhere.
    unsafe { bindings::lio_tmr_trace_abort(command.as_raw()) };
}

/// The backend of `device` is about to be told that `function` has aborted so many `commands`.
pub(crate) fn notify(
    device: &impl CObject<C = bindings::se_device>,
    function: u32,
    commands: usize,
) {
    // SAFETY: The device is valid. The functions fit a byte, as `struct se_tmr_req` has them.
    unsafe { bindings::lio_tmr_trace_notify(device.as_raw(), function as u8, commands as u32) };
}

/// `function` has been carried out on `device`; `tag` and `response` are those of its request.
pub(crate) fn done(
    device: &impl CObject<C = bindings::se_device>,
    function: u32,
    tag: u64,
    response: u32,
) {
    let (function, response) = (function as u8, response as u8);
    // SAFETY: The device is valid. Function and response fit a byte, as in `struct se_tmr_req`.
    unsafe { bindings::lio_tmr_trace_done(device.as_raw(), function, tag, response) };
}
