// SPDX-License-Identifier: GPL-2.0

//! References to ports.
//!
//! Not the kernel crate's `ARef`: a port that is on a list may be about to be freed, so that there
//! need not be a reference to be had.

use core::{
    ops::Deref,
    ptr::NonNull, //
};

/// A C structure that counts references.
///
/// # Safety
///
/// What `get()` has taken keeps the structure from being freed until `put()` gives it back.
pub(crate) unsafe trait Counted {
    /// Takes a reference, unless there are none any more.
    fn get(&self) -> bool;

    /// Gives a reference back.
    ///
    /// # Safety
    ///
    /// The caller owns one, which he does not use any more.
    unsafe fn put(object: NonNull<Self>);
}

/// A reference to a port. To drop the last one takes `nvme_fc_lock`, which is why
/// [`Ports`](super::local_port::Ports) gives them out only when it has released that.
///
/// # Invariants
///
/// `self` owns a reference of the valid object.
pub(crate) struct Ref<T: Counted>(NonNull<T>);

impl<T: Counted> Ref<T> {
    /// Takes a reference to `object`. `None`: it is about to be freed.
    pub(crate) fn new(object: &T) -> Option<Self> {
        // INVARIANT: It was just taken.
        object.get().then(|| Self(NonNull::from_ref(object)))
    }

    /// Takes over a reference that C has.
    ///
    /// # Safety
    ///
    /// The caller owns a reference to `object`, and gives it away.
    pub(crate) unsafe fn from_raw(object: NonNull<T>) -> Self {
        // INVARIANT: By the contract of this function.
        Self(object)
    }

    /// Gives the reference to C.
    pub(crate) fn into_raw(self) -> NonNull<T> {
        let object = self.0;
        core::mem::forget(self);
        object
    }
}

impl<T: Counted> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }
}

impl<T: Counted> Drop for Ref<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, and nobody uses `self` any more.
        unsafe { T::put(self.0) };
    }
}
