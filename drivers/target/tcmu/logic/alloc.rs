// SPDX-License-Identifier: GPL-2.0

//! Memory that may be refused.

use core::ops::DerefMut;

/// Memory was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// An array that grows, never shrinks, and whose growth may be refused.
pub(crate) trait Array<T>: DerefMut<Target = [T]> {
    /// Returns an array of length 0, without allocating.
    fn new() -> Self;

    /// Grows the array to `len` elements; new ones come from `fill`.
    ///
    /// Does nothing if the array is that long already. On error the array is as before.
    fn grow(&mut self, len: usize, fill: impl FnMut() -> T) -> Result<(), NoMemory>;
}

/// The allocator: names the [`Array`] type for each element type.
pub(crate) trait Memory {
    /// An array of `T`.
    type Array<T>: Array<T>;

    /// Above this size an array gets whole pages, in bytes.
    const PAGE_SIZE: usize;
}
