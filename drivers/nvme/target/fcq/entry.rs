// SPDX-License-Identifier: GPL-2.0

//! The functions that `fc.c` and LLDDs call.

use core::{
    num::NonZeroU16,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::rcu, //
};

use crate::{
    bindings,
    ext::module::c_module,
    logic::operations,
    object::CObject,
    statistics, target_queue,
    transport::{
        association::Association,
        memory::Fod,
        port::Port,
        private::nvmet_fc_fcp_iod,
        queue::{
            Queue,
            QueueRef, //
        },
        received::{
            CommandIu,
            ReceivedFcpRequest, //
        },
        request::{
            Exchange,
            FcpRequest, //
        },
    },
};

/// The LLDD of `target_port` has received a command: `cmdiubuf_len` bytes at `cmdiubuf`. Returns 0,
/// and the LLDD may reuse the buffer; or `-EOVERFLOW`, and it has to keep the buffer until
/// `defer_rcv`. Any other error: the LLDD keeps the request, and is to abort the exchange. May
/// sleep.
///
/// # Safety
///
/// `target_port` must be registered, and `fcpreq` a request of its LLDD, which leaves it to the
/// transport until `fcp_req_release`, unless an error is returned, and does not use
/// `nvmet_fc_private`. The buffer must be there as long as was said above.
#[no_mangle]
unsafe extern "C" fn nvmet_fc_rcv_fcp_req(
    target_port: *mut bindings::nvmet_fc_target_port,
    fcpreq: *mut bindings::nvmefc_tgt_fcp_req,
    cmdiubuf: *mut c_void,
    cmdiubuf_len: u32,
) -> c_int {
    // SAFETY: By the contract of this function.
    let command = unsafe { CommandIu::new(cmdiubuf, cmdiubuf_len) };
    let Some(command) = command else {
        return EIO.to_errno();
    };
    // SAFETY: By the contract of this function.
    let exchange = unsafe { NonNull::new_unchecked(fcpreq) };
    let guard = rcu::read_lock();
    // SAFETY: By the contract of this function.
    let port = unsafe { Port::from_target_port(target_port) };
    let Some(queue) = QueueRef::find(port, command.connection(), &guard) else {
        return ENOTCONN.to_errno();
    };
    // SAFETY: By the contract of this function; the queue was found at the same port.
    let request = unsafe { ReceivedFcpRequest::new(exchange, command, queue) };
    match target_queue::receive(request, guard).get() {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// The LLDD of `target_port` has received an ABTS for the exchange of `fcpreq`. May be called in
/// any context. Calls `defer_rcv` and `fcp_req_release` if the command waits for a job.
///
/// # Safety
///
/// `fcpreq` must be valid until this returns, and be one that `nvmet_fc_rcv_fcp_req()` was called
/// with, or have `nvmet_fc_private` cleared.
#[no_mangle]
unsafe extern "C" fn nvmet_fc_rcv_fcp_abort(
    _target_port: *mut bindings::nvmet_fc_target_port,
    fcpreq: *mut bindings::nvmefc_tgt_fcp_req,
) {
    // SAFETY: By the contract of this function.
    target_queue::abort(unsafe { Exchange::from_raw(fcpreq) });
}

/// The command in `fod` has ended. May be called in any context.
///
/// # Safety
///
/// `fod` must be a job of `queue`, and nobody uses its command any more.
#[no_mangle]
unsafe extern "C" fn nvmet_fc_free_fcp_iod(
    queue: *mut bindings::nvmet_fc_tgt_queue,
    fod: *mut bindings::nvmet_fc_fcp_iod,
) {
    // SAFETY: By the contract of this function. C has a command from `FcpRequest::execute()` only.
    match unsafe { FcpRequest::from_job(queue.cast(), fod.cast()) } {
        Some((job, request)) => target_queue::finish(job, request),
        None => kernel::pr_err_once!("a command has ended that was not being executed\n"),
    }
}

/// The command in the job whose work this is, which was deferred, begins. May sleep.
///
/// # Safety
///
/// Called by a workqueue with `defer_work` of a job, once each time that it was queued.
#[no_mangle]
unsafe extern "C" fn nvmet_fc_fcp_rqst_op_defer_work(work: *mut bindings::work_struct) {
    // SAFETY: By the contract of this function, and only `FcpRequest::schedule()` queues the work.
    let taken = unsafe {
        let fod = kernel::container_of!(work, nvmet_fc_fcp_iod, defer_work);
        FcpRequest::from_job((*fod).queue, fod)
    };
    if let Some((job, request)) = taken {
        target_queue::begin(job, request);
    }
}

/// The command in `fod` is about to wait for data of the initiator. Not 0: it is to end instead.
///
/// # Safety
///
/// `fod` must be a job whose command is executed.
#[no_mangle]
unsafe extern "C" fn nvmet_fc_begin_writedata(fod: *mut bindings::nvmet_fc_fcp_iod) -> c_int {
    // SAFETY: By the contract of this function.
    let fod: &Fod = unsafe { Fod::from_raw(fod.cast()) };
    match fod.begin_writedata() {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Makes the target queue `qid` of `assoc`, with `sqsize` jobs, in `assoc->queues`. Null: that
/// cannot be. May sleep.
///
/// # Safety
///
/// `assoc` must be valid, and have its port and number.
#[no_mangle]
unsafe extern "C" fn nvmet_fc_alloc_target_queue(
    assoc: *mut bindings::nvmet_fc_tgt_assoc,
    qid: u16,
    sqsize: u16,
) -> *mut bindings::nvmet_fc_tgt_queue {
    // SAFETY: By the contract of this function.
    let association = unsafe { Association::from_raw(assoc.cast()) };
    NonZeroU16::new(sqsize)
        .and_then(|size| Queue::create(association, qid, size).ok())
        .map_or(ptr::null_mut(), |queue| queue.cast())
}

/// Deletes a target queue: nothing is executed in it any more but what its late commands need to
/// come to their end. Gives up the association's reference. May sleep.
///
/// # Safety
///
/// Called once for each `queue` of `nvmet_fc_alloc_target_queue()`, by the association that it is
/// of.
#[no_mangle]
unsafe extern "C" fn nvmet_fc_delete_target_queue(queue: *mut bindings::nvmet_fc_tgt_queue) {
    // SAFETY: By the contract of this function the association's reference is given up here.
    let queue = unsafe { QueueRef::from_raw(queue.cast()) };
    queue.disconnect();
    if operations::close(&*queue) {
        // SAFETY: The queue was just closed, which happens once; C deletes queues in works of
        // `nvmet_wq` and where a controller is deleted.
        unsafe { queue.end() };
    }
}

c_module!(pub(crate) NvmetFc, c"nvmet_fc");

/// The module is loaded.
#[no_mangle]
extern "C" fn nvmet_fc_fcq_init() {
    statistics::show();
}

/// The module goes: there are no queues any more.
#[no_mangle]
extern "C" fn nvmet_fc_fcq_exit() {
    statistics::hide();
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
    nvmet_fc_rcv_fcp_req,
    nvmet_fc_rcv_fcp_abort,
    nvmet_fc_free_fcp_iod,
    nvmet_fc_fcp_rqst_op_defer_work,
    nvmet_fc_begin_writedata,
    nvmet_fc_alloc_target_queue,
    nvmet_fc_delete_target_queue,
    nvmet_fc_fcq_init,
    nvmet_fc_fcq_exit,
);
