// SPDX-License-Identifier: GPL-2.0

//! All connections.

use core::ptr::NonNull;

use kernel::sync::{
    lock::mutex::MutexGuard,
    Arc, //
};

use super::connection::{
    Connection,
    CONN_LIST, //
};
use crate::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    bindings,
    list::ListGuard,
    lock::Mutex,
    object, //
};

/// Number of connections that have not come to their end.
static LIVE: Atomic<i32> = Atomic::new(0);

/// The list of connections. No endpoint takes or gives up one now (`ig.connlist_mutex`).
pub(crate) struct Connections(ListGuard<'static, Connection, CONN_LIST, MutexGuard<'static, ()>>);

impl Connections {
    /// Locks it. Nothing else is locked while it is. May sleep.
    pub(crate) fn lock() -> Self {
        // SAFETY: Both are initialised when the module is loaded, and stay as long as it does.
        let (mutex, list): (&'static Mutex, _) = unsafe {
            (
                &*object::view(&raw mut bindings::ig.connlist_mutex),
                NonNull::new_unchecked(&raw mut bindings::ig.connlist),
            )
        };
        // SAFETY: The mutex protects the list, on which connections are linked by `conn_list`. They
        // are taken off it before they are freed.
        Self(unsafe { ListGuard::new(list, mutex.lock()) })
    }

    /// Adds a new connection.
    pub(super) fn add(&self, connection: &Connection) {
        if kernel::warn_on!(connection.live.xchg(1, Relaxed) != 0) {
            return;
        }
        LIVE.fetch_add(1, Relaxed);
        // SAFETY: The list is locked, and the connection is on none: it is new, or was removed.
        unsafe {
            bindings::list_add_tail(connection.link().get(), &raw mut bindings::ig.connlist);
        }
    }

    /// The first one that is like that.
    pub(super) fn find(&self, is_it: impl Fn(&Connection) -> bool) -> Option<Arc<Connection>> {
        let found = self.0.iter().find(|connection| is_it(connection))?;
        Some(found.to_arc())
    }

    /// Takes one off the list. `None`: there are none.
    fn pop(mut self) -> Option<Arc<Connection>> {
        let entry = self.0.entries().next()?;
        let connection = entry.to_arc();
        entry.remove();
        Some(connection)
    }

    /// A connection has come to its end. Nothing is done with it any more that waits.
    pub(crate) fn remove(connection: &Connection) {
        // The module would go before the last handler.
        let has_handlers = kernel::warn_on!(connection.has_id());
        if has_handlers || connection.live.xchg(0, Relaxed) == 0 {
            return;
        }
        let connections = Self::lock();
        // SAFETY: The list is locked. The link is initialised, and on it or on none.
        unsafe { bindings::list_del_init(connection.link().get()) };
        drop(connections);
        // SAFETY: It is always there, and of that layout.
        unsafe { bindings::dec_and_wake(LIVE.as_ptr().cast()) };
    }

    /// The module goes: hands each connection to `end`, and waits until they have all come to their
    /// end. No new ones are made. May sleep.
    pub(crate) fn end_all(end: impl Fn(&Connection)) {
        while let Some(connection) = Self::lock().pop() {
            end(&connection);
        }
        // SAFETY: As in `remove()`.
        unsafe { bindings::wait_until_zero(LIVE.as_ptr().cast()) };
    }
}
