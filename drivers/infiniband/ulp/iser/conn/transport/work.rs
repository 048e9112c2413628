// SPDX-License-Identifier: GPL-2.0

//! The work item of a connection, which destroys its CM id where that may be waited for.

use core::{
    mem,
    ptr, //
};

use kernel::{
    ffi::c_int,
    sync::Arc,
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
};

use super::connection::{
    Connection,
    WORK, //
};
use crate::{
    bindings,
    connection, //
};

/// The work item of a connection. While it is queued it has a reference to the connection.
pub(crate) struct Work;

impl Work {
    /// Has the work run after `delay`, also if it was to run at another time.
    pub(crate) fn queue(connection: &Connection, delay: Msecs) {
        let reference = connection.to_arc();
        // SAFETY: The work is initialised. The workqueue is there as long as there are connections.
        let was_queued = unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::iser_release_wq,
                connection.work.as_ptr(),
                msecs_to_jiffies(delay),
            )
        };
        if !was_queued {
            // That of the queue.
            mem::forget(reference);
        }
    }

    /// It need not run any more. It may be running just now.
    pub(crate) fn cancel(connection: &Connection) {
        // SAFETY: The work is initialised.
        if unsafe { bindings::cancel_delayed_work(connection.work.as_ptr()) } {
            // SAFETY: It was queued, so that the queue's reference is left.
            drop(unsafe { Arc::from_raw(ptr::from_ref(connection)) });
        }
    }

    /// # Safety
    ///
    /// Called by the workqueue with the work of a connection, once each time that it was queued.
    pub(super) unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        let offset = WORK + mem::offset_of!(bindings::delayed_work, work);
        // SAFETY: By the contract of this function; the queue's reference is left.
        let connection: Arc<Connection> =
            unsafe { Arc::from_raw(work.wrapping_byte_sub(offset).cast()) };
        if let Some(id) = connection::work(&connection) {
            // SAFETY: This is no handler, and nothing is locked.
            unsafe { id.destroy() };
            connection::destroyed(&connection);
        }
    }
}
