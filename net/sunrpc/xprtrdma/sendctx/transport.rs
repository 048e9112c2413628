// SPDX-License-Identifier: GPL-2.0

//! The C structures of a transport, as far as Send contexts need them.
//!
//! C header: `net/sunrpc/xprtrdma/xprt_rdma.h`

use core::{
    cell::UnsafeCell,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    alloc::Flags,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        rcu, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    connection::Connection,
    ext::foreign::ForeignPtr,
    logic::ring::{
        BufferSpace,
        Ended,
        Slot, //
    },
    object::{
        c_object,
        CObject,
        Constant, //
    },
};

/// Of the addresses of a transport, the one that is shown to people.
const ADDRESS: usize = bindings::rpc_display_format_t_RPC_DISPLAY_ADDR as usize;

c_object! {
    /// A transport of the RPC client (`struct rpcrdma_xprt`).
    // SAFETY: C makes it with all its fields before it connects for the first time, and frees it
    // after the last connection. It sets `rx_ep` as a plain pointer. Nothing but Rust uses
    // `rb_sc_ctxs`, and C only reads `empty_sendctx_q`.
    pub(crate) unsafe struct Transport(bindings::rpcrdma_xprt) {
        fn xprt: Opaque<bindings::rpc_xprt> = rx_xprt;
        fn ep: Atomic<*mut bindings::rpcrdma_ep> = rx_ep;
        /// C's array of contexts; here a pointer to the [`Connection`].
        fn contexts: Atomic<*mut *mut bindings::rpcrdma_sendctx> = rx_buf.rb_sc_ctxs;
        fn empty_sendctx_q: Atomic<usize> = rx_stats.empty_sendctx_q;
    }
}

impl Transport {
    /// The connection endpoint.
    ///
    /// # Safety
    ///
    /// The transport has one until the result is no longer used.
    pub(crate) unsafe fn endpoint(&self) -> &Endpoint {
        // SAFETY: By the contract of this function.
        unsafe { Endpoint::from_raw(self.ep().load(Relaxed)) }
    }

    /// What there is for the connection, if [`Transport::begin()`] came after the last
    /// [`Transport::end()`].
    ///
    /// # Safety
    ///
    /// `end()` is not called until the result is no longer used.
    pub(crate) unsafe fn connection(&self) -> Option<&Connection> {
        // Acquire: pairs with `begin()`.
        let connection = self.contexts().load(Acquire).cast::<Connection>();
        // SAFETY: It is null, or comes from `begin()` and is freed after `end()`.
        unsafe { connection.as_ref() }
    }

    /// Keeps what there is for a new connection.
    pub(crate) fn begin(&self, connection: KBox<Connection>) {
        // Release: a completion that is made up comes at any time.
        self.contexts()
            .store(KBox::into_raw(connection).cast(), Release);
    }

    /// Takes what there was for a connection that has come to its end.
    ///
    /// # Safety
    ///
    /// No result of [`Transport::connection()`] is in use.
    pub(crate) unsafe fn end(&self) -> Option<KBox<Connection>> {
        let connection = self.contexts().load(Acquire).cast::<Connection>();
        self.contexts().store(ptr::null_mut(), Relaxed);
        // SAFETY: It comes from `begin()`, and by the contract of this function nobody uses it.
        (!connection.is_null()).then(|| unsafe { KBox::from_raw(connection) })
    }

    /// One more Send that had to wait because all contexts were in use.
    pub(crate) fn count_empty(&self) {
        let count = self.empty_sendctx_q();
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Closes the connection, if that is not on its way already; the RPC client then makes a new
    /// one.
    ///
    /// # Safety
    ///
    /// The caller is a completion handler of the transport's endpoint, which is not freed before
    /// the handler returns.
    pub(crate) unsafe fn force_disconnect(&self) {
        let ep = self.ep().load(Relaxed);
        if !ep.is_null() {
            // SAFETY: By the contract of this function.
            unsafe { bindings::rpcrdma_force_disconnect(ep) };
        }
    }

    /// Writes a warning that names the server.
    pub(crate) fn warn(&self, warning: &str) {
        let _guard = rcu::read_lock();
        // SAFETY: The array is there as long as the transport. Whoever changes an address does so
        // as a plain pointer.
        let address = unsafe {
            Atomic::from_ptr(&raw mut (*self.xprt().get()).address_strings[ADDRESS]).load(Acquire)
        };
        // SAFETY: It is a string, which is freed after an RCU grace period.
        let address = (!address.is_null()).then(|| unsafe { CStr::from_char_ptr(address) });
        pr_warn!("{}: {}\n", address.unwrap_or(c"?"), warning);
    }
}

impl BufferSpace for Transport {
    fn wait(&self) {
        // SAFETY: The transport is valid; the function sets a bit.
        unsafe { bindings::xprt_wait_for_buffer_space(self.xprt().get()) };
    }

    fn wake(&self) {
        // SAFETY: The transport is valid; the function may be called in any context.
        unsafe { bindings::xprt_write_space(self.xprt().get()) };
    }
}

c_object! {
    /// The endpoint of a connection (`struct rpcrdma_ep`).
    // SAFETY: Both are set before the endpoint is that of a transport.
    pub(crate) unsafe struct Endpoint(bindings::rpcrdma_ep) {
        /// Most requests that may be in progress at the same time, which the device and its
        /// attributes decide.
        pub(crate) fn max_requests: Constant<u32> = re_max_requests;
        /// Most work requests between two signalled Sends.
        pub(crate) fn send_batch: Constant<u32> = re_send_batch;
    }
}

c_object! {
    /// A Send context (`struct rpcrdma_sendctx`): what the device sends, and what is released when
    /// it is done with it.
    // SAFETY: C sets both while it builds the Send, and clears them when it is released.
    pub(crate) unsafe struct Context(bindings::rpcrdma_sendctx) {
        fn unmap_count: Atomic<u32> = sc_unmap_count;
        fn req: Atomic<*mut bindings::rpcrdma_req> = sc_req;
    }
}

impl Context {
    /// Number of pages that are mapped for this Send alone.
    fn mapped_pages(&self) -> usize {
        self.unmap_count().load(Relaxed) as usize
    }
}

/// All Send contexts of a connection.
///
/// # Invariants
///
/// Each comes from `rpcrdma_sendctx_create()`, and is not freed before the value is.
pub(crate) struct Contexts(KVec<ForeignPtr<bindings::rpcrdma_sendctx>>);

impl Contexts {
    /// Makes `number` contexts for the connection of `endpoint`. `ENOMEM`: all or none.
    pub(crate) fn new(endpoint: &Endpoint, number: usize, flags: Flags) -> Result<Self> {
        let mut contexts = Self(KVec::with_capacity(number, flags)?);
        for _ in 0..number {
            // SAFETY: The endpoint is valid.
            let context = unsafe { bindings::rpcrdma_sendctx_create(endpoint.as_raw()) };
            let context = NonNull::new(context).ok_or(ENOMEM)?;
            // SAFETY: Rust uses its fields by way of `Context` alone, and gives the pointer to C
            // functions that may have it: `kfree()` when nobody else does, and what releases it.
            let context = unsafe { ForeignPtr::new(context) };
            // INVARIANT: It was just made.
            contexts.0.push(context, flags)?;
        }
        Ok(contexts)
    }

    /// Number of pages that are mapped for the Send in the context at a place alone.
    pub(crate) fn mapped_pages(&self, slot: Slot) -> usize {
        self.at(slot).map_or(0, Context::mapped_pages)
    }

    /// The context at a place.
    pub(crate) fn at(&self, slot: Slot) -> Option<&Context> {
        let context = self.0.get(slot.index())?;
        // SAFETY: By the type invariant.
        Some(unsafe { Context::from_raw(context.as_ptr()) })
    }

    /// Whether `context` is the one at a place.
    pub(crate) fn is_at(&self, slot: Slot, context: *const bindings::rpcrdma_sendctx) -> bool {
        self.0
            .get(slot.index())
            .is_some_and(|other| ptr::eq(other.as_ptr(), context))
    }
}

impl Ended<'_, Contexts> {
    /// Unmaps what was mapped for the Send, and gives up its reference to the request. Returns the
    /// number of pages that were mapped.
    pub(crate) fn release(self) -> usize {
        let (contexts, slot) = self.parts();
        let Some(context) = contexts.at(slot) else {
            return 0;
        };
        let pages = context.mapped_pages();
        if !context.req().load(Relaxed).is_null() {
            // SAFETY: A context that has a request was built for a Send, to the end: C clears the
            // field when it fails to, before it gives the context back. The last step was to take
            // a reference to the request. The ring of these very contexts says that the device
            // does not use it, and says so once.
            unsafe { bindings::rpcrdma_sendctx_unmap(context.as_raw()) };
        }
        pages
    }
}

impl Drop for Contexts {
    fn drop(&mut self) {
        for context in &self.0 {
            // SAFETY: By the type invariant; C allocates them with `kzalloc()`.
            unsafe { bindings::kfree(context.as_ptr().cast()) };
        }
    }
}

/// A value that one thread at a time uses, as C's rules have it.
pub(crate) struct Serialized<T>(UnsafeCell<T>);

// SAFETY: Whoever gets at the value promises that nobody else does.
unsafe impl<T: Send> Sync for Serialized<T> {}

impl<T> Serialized<T> {
    /// Takes the value.
    pub(crate) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value.
    ///
    /// # Safety
    ///
    /// Nobody else has it until the result is no longer used.
    #[expect(
        clippy::mut_from_ref,
        reason = "the caller promises that there is no other"
    )]
    pub(crate) unsafe fn get(&self) -> &mut T {
        // SAFETY: By the contract of this function.
        unsafe { &mut *self.0.get() }
    }

    /// Takes the value out.
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}
