// SPDX-License-Identifier: GPL-2.0

//! Copying between a command's buffer and pages that user space has mapped.

use super::bindings;
use super::sg::SgCursor;
use super::uio::MappedPage;
use kernel::{
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// Copies up to `bytes` bytes, at most a page, between the start of `page` and the cursor.
///
/// Returns how many; fewer than `bytes` if the scatterlist ends before.
pub(crate) fn copy(page: &Page, bytes: usize, buffer: &mut SgCursor<'_>, to_buffer: bool) -> usize {
    let bytes = bytes.min(PAGE_SIZE);
    let mut done = 0;
    if to_buffer {
        // SAFETY: The page is valid.
        unsafe { bindings::tcmu_shim_flush_dcache_page(page.as_ptr()) };
    }
    while done < bytes {
        let piece = buffer.with_next(bytes - done, |address, length| {
            // SAFETY: The page is mapped for the time of the copy, and `done + length` is at most
            // its size; the cursor gives `length` bytes of the command's own buffer. User space
            // may write to the page meanwhile: `memcpy()` of C is not subject to Rust's rules on
            // data races, and whatever it reads is just data.
            unsafe {
                let mapped = bindings::kmap_local_page(page.as_ptr());
                let shared = mapped.byte_add(done);
                if to_buffer {
                    bindings::memcpy(address.cast(), shared, length);
                } else {
                    bindings::memcpy(shared, address.cast(), length);
                }
                bindings::kunmap_local(mapped);
            }
        });
        match piece {
            Some(length) => done += length,
            None => break,
        }
    }
    if !to_buffer {
        // SAFETY: The page is valid.
        unsafe { bindings::tcmu_shim_flush_dcache_page(page.as_ptr()) };
    }
    done
}

/// Waits until no fault that has got the page from [`MappedPage::of`] is still to map it.
pub(crate) fn wait_for_faults(page: &Page) {
    // SAFETY: The page is valid. A fault that holds its lock needs nothing else to go on, so that
    // this ends.
    unsafe {
        bindings::tcmu_shim_lock_page(page.as_ptr());
        bindings::unlock_page(page.as_ptr());
    }
}

/// The page that is `offset` bytes into a vmalloc'ed array.
pub(crate) fn in_vmalloc<T>(array: &VVec<T>, offset: usize) -> Option<MappedPage> {
    if offset >= array.len() * size_of::<T>() {
        return None;
    }
    let address = array.as_ptr().cast::<u8>().wrapping_add(offset);
    // SAFETY: The address is in the array, which is in a vmalloc area.
    unsafe { MappedPage::of_vmalloc(address) }
}
