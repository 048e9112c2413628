// SPDX-License-Identifier: GPL-2.0

//! Allocation without recursion into block I/O.

use super::bindings;
use core::marker::PhantomData;

/// While it lives, allocations of this thread do not start block I/O (`GFP_NOIO`).
///
/// A backend that writes to a disk must not wait for memory that reclaim gets by writing to that
/// same disk. The kernel crate has no `GFP_NOIO`; the scope covers every allocation besides.
pub struct NoIoScope {
    flags: u32,
    /// The scope belongs to the thread that made it.
    _not_send: PhantomData<*mut ()>,
}

impl NoIoScope {
    /// Begins the scope.
    #[inline]
    pub fn enter() -> Self {
        Self {
            // SAFETY: Changes only flags of the current thread.
            flags: unsafe { bindings::memalloc_noio_save() },
            _not_send: PhantomData,
        }
    }
}

impl Drop for NoIoScope {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: Scopes of a thread are nested, as Rust drops locals in reverse order.
        unsafe { bindings::memalloc_noio_restore(self.flags) };
    }
}
