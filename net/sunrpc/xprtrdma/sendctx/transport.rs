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
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    connection::Connection,
    ext::{
        debugfs,
        foreign::ForeignPtr,
        memalloc::NoIoScope,
        module::c_module, //
    },
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

    /// Whether there is a connection.
    pub(crate) fn is_begun(&self) -> bool {
        !self.contexts().load(Relaxed).is_null()
    }

    /// Keeps what there is for a new connection. If there is one already, it is there for ever.
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
    pub(crate) fn force_disconnect(&self) {
        let ep = self.ep().load(Relaxed);
        if !ep.is_null() {
            // SAFETY: The transport's endpoint is valid as long as it is set.
            unsafe { bindings::rpcrdma_force_disconnect(ep) };
        }
    }

    /// The transport's directory in debugfs, as long as it has one.
    fn debugfs(&self) -> Option<NonNull<bindings::dentry>> {
        #[cfg(CONFIG_SUNRPC_DEBUG)]
        // SAFETY: C sets the pointer before it connects, and clears it after it has stopped
        // connecting.
        let dir = unsafe { (*self.xprt().get()).debugfs };
        #[cfg(not(CONFIG_SUNRPC_DEBUG))]
        let dir = ptr::null_mut();
        NonNull::new(dir)
    }

    /// The server's address, for messages.
    pub(crate) fn address(&self) -> &CStr {
        let xprt = self.xprt().get();
        // SAFETY: C sets the addresses when it makes the transport, and frees them with it.
        let address = unsafe {
            (*xprt).address_strings[bindings::rpc_display_format_t_RPC_DISPLAY_ADDR as usize]
        };
        if address.is_null() {
            return c"?";
        }
        // SAFETY: As above.
        unsafe { CStr::from_char_ptr(address) }
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
    pub(crate) fn mapped_pages(&self) -> usize {
        self.unmap_count().load(Relaxed) as usize
    }
}

c_module!(Rpcrdma, c"rpcrdma");

/// The file in the transport's directory in debugfs that shows a connection.
pub(crate) struct StateFile<T>(debugfs::Guest<T>);

impl<T: debugfs::Show> StateFile<T> {
    /// Makes the file, with what `value` shows. `None`: the kernel has no such directory.
    pub(crate) fn new(transport: &Transport, value: Arc<T>) -> Option<Self> {
        // Memory is not to be reclaimed by writing to the server, which takes the connection.
        let _scope = NoIoScope::enter();
        let dir = transport.debugfs()?;
        // SAFETY: The RPC client removes the directory only after it has locked out whoever
        // connects (`XPRT_LOCKED`), and sets the pointer to null then.
        Some(Self(unsafe {
            debugfs::Guest::new::<Rpcrdma>(dir, c"sendctx", value)
        }))
    }

    /// Removes the file, and waits for readers.
    pub(crate) fn remove(self, transport: &Transport) {
        let _scope = NoIoScope::enter();
        // SAFETY: As above; the RPC client clears its pointer when it removes the directory, which
        // it does before it gives up the transport.
        unsafe { self.0.remove(transport.debugfs()) };
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
    pub(crate) fn new(endpoint: &Endpoint, number: usize) -> Result<Self> {
        // As in C, memory that is not there at once is not waited for: this may be called to free
        // some.
        let flags = GFP_NOWAIT | __GFP_NOWARN;
        let mut contexts = Self(KVec::with_capacity(number, flags)?);
        for _ in 0..number {
            // SAFETY: The endpoint is valid.
            let context = unsafe { bindings::rpcrdma_sendctx_create(endpoint.as_raw()) };
            let context = NonNull::new(context).ok_or(ENOMEM)?;
            // SAFETY: Who uses its fields does so by way of `Context`.
            let context = unsafe { ForeignPtr::new(context) };
            // INVARIANT: It was just made.
            contexts.0.push(context, flags)?;
        }
        Ok(contexts)
    }

    /// How many there are.
    pub(crate) fn number(&self) -> usize {
        self.0.len()
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
            // SAFETY: The context has been built for a Send of the request, which C has taken a
            // reference for. The ring of these very contexts says that the device does not use
            // it, and says so once.
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
