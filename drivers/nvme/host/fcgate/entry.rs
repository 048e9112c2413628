// SPDX-License-Identifier: GPL-2.0

//! The functions that `fc.c` calls, and those that LLDDs call.
//!
//! They are called in process context, without locks, unless they say otherwise: they wait, or call
//! the LLDD, which may sleep.

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    ffi::{
        c_int,
        c_ulong, //
    },
    prelude::*, //
};

use crate::{
    bindings,
    logic::connectivity::Reconnect,
    object::CObject,
    registration,
    transport::{
        controller::Controller,
        local_port::LocalPort,
        ls_request::{
            LsRequest,
            LsResponse, //
        },
        reference::Ref,
        remote_port::RemotePort,
        template::{
            PortInfo,
            Template, //
        },
    },
    usage,
};

/// 0, or what went wrong.
fn to_errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Initialises the gate of a local port that is being registered with `template`. Any context.
///
/// # Safety
///
/// `lport` is memory for a local port that nobody else uses. `template` is valid.
#[no_mangle]
unsafe extern "C" fn nvme_fc_lport_gate_init(
    lport: *mut bindings::nvme_fc_lport,
    template: *mut bindings::nvme_fc_port_template,
) {
    // SAFETY: By the contract of this function.
    unsafe { LocalPort::init_gate(lport, Template::from_raw(template)) };
}

/// Initialises the gate of a remote port that is being registered. Any context.
///
/// # Safety
///
/// `rport` is memory for a remote port that nobody else uses.
#[no_mangle]
unsafe extern "C" fn nvme_fc_rport_gate_init(rport: *mut bindings::nvme_fc_rport) {
    // SAFETY: By the contract of this function.
    unsafe { RemotePort::init_gate(rport) };
}

/// Registers a local port again. Returns it, null if it has to be made, or an error pointer, see
/// [`registration::attach_local()`].
///
/// # Safety
///
/// `pinfo` and `ops` are valid; `dev` is only compared.
#[no_mangle]
unsafe extern "C" fn nvme_fc_attach_to_unreg_lport(
    pinfo: *mut bindings::nvme_fc_port_info,
    ops: *mut bindings::nvme_fc_port_template,
    dev: *mut bindings::device,
) -> *mut bindings::nvme_fc_lport {
    // SAFETY: By the contract of this function.
    let (info, template) = unsafe { (PortInfo::from_raw(pinfo), Template::from_raw(ops)) };
    match registration::attach_local(info, template, dev) {
        Ok(Some(port)) => Ref::into_raw(port).cast().as_ptr(),
        Ok(None) => ptr::null_mut(),
        Err(error) => error.to_ptr(),
    }
}

/// Registers a remote port of `lport` again. Returns it, null if it has to be made, or an error
/// pointer, see [`registration::attach_remote()`].
///
/// # Safety
///
/// `lport` and `pinfo` are valid.
#[no_mangle]
unsafe extern "C" fn nvme_fc_attach_to_suspended_rport(
    lport: *mut bindings::nvme_fc_lport,
    pinfo: *mut bindings::nvme_fc_port_info,
) -> *mut bindings::nvme_fc_rport {
    // SAFETY: By the contract of this function.
    let (local, info) = unsafe { (LocalPort::from_raw(lport.cast()), PortInfo::from_raw(pinfo)) };
    match registration::attach_remote(local, info) {
        Ok(Some(port)) => Ref::into_raw(port).cast().as_ptr(),
        Ok(None) => ptr::null_mut(),
        Err(error) => error.to_ptr(),
    }
}

/// An LLDD unregisters a local port. Returns 0: its `localport_delete` was called, or will be when
/// the port is not used any more; or `-EINVAL` if it is null or not registered.
///
/// # Safety
///
/// `portptr` is null, or a local port that the LLDD has registered.
#[no_mangle]
unsafe extern "C" fn nvme_fc_unregister_localport(
    portptr: *mut bindings::nvme_fc_local_port,
) -> c_int {
    if portptr.is_null() {
        return EINVAL.to_errno();
    }
    // SAFETY: By the contract of this function; its registration has a reference.
    let port = unsafe { LocalPort::of_lldd(portptr) };
    let result = registration::unregister_local(port);
    if result.is_ok() {
        // SAFETY: It is that of the registration, which has come to its end.
        drop(unsafe { Ref::from_raw(NonNull::from_ref(port)) });
    }
    to_errno(result)
}

/// An LLDD unregisters a remote port. As `nvme_fc_unregister_localport()`.
///
/// # Safety
///
/// `portptr` is null, or a remote port that the LLDD has registered.
#[no_mangle]
unsafe extern "C" fn nvme_fc_unregister_remoteport(
    portptr: *mut bindings::nvme_fc_remote_port,
) -> c_int {
    if portptr.is_null() {
        return EINVAL.to_errno();
    }
    // SAFETY: By the contract of this function; its registration has a reference.
    let port = unsafe { RemotePort::of_lldd(portptr) };
    let result = registration::unregister_remote(port);
    if result.is_ok() {
        // SAFETY: It is that of the registration, which has come to its end.
        drop(unsafe { Ref::from_raw(NonNull::from_ref(port)) });
    }
    to_errno(result)
}

/// An association of `ctrl` begins. Returns 0 or an error, see [`usage::begin_association()`].
///
/// # Safety
///
/// `ctrl` is valid, and has its reference to its remote port.
#[no_mangle]
unsafe extern "C" fn nvme_fc_ctlr_active_on_rport(ctrl: *mut bindings::nvme_fc_ctrl) -> c_int {
    // SAFETY: By the contract of this function.
    to_errno(usage::begin_association(unsafe {
        Controller::from_raw(ctrl.cast())
    }))
}

/// Begins to end the association of `ctrl`. True: the caller does it, and then calls
/// `nvme_fc_ctlr_inactive_on_rport()`. False: there is none, or someone else does. Any context.
///
/// # Safety
///
/// As for `nvme_fc_ctlr_active_on_rport()`.
#[no_mangle]
unsafe extern "C" fn nvme_fc_ctlr_ending_on_rport(ctrl: *mut bindings::nvme_fc_ctrl) -> bool {
    // SAFETY: By the contract of this function.
    unsafe { Controller::from_raw(ctrl.cast()) }.ending()
}

/// The association of `ctrl` has ended.
///
/// # Safety
///
/// As for `nvme_fc_ctlr_active_on_rport()`.
#[no_mangle]
unsafe extern "C" fn nvme_fc_ctlr_inactive_on_rport(ctrl: *mut bindings::nvme_fc_ctrl) {
    // SAFETY: By the contract of this function.
    usage::end_association(unsafe { Controller::from_raw(ctrl.cast()) });
}

/// An LS request has come in. Returns 0 or an error, see [`usage::receive()`].
///
/// # Safety
///
/// `lsop` is valid, and has its reference to its remote port.
#[no_mangle]
unsafe extern "C" fn nvme_fc_ls_rcv_active_on_rport(
    lsop: *mut bindings::nvmefc_ls_rcv_op,
) -> c_int {
    // SAFETY: By the contract of this function.
    to_errno(usage::receive(unsafe { LsRequest::from_raw(lsop.cast()) }))
}

/// Gives the response to an LS request to the LLDD, which frees `lsop`.
///
/// # Safety
///
/// As for `nvme_fc_ls_rcv_active_on_rport()`, which was called for it; the response is ready, and
/// nobody else responds to it.
#[no_mangle]
unsafe extern "C" fn nvme_fc_xmt_ls_rsp(lsop: *mut bindings::nvmefc_ls_rcv_op) {
    // SAFETY: By the contract of this function.
    let response = unsafe { LsResponse::from_raw(NonNull::new_unchecked(lsop)) };
    usage::respond(response);
}

/// Makes a controller, while its ports are registered. Returns it, or an error pointer: `-ENODEV`
/// if they are not.
///
/// # Safety
///
/// As for `__nvme_fc_init_ctrl()`: all are valid, the remote port is one of `lport`, and the caller
/// has a reference to it, which the controller takes over.
#[no_mangle]
unsafe extern "C" fn nvme_fc_init_ctrl(
    dev: *mut bindings::device,
    opts: *mut bindings::nvmf_ctrl_options,
    lport: *mut bindings::nvme_fc_lport,
    rport: *mut bindings::nvme_fc_rport,
) -> *mut bindings::nvme_ctrl {
    // SAFETY: By the contract of this function.
    let port = unsafe { RemotePort::from_raw(rport.cast()) };
    let made = usage::using(port, || {
        // SAFETY: As above.
        unsafe { bindings::__nvme_fc_init_ctrl(dev, opts, lport, rport) }
    });
    made.unwrap_or_else(Error::to_ptr)
}

/// Whether a remote port is registered. Any context, without the port's lock.
///
/// # Safety
///
/// `rport` is valid.
#[no_mangle]
unsafe extern "C" fn nvme_fc_rport_is_online(rport: *mut bindings::nvme_fc_rport) -> bool {
    // SAFETY: By the contract of this function.
    usage::is_online(unsafe { RemotePort::from_raw(rport.cast()) })
}

/// Whether a controller that has lost its association may try to make another one: false if its
/// port was lost for too long. `online` becomes whether the port is registered; `delay`, after how
/// many jiffies it is to try again, becomes less if its port is lost for too long before. Any
/// context.
///
/// # Safety
///
/// `rport` is valid, and its lock is held. The others are the caller's.
#[no_mangle]
unsafe extern "C" fn nvme_fc_rport_may_reconnect(
    rport: *mut bindings::nvme_fc_rport,
    online: *mut bool,
    delay: *mut c_ulong,
) -> bool {
    // SAFETY: By the contract of this function.
    let (port, online, delay) = unsafe {
        let port = RemotePort::from_raw(rport.cast()).locked_by_c();
        (port, &mut *online, &mut *delay)
    };
    // CAST: They have 64 bits.
    let reconnect = usage::reconnect(&port, *delay as u64);
    *online = reconnect == Reconnect::Online;
    match reconnect {
        Reconnect::Online => true,
        Reconnect::Retry(sooner) => {
            *delay = sooner as c_ulong;
            true
        }
        Reconnect::Expired => false,
    }
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
    nvme_fc_lport_gate_init,
    nvme_fc_rport_gate_init,
    nvme_fc_attach_to_unreg_lport,
    nvme_fc_attach_to_suspended_rport,
    nvme_fc_unregister_localport,
    nvme_fc_unregister_remoteport,
    nvme_fc_ctlr_active_on_rport,
    nvme_fc_ctlr_ending_on_rport,
    nvme_fc_ctlr_inactive_on_rport,
    nvme_fc_ls_rcv_active_on_rport,
    nvme_fc_xmt_ls_rsp,
    nvme_fc_init_ctrl,
    nvme_fc_rport_is_online,
    nvme_fc_rport_may_reconnect,
);
