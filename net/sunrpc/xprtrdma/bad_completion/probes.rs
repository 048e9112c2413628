// SPDX-License-Identifier: GPL-2.0

//! Probes of rpcrdma's tracepoints, and what they see of C.
//!
//! C headers: `include/linux/tracepoint.h`, `include/trace/events/rpcrdma.h`,
//! `include/rdma/ib_verbs.h`, `net/sunrpc/xprtrdma/xprt_rdma.h`

use core::{
    ffi::c_void,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_uint,
        c_ulong, //
    },
    prelude::*,
    str::CStr,
    types::Opaque, //
};

use crate::{
    bindings,
    completed,
    marshalled, //
};

/// The module whose tracepoints these are.
const MODULE: &[u8] = b"rpcrdma";

/// A Send context, by its address. It may be gone.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    /// Number of the completion queue, which the RDMA core gives out in turn.
    queue: u32,
    context: NonNull<bindings::rpcrdma_sendctx>,
}

// SAFETY: An address, which is looked at only as `Completion::is_free()` says.
unsafe impl Send for Context {}

/// Memory in place of a Send context which belongs to no connection.
#[repr(align(64))]
struct Unknown(Opaque<[u8; size_of::<bindings::rpcrdma_sendctx>()]>);

// SAFETY: Nobody writes it.
unsafe impl Sync for Unknown {}

static UNKNOWN: Unknown = Unknown(Opaque::new([0; _]));

impl Context {
    /// One that belongs to no connection.
    pub(crate) fn unknown() -> Self {
        Self {
            queue: 0,
            // A static has an address.
            context: NonNull::from(&UNKNOWN.0).cast(),
        }
    }

    /// # Safety
    ///
    /// `context` must be valid.
    unsafe fn new(context: NonNull<bindings::rpcrdma_sendctx>) -> Self {
        // SAFETY: By the contract of this function; the number does not change.
        let queue = unsafe { (*context.as_ptr()).sc_cid.ci_queue_id };
        Self { queue, context }
    }
}

/// The completion of a Send that rpcrdma is about to handle.
///
/// # Invariants
///
/// The completion and what it points to are valid, and so is the Send context that it names, whose
/// connection is there until the handler returns. The caller is the completion queue's handler, of
/// which there is one at a time.
pub(crate) struct Completion<'a> {
    wc: &'a bindings::ib_wc,
    context: Context,
}

impl Completion<'_> {
    /// Whether the Send went well, so that the fields of the completion say something.
    pub(crate) fn is_good(&self) -> bool {
        self.wc.status == bindings::ib_wc_status_IB_WC_SUCCESS && !self.wc.qp.is_null()
    }

    /// The context of the Send.
    pub(crate) fn context(&self) -> Context {
        self.context
    }

    /// Whether `context` belongs to the same connection.
    pub(crate) fn is_of_queue(&self, context: &Context) -> bool {
        self.context.queue == context.queue
    }

    /// Whether no Send uses `context`, if it is of this connection.
    pub(crate) fn is_free(&self, context: &Context) -> bool {
        if !self.is_of_queue(context) {
            return false;
        }
        // SAFETY: It is of this connection, so that by the type invariant it is valid.
        unsafe { (&raw const (*context.context.as_ptr()).sc_req).read_volatile() }.is_null()
    }

    /// Calls the completion handler as if the Send in `context` had completed.
    pub(crate) fn repeat(&self, context: Context) {
        // SAFETY: It is valid, and nothing happens when it or its copy goes.
        let mut wc = unsafe { ptr::read(self.wc) };
        // SAFETY: By the type invariant; it names a completion queue entry in a Send context.
        let done = unsafe { (**wc.__bindgen_anon_1.wr_cqe.as_ref()).done };
        // SAFETY: By the type invariant the queue pair is valid, and has not changed its queue.
        let queue = unsafe { (*wc.qp).send_cq };
        // SAFETY: Nothing is read. This field of the union is the one that completions have.
        unsafe {
            let cqe = &raw mut (*context.context.as_ptr()).sc_cqe;
            *wc.__bindgen_anon_1.wr_cqe.as_mut() = cqe;
        }
        if let Some(done) = done {
            // SAFETY: By the type invariant the caller may handle completions of this queue. That
            // this one names no Send of the device is what is tried here.
            unsafe { done(queue, &raw mut wc) };
        }
    }
}

/// Probe of `xprtrdma_wc_send`.
///
/// # Safety
///
/// Called at that tracepoint.
unsafe extern "C" fn on_completion(
    _data: *mut c_void,
    wc: *const bindings::ib_wc,
    _cid: *const bindings::rpc_rdma_cid,
) {
    // SAFETY: The tracepoint is at the beginning of the completion handler, with its arguments.
    let (wc, context) = unsafe {
        let wc = &*wc;
        let cqe = *wc.__bindgen_anon_1.wr_cqe.as_ref();
        let context = kernel::container_of!(cqe, bindings::rpcrdma_sendctx, sc_cqe);
        (wc, NonNull::new(context))
    };
    if let Some(context) = context {
        // SAFETY: The handler has just read the context itself.
        let context = unsafe { Context::new(context) };
        // INVARIANT: As above; the connection ends after its queue was drained.
        completed(&Completion { wc, context });
    }
}

/// Probe of `xprtrdma_marshal`.
///
/// # Safety
///
/// Called at that tracepoint.
unsafe extern "C" fn on_marshal(
    _data: *mut c_void,
    req: *const bindings::rpcrdma_req,
    _rtype: c_uint,
    _wtype: c_uint,
) {
    // SAFETY: The tracepoint is called with a request that has taken its context, by the thread
    // that has the transport's send lock.
    let context = unsafe { NonNull::new((*req).rl_sendctx) };
    if let Some(context) = context {
        // SAFETY: As above.
        marshalled(unsafe { Context::new(context) });
    }
}

/// The probe for the tracepoint of a name.
fn probe_of(name: &[u8]) -> Option<*mut c_void> {
    match name {
        b"xprtrdma_wc_send" => {
            let probe: unsafe extern "C" fn(_, _, _) = on_completion;
            Some(probe as *mut c_void)
        }
        b"xprtrdma_marshal" => {
            let probe: unsafe extern "C" fn(_, _, _, _) = on_marshal;
            Some(probe as *mut c_void)
        }
        _ => None,
    }
}

/// The kernel's list of who is told of modules with tracepoints.
struct Notifier(Opaque<bindings::notifier_block>);

// SAFETY: Only the kernel uses it, under a lock of its own.
unsafe impl Sync for Notifier {}

static NOTIFIER: Notifier = Notifier(Opaque::new(bindings::notifier_block {
    notifier_call: Some(on_module),
    next: ptr::null_mut(),
    priority: 0,
}));

/// # Safety
///
/// Called for a module with tracepoints, by the list of [`NOTIFIER`].
unsafe extern "C" fn on_module(
    _block: *mut bindings::notifier_block,
    action: c_ulong,
    data: *mut c_void,
) -> c_int {
    // SAFETY: By the contract of this function; the module stays until this returns.
    let module = unsafe { &*(*data.cast::<bindings::tp_module>()).mod_ };
    // SAFETY: It ends with a zero.
    if unsafe { CStr::from_char_ptr(module.name.as_ptr()) }.to_bytes() != MODULE {
        return bindings::NOTIFY_DONE as c_int;
    }
    for number in 0..module.num_tracepoints as usize {
        // SAFETY: The module has so many.
        let tracepoint = unsafe {
            let pointer = module.tracepoints_ptrs.cast_mut().add(number);
            bindings::tracepoint_ptr_deref(pointer)
        };
        // SAFETY: It is valid, and its name ends with a zero.
        let name = unsafe { CStr::from_char_ptr((*tracepoint).name) };
        let Some(probe) = probe_of(name.to_bytes()) else {
            continue;
        };
        let none = ptr::null_mut();
        let done = match action as bindings::module_state {
            // SAFETY: The probe is for this tracepoint. It is unregistered before either module
            // goes.
            bindings::module_state_MODULE_STATE_COMING => unsafe {
                bindings::tracepoint_probe_register(tracepoint, probe, none)
            },
            // SAFETY: The tracepoint is still there.
            bindings::module_state_MODULE_STATE_GOING => unsafe {
                bindings::tracepoint_probe_unregister(tracepoint, probe, none)
            },
            _ => 0,
        };
        if let Err(error) = to_result(done) {
            pr_err!("{}: {}\n", name.to_str().unwrap_or("?"), error.to_errno());
        }
    }
    bindings::NOTIFY_DONE as c_int
}

/// The probes, as long as this is there: of rpcrdma, whenever that is loaded.
pub(crate) struct Probes(());

impl Probes {
    /// Puts the probes where they belong.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: `drop` unregisters it before this module goes.
        to_result(unsafe { bindings::register_tracepoint_module_notifier(NOTIFIER.0.get()) })?;
        Ok(Self(()))
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        // SAFETY: It was registered. The kernel tells it that each module goes.
        unsafe { bindings::unregister_tracepoint_module_notifier(NOTIFIER.0.get()) };
        // SAFETY: May sleep; waits for probes that are under way.
        unsafe { bindings::tracepoint_synchronize_unregister() };
    }
}
