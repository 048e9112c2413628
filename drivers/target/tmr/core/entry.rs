// SPDX-License-Identifier: GPL-2.0

//! The functions that the C files of the core and the fabrics call.
//!
//! Where C guarantees it, a pointer arrives as a reference: the caller owns the object for the
//! whole call, which is what the prototypes in `target_core_internal.h` and
//! `target_core_fabric.h` mean.

use kernel::{
    error::code::ENOMEM,
    ffi::c_int,
    prelude::*, //
};

use crate::{
    abort,
    bindings,
    core::command::{
        Command,
        Session, //
    },
    core::device::{
        Device,
        Registrations, //
    },
    core::request::TmrRequest,
    core::trace, //
    log::ratelimited,
    object::CObject,
    reset::Reset,
};

/// Allocates a task management request for `command`, which carries it from now on.
///
/// `fabric_private` is the fabric's own, `function` a `tcm_tmreq_table`. `gfp` says whether the
/// caller may sleep. Returns 0 or `-ENOMEM`; the fabric answers the initiator then.
#[no_mangle]
extern "C" fn core_tmr_alloc_req(
    command: &Command,
    fabric_private: *mut c_void,
    function: u8,
    gfp: bindings::gfp_t,
) -> c_int {
    let Some(request) = TmrRequest::allocate(gfp) else {
        ratelimited!(pr_err, "no memory for a task management request\n");
        return ENOMEM.to_errno();
    };
    request.init(command, function, fabric_private);
    command.set_request(request);
    trace::received(command, function);
    0
}

/// Frees a task management request, which nobody uses any more, or does nothing for null.
///
/// A `KBox` is what it is: a pointer to memory from `kmalloc()` that the caller gives away.
#[no_mangle]
extern "C" fn core_tmr_release_req(request: Option<KBox<TmrRequest>>) {
    drop(request);
}

/// Executes the ABORT TASK `request` of `nexus`. May sleep for long, see [`abort::abort_task()`].
#[no_mangle]
extern "C" fn core_tmr_abort_task(device: &Device, request: &TmrRequest, nexus: &Session) {
    abort::abort_task(device, request, nexus);
}

/// Resets `device` because of the LUN_RESET `request`, or aborts what `command`, a PREEMPT AND
/// ABORT that has removed the registrations `preempted`, has to abort. Returns 0.
///
/// May sleep for long, see [`Reset::run()`].
#[no_mangle]
extern "C" fn core_tmr_lun_reset(
    device: &Device,
    request: Option<&TmrRequest>,
    preempted: Option<&Registrations>,
    command: Option<&Command>,
) -> c_int {
    Reset::new(device, request, preempted, command).run();
    0
}

/// What C passes for a parameter of the functions above.
trait Parameter {
    type Raw;
}

impl<T: CObject> Parameter for &T {
    type Raw = *mut T::C;
}

impl<T: CObject> Parameter for Option<&T> {
    type Raw = *mut T::C;
}

impl<T: CObject> Parameter for Option<KBox<T>> {
    type Raw = *mut T::C;
}

impl<T> Parameter for *mut T {
    type Raw = Self;
}

impl Parameter for u8 {
    type Raw = Self;
}

impl Parameter for bindings::gfp_t {
    type Raw = Self;
}

/// Does not compile unless a function has the prototype that the headers give it.
macro_rules! assert_prototype {
    ($name:ident($($parameter:ty),* $(,)?) -> $result:ty) => {
        const _: (
            extern "C" fn($($parameter),*) -> $result,
            unsafe extern "C" fn($(<$parameter as Parameter>::Raw),*) -> $result,
        ) = ($name, bindings::$name);
    };
}

assert_prototype!(core_tmr_alloc_req(&Command, *mut c_void, u8, bindings::gfp_t) -> c_int);
assert_prototype!(core_tmr_release_req(Option<KBox<TmrRequest>>) -> ());
assert_prototype!(core_tmr_abort_task(&Device, &TmrRequest, &Session) -> ());
assert_prototype!(
    core_tmr_lun_reset(
        &Device,
        Option<&TmrRequest>,
        Option<&Registrations>,
        Option<&Command>,
    ) -> c_int
);
