// SPDX-License-Identifier: GPL-2.0

//! The target port, and what the transport calls of its LLDD.
//!
//! C header: `include/linux/nvme-fc-driver.h`

use core::ptr;

use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        rcu, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

use crate::{
    bindings,
    exchange::Exchange,
    ext::global::global_mutex,
    link_service::LinkService,
    order::Register, //
};

/// A registered target port.
struct Registered(*mut bindings::nvmet_fc_target_port);

// SAFETY: All threads may use a target port.
unsafe impl Send for Registered {}

global_mutex! {
    static PORT: Option<Registered> = None;
}

/// How many threads use [`PORT`] without its lock.
static USERS: Atomic<usize> = Atomic::new(0);

/// Ports that were registered, and those of them that are deleted.
static MADE: Atomic<usize> = Atomic::new(0);
static DELETED: Atomic<usize> = Atomic::new(0);

/// A target port that stays registered as long as this is there.
pub(crate) struct Port(*mut bindings::nvmet_fc_target_port);

impl Port {
    /// Registers one, unless there is one.
    pub(crate) fn register(order: &Register) -> Result {
        let mut current = PORT.lock();
        if current.is_some() {
            return Err(EEXIST);
        }
        let mut info = bindings::nvmet_fc_port_info {
            node_name: order.node_name,
            port_name: order.port_name,
            port_id: 1,
        };
        let template = if order.defers { &DEFERS } else { &PLAIN };
        let mut raw = ptr::null_mut();
        // SAFETY: The template is static. The module does not go before the port is deleted.
        to_result(unsafe {
            bindings::nvmet_fc_register_targetport(
                &raw mut info,
                ptr::from_ref(template).cast_mut(),
                ptr::null_mut(),
                &raw mut raw,
            )
        })?;
        MADE.fetch_add(1, Relaxed);
        *current = Some(Registered(raw));
        Ok(())
    }

    /// Unregisters it, when nobody uses it. `ENODEV`: there is none.
    pub(crate) fn unregister() -> Result {
        let Registered(raw) = PORT.lock().take().ok_or(ENODEV)?;
        while USERS.load(Acquire) != 0 {
            fsleep(Delta::from_millis(1));
        }
        // SAFETY: It was registered, and is unregistered once, for it was taken.
        to_result(unsafe { bindings::nvmet_fc_unregister_targetport(raw) })
    }

    /// The port that is registered.
    pub(crate) fn get() -> Result<Self> {
        let current = PORT.lock();
        let Registered(raw) = current.as_ref().ok_or(ENODEV)?;
        // Before the lock is released, so that `unregister()` sees it.
        USERS.fetch_add(1, Relaxed);
        Ok(Self(*raw))
    }

    /// The C structure.
    pub(crate) fn as_ptr(&self) -> *mut bindings::nvmet_fc_target_port {
        self.0
    }

    /// How many there were, and how many of them were deleted.
    pub(crate) fn counts() -> (usize, usize) {
        (MADE.load(Relaxed), DELETED.load(Acquire))
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        USERS.fetch_sub(1, Release);
    }
}

/// Waits until those who have deleted a port are no longer in a function of this module.
pub(crate) fn flush() {
    // SAFETY: The target core is there, for its modules are in use.
    unsafe { bindings::__flush_workqueue(bindings::nvmet_wq) };
    // Whoever has called from elsewhere is in no such function after that.
    rcu::synchronize_rcu();
}

/// # Safety
///
/// Called by the transport, when it has freed a port that was unregistered.
unsafe extern "C" fn targetport_delete(_port: *mut bindings::nvmet_fc_target_port) {
    DELETED.fetch_add(1, Release);
}

/// # Safety
///
/// Called by the transport with what `nvmet_fc_rcv_ls_req()` was given.
unsafe extern "C" fn xmt_ls_rsp(
    _port: *mut bindings::nvmet_fc_target_port,
    response: *mut bindings::nvmefc_ls_rsp,
) -> c_int {
    // SAFETY: By the contract of this function. It stays until all ports are deleted.
    unsafe { LinkService::from_response(response) }.answer();
    0
}

/// # Safety
///
/// As all that follow: called by the transport with a request that `nvmet_fc_rcv_fcp_req()` was
/// given.
unsafe extern "C" fn fcp_op(
    _port: *mut bindings::nvmet_fc_target_port,
    request: *mut bindings::nvmefc_tgt_fcp_req,
) -> c_int {
    // SAFETY: By the contract of this function. It stays until all ports are deleted.
    match unsafe { Exchange::from_request(request) }.ask() {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// As for [`fcp_op()`].
unsafe extern "C" fn fcp_abort(
    _port: *mut bindings::nvmet_fc_target_port,
    request: *mut bindings::nvmefc_tgt_fcp_req,
) {
    // SAFETY: By the contract of this function.
    unsafe { Exchange::from_request(request) }.aborted();
}

/// # Safety
///
/// As for [`fcp_op()`].
unsafe extern "C" fn fcp_req_release(
    _port: *mut bindings::nvmet_fc_target_port,
    request: *mut bindings::nvmefc_tgt_fcp_req,
) {
    // SAFETY: By the contract of this function.
    unsafe { Exchange::from_request(request) }.released();
}

/// # Safety
///
/// As for [`fcp_op()`].
unsafe extern "C" fn defer_rcv(
    _port: *mut bindings::nvmet_fc_target_port,
    request: *mut bindings::nvmefc_tgt_fcp_req,
) {
    // SAFETY: By the contract of this function.
    unsafe { Exchange::from_request(request) }.defer_rcv();
}

/// What the transport knows of an LLDD that cannot keep the buffers of command IUs.
static PLAIN: bindings::nvmet_fc_target_template = bindings::nvmet_fc_target_template {
    targetport_delete: Some(targetport_delete),
    xmt_ls_rsp: Some(xmt_ls_rsp),
    fcp_op: Some(fcp_op),
    fcp_abort: Some(fcp_abort),
    fcp_req_release: Some(fcp_req_release),
    max_hw_queues: 1,
    max_sgl_segments: 256,
    max_dif_sgl_segments: 256,
    dma_boundary: 0xffff_ffff,
    ..pin_init::zeroed()
};

/// And of one that can.
static DEFERS: bindings::nvmet_fc_target_template = bindings::nvmet_fc_target_template {
    defer_rcv: Some(defer_rcv),
    ..PLAIN
};
