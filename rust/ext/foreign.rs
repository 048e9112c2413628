// SPDX-License-Identifier: GPL-2.0

//! C objects that all threads may use.

use core::ptr::NonNull;
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// A pointer to a C object that does its own locking.
///
/// # Invariants
///
/// What is done with the object through this value, by whatever thread, the object's own locking
/// allows.
#[repr(transparent)]
pub struct ForeignPtr<T>(NonNull<T>);

// SAFETY: By the type invariant.
unsafe impl<T> Send for ForeignPtr<T> {}
// SAFETY: By the type invariant.
unsafe impl<T> Sync for ForeignPtr<T> {}

impl<T> ForeignPtr<T> {
    /// Takes a pointer.
    ///
    /// # Safety
    ///
    /// The owner of the value keeps the type invariant.
    #[inline]
    pub unsafe fn new(pointer: NonNull<T>) -> Self {
        // INVARIANT: By the safety requirements.
        Self(pointer)
    }

    /// The pointer, for C functions.
    #[inline]
    pub fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

/// A C object that does its own locking, in place.
///
/// # Invariants
///
/// As for [`ForeignPtr`].
#[pin_data]
#[repr(transparent)]
pub struct Foreign<T> {
    #[pin]
    object: Opaque<T>,
}

// SAFETY: By the type invariant.
unsafe impl<T> Send for Foreign<T> {}
// SAFETY: By the type invariant.
unsafe impl<T> Sync for Foreign<T> {}

impl<T> Foreign<T> {
    /// Makes an object with `init`, which gets its memory.
    ///
    /// # Safety
    ///
    /// `init` initialises what later uses rely on. The owner of the value keeps the type invariant.
    pub unsafe fn ffi_init(init: impl FnOnce(*mut T)) -> impl PinInit<Self> {
        // INVARIANT: By the safety requirements.
        pin_init!(Self { object <- Opaque::ffi_init(init) })
    }

    /// Makes an object of zeroes.
    ///
    /// # Safety
    ///
    /// As for [`Foreign::ffi_init`].
    pub unsafe fn zeroed() -> impl PinInit<Self>
    where
        T: Zeroable,
    {
        // INVARIANT: By the safety requirements.
        pin_init!(Self {
            object: Opaque::zeroed()
        })
    }

    /// The object, for C functions.
    #[inline]
    pub fn as_ptr(&self) -> *mut T {
        self.object.get()
    }
}
