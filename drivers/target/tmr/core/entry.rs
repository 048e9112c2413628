// SPDX-License-Identifier: GPL-2.0

//! The functions that the C files of the core and the fabrics call.

use core::ptr::NonNull;

use kernel::{
    ffi::c_int,
    prelude::*,
    types::ForeignOwnable, //
};

use super::{
    command::Command,
    device::Device,
    registration::Registrations,
    request::{
        NewCommand,
        TmrRequest, //
    },
    session::Session,
    trace, //
};
use crate::{
    abort,
    bindings,
    log::ratelimited,
    object::CObject,
    reset::Reset, //
};

/// Allocates a task management request for `command`, which carries it from now on.
///
/// `fabric_private` is the fabric's own, `function` a `tcm_tmreq_table`. `gfp` says whether the
/// caller may sleep. Returns 0 or `-ENOMEM`; the fabric answers the initiator then.
///
/// # Safety
///
/// `command` must be valid, initialised by `__target_init_cmd()`, and known to its fabric alone.
#[no_mangle]
unsafe extern "C" fn core_tmr_alloc_req(
    command: *mut bindings::se_cmd,
    fabric_private: *mut c_void,
    function: u8,
    gfp: bindings::gfp_t,
) -> c_int {
    // SAFETY: By the contract of this function.
    let command = unsafe { NewCommand::from_raw(command) };
    match command.carry_request(function, fabric_private, gfp) {
        Ok(command) => {
            trace::received(command, function);
            0
        }
        Err(error) => {
            ratelimited!(pr_err, "no memory for a task management request\n");
            error.to_errno()
        }
    }
}

/// Frees a task management request, or does nothing for null.
///
/// # Safety
///
/// `request` must be null, or come from `core_tmr_alloc_req()` and not be used by anybody any more.
#[no_mangle]
unsafe extern "C" fn core_tmr_release_req(request: *mut bindings::se_tmr_req) {
    // SAFETY: By the contract of this function.
    drop(unsafe { Pin::<KBox<TmrRequest>>::try_from_foreign(request.cast()) });
}

/// Executes the ABORT TASK `request` of `nexus`. May sleep for long, see [`abort::abort_task()`].
///
/// # Safety
///
/// `device` and `nexus` must be those of the command that carries `request`, which must be valid
/// until the call returns.
#[no_mangle]
unsafe extern "C" fn core_tmr_abort_task(
    device: *mut bindings::se_device,
    request: *mut bindings::se_tmr_req,
    nexus: *mut bindings::se_session,
) {
    // SAFETY: By the contract of this function. All requests come from `core_tmr_alloc_req()`.
    let (device, request, nexus) = unsafe {
        (
            Device::from_raw(device),
            TmrRequest::from_raw(request),
            Session::from_raw(nexus),
        )
    };
    abort::abort_task(device, request, nexus);
}

/// Resets `device` because of the LUN_RESET `request`, or aborts what `command`, a PREEMPT AND
/// ABORT that has removed the registrations `preempted`, has to abort. Returns 0.
///
/// May sleep for long, see [`Reset::run()`].
///
/// # Safety
///
/// `device` must be that of the command that carries `request`, or of `command`. The others may be
/// null. `preempted` must be as [`Registrations::from_raw()`] says, for the command `command`. All
/// must be valid until the call returns.
#[no_mangle]
unsafe extern "C" fn core_tmr_lun_reset(
    device: *mut bindings::se_device,
    request: *mut bindings::se_tmr_req,
    preempted: *mut bindings::list_head,
    command: *mut bindings::se_cmd,
) -> c_int {
    // SAFETY: By the contract of this function. All requests come from `core_tmr_alloc_req()`.
    let reset = unsafe {
        Reset::new(
            Device::from_raw(device),
            (!request.is_null()).then(|| TmrRequest::from_raw(request)),
            NonNull::new(preempted).map(|list| Registrations::from_raw(list)),
            (!command.is_null()).then(|| Command::from_raw(command)),
        )
    };
    reset.run();
    0
}

/// Does not compile unless the functions have the prototypes that the headers give them.
macro_rules! assert_prototypes {
    ($($name:ident),* $(,)?) => {
        const _: () = {
            $(let _ = [$name, bindings::$name];)*
        };
    };
}

assert_prototypes!(
    core_tmr_alloc_req,
    core_tmr_release_req,
    core_tmr_abort_task,
    core_tmr_lun_reset,
);
