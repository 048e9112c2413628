// SPDX-License-Identifier: GPL-2.0

//! Endpoints and connections of the iSCSI transport class.
//!
//! C headers: `include/scsi/scsi_transport_iscsi.h`, `include/scsi/libiscsi.h`

use core::{
    mem,
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
    sync::Arc, //
};

use super::{
    connection::Connection,
    connections::Connections,
    owner::{
        BindingOwner,
        EndpointOwner,
        Owner, //
    },
};
use crate::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    bindings,
    lock::Mutex,
    object::{
        self,
        c_object,
        CObject,
        Constant, //
    },
};

c_object! {
    /// An endpoint, by which user space knows a connection (`struct iscsi_endpoint`).
    ///
    /// Perhaps it is one of another transport: user space gives numbers.
    // SAFETY: `dd_data` of those that have a connection is C's to read only.
    pub(crate) unsafe struct Endpoint(bindings::iscsi_endpoint) {
        /// The owner, or null. Changed with the list of connections locked.
        fn dd_data: Atomic<*mut c_void> = dd_data;
    }
}

impl Endpoint {
    /// Makes an endpoint with a connection that it owns. Returns both.
    pub(crate) fn create() -> Result<(NonNull<bindings::iscsi_endpoint>, Arc<Connection>)> {
        let connection = Connection::new()?;
        // SAFETY: It may be called at any time.
        let raw = NonNull::new(unsafe { bindings::iscsi_create_endpoint(0) }).ok_or(ENOMEM)?;
        // SAFETY: It is not destroyed before it has given up the connection.
        let endpoint = unsafe { Self::from_raw(raw.as_ptr()) };
        let connections = Connections::lock();
        let owner = Owner::<EndpointOwner>::new(connection.clone());
        endpoint.dd_data().store(owner.into_raw(), Relaxed);
        // INVARIANT: It is valid, has an owner, and is not destroyed before that is taken out.
        connection.ep().store(raw.as_ptr(), Relaxed);
        connections.add(&connection);
        Ok((raw, connection))
    }

    /// Its connection, unless it has given it up.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.find(&Connections::lock())
    }

    /// Takes the owner out, unless that was done.
    pub(crate) fn take_owner(&self) -> Option<TakenEndpoint> {
        let connections = Connections::lock();
        self.find(&connections)?.take_locked(&connections)
    }

    fn find(&self, connections: &Connections) -> Option<Arc<Connection>> {
        connections.find(|connection| connection.ep().load(Relaxed) == self.as_raw())
    }
}

impl Connection {
    /// Takes the owner out of the endpoint, if there is one that has not given it up.
    pub(crate) fn take_endpoint(&self) -> Option<TakenEndpoint> {
        self.take_locked(&Connections::lock())
    }

    fn take_locked(&self, _connections: &Connections) -> Option<TakenEndpoint> {
        let raw = NonNull::new(self.ep().xchg(ptr::null_mut(), Relaxed))?;
        // SAFETY: By the type invariant, and the list is locked.
        let endpoint = unsafe { Endpoint::from_raw(raw.as_ptr()) };
        let owner = NonNull::new(endpoint.dd_data().xchg(ptr::null_mut(), Relaxed))?;
        // INVARIANT: It was just taken out.
        Some(TakenEndpoint {
            // SAFETY: By the type invariant it was the owner, which was just taken out.
            owner: unsafe { Owner::from_raw(owner) },
            endpoint: raw,
        })
    }
}

/// An endpoint that is giving up its connection, and is to be destroyed.
///
/// # Invariants
///
/// `endpoint` is valid, and nobody else destroys it.
#[must_use = "the endpoint is to be destroyed"]
pub(crate) struct TakenEndpoint {
    owner: Owner<EndpointOwner>,
    endpoint: NonNull<bindings::iscsi_endpoint>,
}

impl TakenEndpoint {
    /// The connection that it gives up.
    pub(crate) fn connection(&self) -> &Connection {
        &self.owner
    }

    /// Destroys it. Who was given it by C still has it, if he has a reference. May sleep.
    pub(crate) fn destroy(self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::iscsi_destroy_endpoint(self.endpoint.as_ptr()) };
    }
}

c_object! {
    /// A connection of libiscsi (`struct iscsi_conn`).
    // SAFETY: It is made with its session. Nobody but Rust uses `dd_data`, but to read it, which
    // libiscsi makes null.
    pub(crate) unsafe struct IscsiConn(bindings::iscsi_conn) {
        fn session_field: Constant<*mut bindings::iscsi_session> = session;
        /// The owner, or null.
        fn dd_data: Atomic<*mut c_void> = dd_data;
    }
}

impl IscsiConn {
    /// The connection of libiscsi that belongs to one of the transport class. `None`: that one is
    /// of another transport. User space gives numbers, and the class does not compare.
    ///
    /// # Safety
    ///
    /// `cls_conn` is valid during `'a`.
    pub(crate) unsafe fn of_class<'a>(cls_conn: *mut bindings::iscsi_cls_conn) -> Option<&'a Self> {
        // SAFETY: By the contract of this function; it has its transport for good.
        let bind = unsafe { (*(*cls_conn).transport).bind_conn }?;
        if bind as usize != bindings::iscsi_iser_conn_bind as *const () as usize {
            return None;
        }
        // SAFETY: It is of this transport; libiscsi has set that for good.
        Some(unsafe { Self::from_raw((*cls_conn).dd_data.cast()) })
    }

    pub(super) fn session(&self) -> *mut bindings::iscsi_session {
        self.session_field().get()
    }

    /// Whether it is bound.
    pub(crate) fn is_bound(&self) -> bool {
        !self.dd_data().load(Relaxed).is_null()
    }

    pub(super) fn attach(&self, connection: Arc<Connection>) {
        let owner = Owner::<BindingOwner>::new(connection);
        self.dd_data().store(owner.into_raw(), Relaxed);
    }
}

/// Somebody stops a connection of iSCSI.
///
/// # Invariants
///
/// The connection is valid during `'a`, and nobody else binds, stops or destroys it.
pub(crate) struct StopRequest<'a> {
    cls_conn: *mut bindings::iscsi_cls_conn,
    conn: &'a IscsiConn,
    flag: c_int,
}

impl<'a> StopRequest<'a> {
    /// Stops `cls_conn` with `flag`, as `stop_conn` has it. `None`: it is one of another transport.
    ///
    /// # Safety
    ///
    /// It is valid during `'a`, and nobody else binds, stops or destroys it.
    pub(crate) unsafe fn new(cls_conn: *mut bindings::iscsi_cls_conn, flag: c_int) -> Option<Self> {
        // SAFETY: By the contract of this function.
        let conn = unsafe { IscsiConn::of_class(cls_conn) }?;
        // INVARIANT: By the contract of this function.
        Some(Self {
            cls_conn,
            conn,
            flag,
        })
    }

    /// The same for `cls_conn` that is about to be destroyed. First its endpoint is taken from it,
    /// and handed to `disconnect`; then `stop` stops it. The class does neither, and has it stopped
    /// by a work item of its own when iSCSI was told of a failure. Waits for that. May sleep.
    ///
    /// # Safety
    ///
    /// It is valid, and nobody binds it, or destroys it; it has no user but that work item.
    pub(crate) unsafe fn before_destruction(
        cls_conn: *mut bindings::iscsi_cls_conn,
        disconnect: impl FnOnce(TakenEndpoint),
        stop: impl FnOnce(&StopRequest<'_>),
    ) {
        // CAST: A small number.
        let terminate = bindings::STOP_CONN_TERM as c_int;
        // SAFETY: By the contract of this function; the work item has that locked.
        let locked = unsafe { &*object::view::<_, Mutex>(&raw mut (*cls_conn).ep_mutex) }.lock();
        // SAFETY: By the contract of this function, and as it is locked.
        let Some(request) = (unsafe { Self::new(cls_conn, terminate) }) else {
            return;
        };
        // SAFETY: It is changed with that locked.
        let ep = unsafe { mem::replace(&mut (*cls_conn).ep, ptr::null_mut()) };
        if let Some(ep) = NonNull::new(ep) {
            // SAFETY: One that the class has bound is there until it is disconnected.
            if let Some(taken) = unsafe { Endpoint::from_raw(ep.as_ptr()) }.take_owner() {
                disconnect(taken);
            }
        }
        if request.conn.is_bound() {
            stop(&request);
        }
        drop(locked);
        // From now on nothing is told of, so that it is not queued again.
        // SAFETY: By the contract of this function.
        unsafe { bindings::flush_work(&raw mut (*cls_conn).cleanup_work) };
    }

    /// Whether it is `conn` that is stopped.
    pub(super) fn is_for(&self, conn: NonNull<bindings::iscsi_conn>) -> bool {
        self.conn.as_raw() == conn.as_ptr()
    }

    /// What the connection is bound to, if it is.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        let raw = NonNull::new(self.conn.dd_data().load(Relaxed))?;
        // SAFETY: The binding owns it, and by the type invariant nobody else ends that.
        let connection = unsafe { Connection::from_raw(raw.as_ptr().cast()) };
        Some(connection.to_arc())
    }

    /// Has libiscsi stop it, if it is not bound. May sleep.
    pub(crate) fn stop_unbound(&self) {
        if !kernel::warn_on!(self.conn.is_bound()) {
            self.stop();
        }
    }

    /// Has libiscsi stop it, which gives back all tasks. It is not bound any more. May sleep.
    pub(super) fn stop(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::iscsi_conn_stop(self.cls_conn, self.flag) };
        let owner = self.conn.dd_data().xchg(ptr::null_mut(), Relaxed);
        if let Some(owner) = NonNull::new(owner) {
            // Who looks after a task with a lock of libiscsi held may just have found it.
            // SAFETY: By the type invariant.
            unsafe { bindings::iscsi_lock_barrier(self.conn.as_raw()) };
            // SAFETY: It was just taken out.
            drop(unsafe { Owner::<BindingOwner>::from_raw(owner) });
        }
    }
}
