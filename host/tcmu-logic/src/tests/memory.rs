// SPDX-License-Identifier: GPL-2.0

//! An allocator that can be told to refuse.

use crate::logic::alloc::{
    Array,
    Memory,
    NoMemory, //
};
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

std::thread_local! {
    /// Which growth from now on is refused; 0 for none.
    static REFUSE: Cell<u32> = const { Cell::new(0) };
    /// Whether one was refused since [`take_refused`] looked.
    static REFUSED: Cell<bool> = const { Cell::new(false) };
    /// Number of growths granted.
    static GROWTHS: Cell<u64> = const { Cell::new(0) };
}

/// Makes the `nth` growth of this thread from now on fail, counted from 1; 0 lets all succeed.
pub(crate) fn refuse(nth: u32) {
    REFUSE.set(nth);
}

/// Whether a growth was refused since the last call.
pub(crate) fn take_refused() -> bool {
    REFUSED.replace(false)
}

/// Whether one was refused since [`take_refused`] was called.
pub(crate) fn was_refused() -> bool {
    REFUSED.get()
}

/// Which growth of this thread from now on is refused; 0 for none.
pub(crate) fn refusal() -> u32 {
    REFUSE.get()
}

/// Number of growths granted to this thread.
pub(crate) fn growths() -> u64 {
    GROWTHS.get()
}

/// Names [`TestArray`].
pub(crate) struct TestMemory<const PAGE_SIZE: usize = 4096>;

impl<const PAGE_SIZE: usize> Memory for TestMemory<PAGE_SIZE> {
    type Array<T> = TestArray<T>;

    const PAGE_SIZE: usize = PAGE_SIZE;
}

/// An array on the heap.
pub(crate) struct TestArray<T>(Vec<T>);

impl<T> Deref for TestArray<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for TestArray<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> Array<T> for TestArray<T> {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn grow(&mut self, len: usize, fill: impl FnMut() -> T) -> Result<(), NoMemory> {
        if len <= self.0.len() {
            return Ok(());
        }
        let left = REFUSE.get();
        REFUSE.set(left.saturating_sub(1));
        if left == 1 {
            REFUSED.set(true);
            return Err(NoMemory);
        }
        GROWTHS.set(GROWTHS.get() + 1);
        self.0.resize_with(len, fill);
        Ok(())
    }
}
