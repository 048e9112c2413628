// SPDX-License-Identifier: GPL-2.0

//! How long a table becomes when it has to grow.
//!
//! A device has several tables with an element for each command. Doubling them would leave up to
//! half of each unused, and the kernel's allocator rounds up as well: to a power of two below a
//! page, to whole pages above. So a table fills what the allocator gives it, and grows by an eighth
//! when it is large. The cost of copying per command stays constant.

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
