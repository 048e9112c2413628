// SPDX-License-Identifier: GPL-2.0

//! Memory that user space maps, reads and writes at any time.

use super::{
    bindings,
    scatterlist::SgCursor, //
};
use core::ops::Deref;
use kernel::{
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::atomic::Atomic, //
};

/// A page for user space, which is only copied from and to.
///
/// # Invariants
///
/// There is no Rust reference to what is in the page.
pub struct SharedPage(Page);

impl SharedPage {
    /// Makes a page of zeroes: user space must not see what was there before.
    pub fn new() -> Result<Self> {
        // INVARIANT: Nobody else has the page, and `as_ptr` is all that is made of it.
        Ok(Self(Page::alloc_page(GFP_KERNEL | __GFP_ZERO)?))
    }

    /// The page, for C functions.
    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::page {
        self.0.as_ptr()
    }

    /// Copies up to `bytes` bytes, at most a page, between the start of the page and the cursor.
    ///
    /// Returns how many; fewer than `bytes` if the scatterlist ends before, and none if it is to be
    /// written and must not be.
    #[inline]
    pub fn copy(&self, bytes: usize, buffer: &mut SgCursor<'_>, to_buffer: bool) -> usize {
        let bytes = bytes.min(PAGE_SIZE);
        let mut done = 0;
        if to_buffer {
            if !buffer.is_writable() {
                return 0;
            }
            // SAFETY: The page is valid.
            unsafe { bindings::flush_dcache_page(self.as_ptr()) };
        }
        while done < bytes {
            let piece = buffer.with_next(bytes - done, |address, length| {
                // SAFETY: The page is mapped for the time of the copy, and `done + length` is at
                // most its size; the cursor gives `length` bytes of the command's own buffer. User
                // space may write to the page meanwhile: `memcpy()` of C is not subject to Rust's
                // rules on data races, and whatever it reads is just data.
                unsafe {
                    let mapped = bindings::kmap_local_page(self.as_ptr());
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
            unsafe { bindings::flush_dcache_page(self.as_ptr()) };
        }
        done
    }

    /// Waits until no fault that has got the page from
    /// [`MappedPage::of`](super::uio::MappedPage::of) is still to map it.
    #[inline]
    pub fn wait_for_faults(&self) {
        // SAFETY: The page is valid. A fault that holds its lock needs nothing else to go on, so
        // that this ends.
        unsafe {
            bindings::lock_page(self.as_ptr());
            bindings::unlock_page(self.as_ptr());
        }
    }
}

/// An array for user space, of words that are accessed in one piece.
///
/// There is no `&mut` to them: user space could change what must not change under it.
pub struct SharedWords(VVec<Atomic<u64>>);

impl SharedWords {
    /// Makes an array of `length` zeroes.
    pub fn new(length: usize) -> Result<Self> {
        let mut words = VVec::with_capacity(length, GFP_KERNEL)?;
        for _ in 0..length {
            words
                .push_within_capacity(Atomic::new(0))
                .map_err(|_| ENOMEM)?;
        }
        Ok(Self(words))
    }
}

impl Deref for SharedWords {
    type Target = [Atomic<u64>];

    #[inline]
    fn deref(&self) -> &[Atomic<u64>] {
        &self.0
    }
}
