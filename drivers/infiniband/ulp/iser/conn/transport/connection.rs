// SPDX-License-Identifier: GPL-2.0

//! A connection, and its mutex.

use core::{
    cell::UnsafeCell,
    mem,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*,
    sync::{
        lock::mutex::MutexGuard,
        Arc,
        ArcBorrow, //
    },
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    types::Opaque, //
};

use super::{
    cm::CmEvent,
    iscsi::{
        IscsiConn,
        StopRequest, //
    },
    owner::{
        CmOwner,
        Owner, //
    },
    work::Work, //
};
use crate::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    bindings,
    ext::foreign::Foreign,
    lock::Mutex,
    logic::{
        action::Actions,
        drain::PASSES,
        event::Event,
        failure::{
            is_news,
            Failure, //
        },
        state::{
            step,
            Id,
            Link,
            State, //
        },
    },
    object::{
        c_object,
        CObject, //
    },
};

/// Where the link of the list of connections is.
pub(super) const CONN_LIST: usize = mem::offset_of!(bindings::iser_conn, conn_list);

/// Where the work item is.
pub(super) const WORK: usize = mem::offset_of!(Connection, work);

/// What a connection has of the device, besides queue pair and buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InUse {
    /// Nothing.
    Nothing,
    /// Tasks may be mapped.
    Tasks,
    /// That, and what was posted to the queue pair.
    Posted,
}

c_object! {
    /// A connection (`struct iser_conn`).
    ///
    /// # Invariants
    ///
    /// It is in an [`Arc`]. `state` and `in_use` are used with the mutex held. Of the pointers:
    ///
    /// - `ep` is null, or with the list of connections locked an endpoint that owns it.
    /// - `iscsi_conn` is null or valid with the mutex held, or in a completion of the queue pair.
    ///   There is none of these unless `in_use` is `Posted`.
    /// - `cma_id` is null or valid with the mutex held; its context owns the connection.
    /// - `qp`, `device` and `buffers` are null or valid with the mutex held. There is a device
    ///   unless `in_use` is `Nothing`.
    // SAFETY: `new()` has C initialise it. C changes neither mutex nor completion, and what is seen
    // as atomic as plain words.
    pub(crate) unsafe struct Connection(bindings::iser_conn) {
        fn mutex: Mutex = state_mutex;
        fn up: Opaque<bindings::completion> = up_completion;
        pub(super) fn ep: Atomic<*mut bindings::iscsi_endpoint> = ep;
        /// Changed with the mutex held. C only reads it.
        fn published: Atomic<u32> = state;
        fn iscsi_conn: Atomic<*mut bindings::iscsi_conn> = iscsi_conn;
        fn cma_id: Atomic<*mut bindings::rdma_cm_id> = ib_conn.cma_id;
        fn qp: Atomic<*mut bindings::ib_qp> = ib_conn.qp;
        fn cq: Atomic<*mut bindings::ib_cq> = ib_conn.cq;
        fn cq_size: Atomic<u32> = ib_conn.cq_size;
        fn device: Atomic<*mut bindings::iser_device> = ib_conn.device;
        fn buffers: Atomic<*mut bindings::iser_rx_desc> = rx_descs;
        pub(super) fn link: Opaque<bindings::list_head> = conn_list;
    }
    + {
        #[pin]
        pub(super) work: Foreign<bindings::delayed_work>,
        state: UnsafeCell<State>,
        in_use: UnsafeCell<InUse>,
        pub(super) live: Atomic<u32>,
        failure: Failure,
    }
}

// SAFETY: All threads use it, as the type invariant has it.
unsafe impl Send for Connection {}
// SAFETY: As above.
unsafe impl Sync for Connection {}

impl Connection {
    /// Makes a connection that nobody owns.
    pub(super) fn new() -> Result<Arc<Self>> {
        let init = |c: *mut bindings::iser_conn| {
            // SAFETY: It is memory for one, which nobody else uses; all that `iser_conn_init()` and
            // its users do not set is zero.
            unsafe {
                c.write_bytes(0, 1);
                bindings::iser_conn_init(c);
            }
        };
        // INVARIANT: All pointers are null.
        Arc::pin_init(
            pin_init!(Self {
                c <- Opaque::ffi_init(init),
                // SAFETY: The helper initialises the whole struct; workqueues do their own locking.
                work <- unsafe {
                    Foreign::ffi_init(|work| {
                        bindings::init_delayed_work(work, Some(Work::run));
                    })
                },
                state: UnsafeCell::new(State::NEW),
                in_use: UnsafeCell::new(InUse::Nothing),
                live: Atomic::new(0),
                failure: Failure::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// A reference to it.
    pub(crate) fn to_arc(&self) -> Arc<Self> {
        // SAFETY: By the type invariant it is in an `Arc`, and as there is a reference to it, it is
        // not being freed.
        unsafe { ArcBorrow::from_raw(self) }.into()
    }

    /// Locks its mutex. May sleep.
    pub(crate) fn lock(&self) -> Locked<'_> {
        // INVARIANT: It is held until the guard is dropped.
        Locked {
            connection: self,
            _guard: self.mutex().lock(),
        }
    }

    /// Waits until it is there or fails, or the time is over. May sleep.
    ///
    /// Errors: `ERESTARTSYS` if there is a signal.
    pub(crate) fn wait_up(&self, timeout_ms: Option<c_int>) -> Result {
        // CAST: As in C, below 0 is without end.
        let jiffies = msecs_to_jiffies(timeout_ms.unwrap_or(-1) as Msecs);
        // SAFETY: It is initialised.
        let left = unsafe {
            bindings::wait_for_completion_interruptible_timeout(self.up().get(), jiffies)
        };
        if left < 0 {
            return Err(ERESTARTSYS);
        }
        Ok(())
    }

    /// How far it has come, for those who do not lock it. Any context.
    pub(crate) fn seen(&self) -> Link {
        match self.published().load(Relaxed) {
            bindings::iser_conn_state_ISER_CONN_INIT => Link::Idle,
            bindings::iser_conn_state_ISER_CONN_PENDING => Link::Pending,
            bindings::iser_conn_state_ISER_CONN_UP => Link::Up,
            bindings::iser_conn_state_ISER_CONN_TERMINATING => Link::Terminating,
            _ => Link::Down,
        }
    }

    /// A completion has found that it does not work: iSCSI is told, if that is news, and unless it
    /// was. Any context.
    ///
    /// # Safety
    ///
    /// The caller is a completion of what was posted to its queue pair.
    pub(crate) unsafe fn completed_with(&self, error: bindings::iscsi_err) {
        if is_news(self.seen()) {
            // SAFETY: By the contract of this function; it is drained before it is unbound.
            unsafe { self.report(error) };
        }
    }

    /// iSCSI is told that the connection has failed, unless it was, or is not bound. Any context.
    ///
    /// # Safety
    ///
    /// It is not unbound until this returns.
    unsafe fn report(&self, error: bindings::iscsi_err) {
        let conn = self.iscsi_conn().load(Relaxed);
        if !conn.is_null() && self.failure.is_first() {
            // SAFETY: By the contract of this function and the type invariant.
            unsafe { bindings::iscsi_conn_failure(conn, error) };
        }
    }

    /// Whether there is a CM id.
    pub(super) fn has_id(&self) -> bool {
        !self.cma_id().load(Relaxed).is_null()
    }
}

/// A connection whose mutex is held.
///
/// # Invariants
///
/// The mutex is held as long as the value is there.
pub(crate) struct Locked<'a> {
    connection: &'a Connection,
    _guard: MutexGuard<'a, ()>,
}

impl<'a> Locked<'a> {
    /// The connection.
    pub(crate) fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// Its state.
    pub(crate) fn state(&self) -> State {
        // SAFETY: By the invariants nobody changes it now.
        unsafe { *self.connection.state.get() }
    }

    /// An event has happened: changes the state. What is done then is up to the caller.
    pub(crate) fn step(&mut self, event: Event) -> Actions {
        let (state, actions) = step(self.state(), event);
        // SAFETY: By the invariants nobody else uses it now.
        unsafe { *self.connection.state.get() = state };
        actions
    }

    /// Everybody sees how far it has come. Waits until nobody gives a task who has not.
    pub(crate) fn publish(&self) {
        let word = match self.state().link() {
            Link::Idle => bindings::iser_conn_state_ISER_CONN_INIT,
            Link::Pending => bindings::iser_conn_state_ISER_CONN_PENDING,
            Link::Up => bindings::iser_conn_state_ISER_CONN_UP,
            Link::Terminating => bindings::iser_conn_state_ISER_CONN_TERMINATING,
            Link::Down => bindings::iser_conn_state_ISER_CONN_DOWN,
        };
        self.connection.published().store(word, Relaxed);
        if let Some(conn) = self.iscsi_conn() {
            // Tasks are given with a lock of libiscsi held.
            // SAFETY: By the type invariant it is valid.
            unsafe { bindings::iscsi_lock_barrier(conn.as_ptr()) };
        }
    }

    fn raw(&self) -> *mut bindings::iser_conn {
        self.connection.as_raw()
    }

    fn id(&self) -> Option<NonNull<bindings::rdma_cm_id>> {
        NonNull::new(self.connection.cma_id().load(Relaxed))
    }

    fn iscsi_conn(&self) -> Option<NonNull<bindings::iscsi_conn>> {
        NonNull::new(self.connection.iscsi_conn().load(Relaxed))
    }

    fn qp(&self) -> Option<NonNull<bindings::ib_qp>> {
        NonNull::new(self.connection.qp().load(Relaxed))
    }

    fn in_use(&self) -> InUse {
        // SAFETY: By the invariants nobody changes it now.
        unsafe { *self.connection.in_use.get() }
    }

    fn has_device(&self) -> bool {
        !self.connection.device().load(Relaxed).is_null()
    }

    fn has_buffers(&self) -> bool {
        !self.connection.buffers().load(Relaxed).is_null()
    }

    fn set_in_use(&mut self, in_use: InUse) {
        // SAFETY: By the invariants nobody else uses it now.
        unsafe { *self.connection.in_use.get() = in_use };
    }

    /// Makes the CM id, and has it resolve the address. True: there is one, of which the context
    /// owns the connection from now on.
    ///
    /// # Safety
    ///
    /// `address` is a socket address of the size that its family has. It is the first call.
    pub(crate) unsafe fn connect(&mut self, address: *mut bindings::sockaddr) -> (bool, Result) {
        // SAFETY: By the contract of this function. Its handler waits for the mutex.
        let result = unsafe { bindings::iser_connect(self.raw(), ptr::null_mut(), address, 1) };
        let made = self.connection.has_id();
        if made {
            // INVARIANT: The context, which is the connection.
            mem::forget(self.connection.to_arc());
        }
        (made, to_result(result))
    }

    /// The CM id, if this is its handler.
    fn handled_id(&self, told: &CmEvent<'_>) -> Result<NonNull<bindings::rdma_cm_id>> {
        self.id().filter(|id| told.is_for(*id)).ok_or(ENOTCONN)
    }

    /// Goes on with an address that is resolved, in the handler.
    pub(crate) fn resolve_route(&self, told: &CmEvent<'_>) -> Result {
        let id = self.handled_id(told)?;
        // SAFETY: This is its handler.
        to_result(unsafe { bindings::iser_addr_handler(id.as_ptr()) })
    }

    /// Goes on with a route that is resolved, in the handler.
    pub(crate) fn send_request(&self, told: &CmEvent<'_>) -> Result {
        let id = self.handled_id(told)?;
        if !self.has_device() {
            return Err(ENOTCONN);
        }
        // SAFETY: This is its handler; there is a device.
        to_result(unsafe { bindings::iser_route_handler(id.as_ptr()) })
    }

    /// The peer has accepted a connection that is being made.
    pub(crate) fn accepted(&self, told: &CmEvent<'_>) {
        let id = self.handled_id(told);
        if let (Link::Pending, Ok(id), Some(_)) = (self.state().link(), id, self.qp()) {
            // SAFETY: This is its handler; there is a queue pair.
            unsafe { bindings::iser_connected_handler(id.as_ptr(), told.private_data()) };
        }
    }

    /// Those who wait for the connection look again.
    pub(crate) fn wake(&self) {
        // SAFETY: It is initialised.
        unsafe { bindings::complete_all(self.connection.up().get()) };
    }

    /// Allocates what an iSCSI connection needs of the device. `EINVAL`: one is bound, or the
    /// connection is not up.
    pub(crate) fn alloc_buffers(&self, conn: &IscsiConn) -> Result {
        let is_free = !conn.is_bound() && self.iscsi_conn().is_none();
        if !is_free || !self.has_device() || !self.state().takes_binding() {
            return Err(EINVAL);
        }
        // SAFETY: There is a device. Up and not bound, it has no buffers. A session has its
        // connections until they are destroyed.
        to_result(unsafe { bindings::iser_alloc_rx_descriptors(self.raw(), conn.session()) })
    }

    /// Binds `conn` and the connection to each other. From now on, things are posted.
    pub(crate) fn attach(&mut self, conn: &IscsiConn) {
        let is_free = !conn.is_bound() && self.iscsi_conn().is_none();
        // What is posted, and where.
        let has_all = self.has_buffers() && self.qp().is_some();
        if !kernel::warn_on!(!is_free || !has_all) {
            self.set_in_use(InUse::Posted);
            // INVARIANT: The iSCSI connection is valid until it is destroyed, and then not bound.
            self.connection.iscsi_conn().store(conn.as_raw(), Relaxed);
            conn.attach(self.connection.to_arc());
        }
    }

    /// iSCSI gives no more commands; those that it is just giving are waited for.
    pub(crate) fn suspend(&self) {
        if let Some(conn) = self.iscsi_conn() {
            // SAFETY: By the type invariant it is valid.
            unsafe { bindings::iscsi_suspend_queue(conn.as_ptr()) };
        }
    }

    /// Stops the queue pair, and has the CM disconnect, or answer.
    pub(crate) fn disconnect(&self) {
        if let Some(id) = self.id() {
            // SAFETY: By the type invariant it is valid.
            let result = unsafe { bindings::rdma_disconnect(id.as_ptr()) };
            if result != 0 {
                pr_err!("Failed to disconnect, err {}\n", result);
            }
        }
    }

    /// Waits until the device has done with what was posted.
    pub(crate) fn drain(&mut self) {
        if let Some(qp) = self.qp() {
            for _ in 0..PASSES {
                // SAFETY: By the type invariant it is valid.
                unsafe { bindings::ib_drain_qp(qp.as_ptr()) };
            }
        }
        // Otherwise iSCSI goes on giving tasks.
        let ended = !kernel::warn_on!(self.connection.seen() == Link::Up);
        if ended && self.in_use() == InUse::Posted {
            self.set_in_use(InUse::Tasks);
        }
    }

    /// Tasks give up what they have of the device, whoever has a reference to them. It was drained.
    pub(crate) fn unmap(&mut self) {
        if kernel::warn_on!(self.in_use() == InUse::Posted) {
            return;
        }
        if let Some(conn) = self.iscsi_conn() {
            // SAFETY: By the type invariants it is valid, and there is a device if it was used.
            unsafe { bindings::iser_unmap_tasks(conn.as_ptr()) };
        }
        self.set_in_use(InUse::Nothing);
    }

    /// It must have been drained, and tasks unmapped.
    fn expect_unused(&mut self) {
        if kernel::warn_on!(self.in_use() != InUse::Nothing) {
            self.drain();
            self.unmap();
        }
    }

    /// Stops the iSCSI connection, and unbinds it. Nothing is in use any more.
    pub(crate) fn stop_iscsi(&mut self, request: &StopRequest<'_>) {
        let is_bound = self.iscsi_conn().is_some_and(|conn| request.is_for(conn));
        if kernel::warn_on!(!is_bound) {
            return;
        }
        self.expect_unused();
        request.stop();
        self.connection.iscsi_conn().store(ptr::null_mut(), Relaxed);
    }

    /// iSCSI is told that the connection has failed, unless it was.
    pub(crate) fn report(&self) {
        // SAFETY: The mutex is held.
        unsafe {
            self.connection
                .report(bindings::iscsi_err_ISCSI_ERR_CONN_FAILED);
        }
    }

    /// Gives the CM id up, and with it queue pair, buffers and device. Nothing is in use any more.
    pub(crate) fn take_id(&mut self) -> Option<CmId> {
        // Handlers and others use it.
        if kernel::warn_on!(self.state().id() != Id::Destroying) {
            return None;
        }
        self.expect_unused();
        let id = self.connection.cma_id().xchg(ptr::null_mut(), Relaxed);
        let id = NonNull::new(id)?;
        let qp = self.connection.qp().xchg(ptr::null_mut(), Relaxed);
        // SAFETY: There was an id, of which the context owns the connection. It is taken once.
        let owner = unsafe { Owner::from_raw(NonNull::from_ref(self.connection).cast()) };
        // INVARIANT: They were just taken.
        Some(CmId {
            id,
            has_qp: !qp.is_null(),
            owner,
        })
    }

    /// Gives up buffers and device. The queue pair is destroyed.
    fn free_buffers(&mut self) {
        if kernel::warn_on!(self.in_use() != InUse::Nothing || self.qp().is_some()) {
            return;
        }
        // SAFETY: Nothing is posted or mapped. There is no queue pair. It may be called more than
        // once.
        unsafe { bindings::iser_free_ib_conn_res(self.raw(), true) };
    }
}

/// A CM id that the connection has given up, with what owns the connection as long as there are
/// handlers, and its queue pair.
///
/// # Invariants
///
/// It is valid, and nobody else destroys it. If `has_qp`, it has a queue pair with the completion
/// queue of the connection, which nobody uses.
#[must_use = "it is to be destroyed"]
pub(crate) struct CmId {
    id: NonNull<bindings::rdma_cm_id>,
    has_qp: bool,
    owner: Owner<CmOwner>,
}

impl CmId {
    /// Destroys it and its queue pair, and gives up the device. May sleep. Waits for handlers that
    /// run: so do some devices before a queue pair goes. There are none from now on.
    ///
    /// # Safety
    ///
    /// Not with the mutex of the connection held, nor in a handler of a CM id.
    pub(super) unsafe fn destroy(self) {
        let Self { id, has_qp, owner } = self;
        if has_qp {
            let (cq, size) = (owner.cq().load(Relaxed), owner.cq_size().load(Relaxed));
            // SAFETY: By the type invariants. The completion queue was got with that size.
            unsafe {
                bindings::rdma_destroy_qp(id.as_ptr());
                bindings::ib_cq_pool_put(cq, size);
            }
        }
        owner.lock().free_buffers();
        // SAFETY: By the type invariant and the contract of this function.
        unsafe { bindings::rdma_destroy_id(id.as_ptr()) };
    }
}
