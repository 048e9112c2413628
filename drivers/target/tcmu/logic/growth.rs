// SPDX-License-Identifier: GPL-2.0

//! How long a table becomes when it has to grow.
//!
//! What a device remembers of a command is in several tables. Doubling them would leave half of
//! each unused; a kernel allocator rounds up besides, to a power of two below a page and to whole
//! pages above. So a table fills what the allocator gives it, and grows by an eighth when it is
//! large: that keeps the cost of copying constant for each command all the same.

use super::alloc::Memory;

/// The least that a table has, in bytes.
const LEAST: usize = 256;

/// The new length of a table of `T` with `old` elements that needs `needed`.
pub(crate) fn grown<M: Memory, T>(old: usize, needed: usize) -> usize {
    let page = M::PAGE_SIZE;
    let size = size_of::<T>().max(1);
    let bytes = needed.saturating_mul(size);
    let given = if bytes <= page {
        bytes.next_power_of_two().max(LEAST)
    } else {
        let pages = (old * size).div_ceil(page);
        bytes.div_ceil(page).max(pages + pages / 8) * page
    };
    (given / size).max(needed)
}
