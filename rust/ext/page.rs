// SPDX-License-Identifier: GPL-2.0

//! Copying between a command's buffer and pages that user space has mapped.

use super::{
    bindings,
    scatterlist::SgCursor, //
};
use kernel::page::{
    Page,
    PAGE_SIZE, //
};

/// Copies up to `bytes` bytes, at most a page, between the start of `page` and the cursor.
///
/// Returns how many; fewer than `bytes` if the scatterlist ends before.
#[inline]
pub fn copy(page: &Page, bytes: usize, buffer: &mut SgCursor<'_>, to_buffer: bool) -> usize {
    let bytes = bytes.min(PAGE_SIZE);
    let mut done = 0;
    if to_buffer {
        // SAFETY: The page is valid.
        unsafe { bindings::flush_dcache_page(page.as_ptr()) };
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
        unsafe { bindings::flush_dcache_page(page.as_ptr()) };
    }
    done
}

/// Waits until no fault that has got the page from [`MappedPage::of`](super::uio::MappedPage::of)
/// is still to map it.
#[inline]
pub fn wait_for_faults(page: &Page) {
    // SAFETY: The page is valid. A fault that holds its lock needs nothing else to go on, so that
    // this ends.
    unsafe {
        bindings::lock_page(page.as_ptr());
        bindings::unlock_page(page.as_ptr());
    }
}
