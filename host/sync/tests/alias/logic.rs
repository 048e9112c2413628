// SPDX-License-Identifier: GPL-2.0

//! Hands a number from one thread to another: a logic file as the kernel would have it.

use super::atomic::{ordering::ReleaseOrRelaxed, Acquire, Atomic, Relaxed, Release};

/// A place for one number.
pub(crate) struct Slot {
    value: Atomic<u64>,
    full: Atomic<bool>,
}

impl Slot {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        Self {
            value: Atomic::new(0),
            full: Atomic::new(false),
        }
    }

    /// Puts a number there; it is empty. `order` must be [`Release`].
    pub(crate) fn put(&self, value: u64, order: impl ReleaseOrRelaxed) {
        self.value.store(value, Relaxed);
        self.full.store(true, order);
    }

    /// Takes the number, if there is one.
    pub(crate) fn take(&self) -> Option<u64> {
        self.full.load(Acquire).then(|| {
            let value = self.value.load(Relaxed);
            self.full.store(false, Release);
            value
        })
    }
}
