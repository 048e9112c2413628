// SPDX-License-Identifier: GPL-2.0

//! The owners of a connection: each is given up once.

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    ffi::c_void,
    sync::Arc, //
};

use super::connection::Connection;

/// The endpoint, as an owner. From `ep_connect` to `ep_disconnect`.
pub(crate) enum EndpointOwner {}

/// The binding, as an owner. From `conn_bind` to `conn_stop`.
pub(crate) enum BindingOwner {}

/// The context of the CM id, as an owner. Until the id is destroyed.
pub(crate) enum CmOwner {}

/// An owner of a connection, of kind `K`. There is one of each kind at most.
pub(crate) struct Owner<K>(Arc<Connection>, PhantomData<K>);

impl<K> Owner<K> {
    /// Takes over a reference that C has kept.
    ///
    /// # Safety
    ///
    /// `raw` comes from [`Owner::into_raw()`] of the same kind, or is the context of a CM id, and
    /// is not used any more.
    pub(crate) unsafe fn from_raw(raw: NonNull<c_void>) -> Self {
        // SAFETY: By the contract of this function.
        let connection = unsafe { Arc::from_raw(raw.as_ptr().cast::<Connection>()) };
        Self(connection, PhantomData)
    }

    /// Has C keep the reference.
    pub(super) fn into_raw(self) -> *mut c_void {
        Arc::into_raw(self.0).cast_mut().cast()
    }

    /// A connection has a new owner.
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self(connection, PhantomData)
    }
}

impl<K> Deref for Owner<K> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}
