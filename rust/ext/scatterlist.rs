// SPDX-License-Identifier: GPL-2.0

//! Walking a scatterlist.
//!
//! C header: `include/linux/scatterlist.h` (`struct sg_mapping_iter`)

use super::bindings;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// A cursor over the bytes of a scatterlist.
///
/// # Invariants
///
/// `iter` has been started and not stopped; its table is valid for `'a`, and its memory may be
/// written if the flags of `iter` say so.
pub struct SgCursor<'a> {
    iter: bindings::sg_mapping_iter,
    _table: PhantomData<&'a bindings::scatterlist>,
}

impl SgCursor<'_> {
    /// Sum of the lengths of the entries of a table in bytes.
    ///
    /// # Safety
    ///
    /// `sg` is a valid table of `nents` entries.
    pub unsafe fn total_length(mut sg: *mut bindings::scatterlist, nents: u32) -> u32 {
        let mut length: u32 = 0;
        for _ in 0..nents {
            // SAFETY: By the safety requirements; `sg_next()` follows chained tables.
            unsafe {
                length = length.saturating_add((*sg).length);
                sg = bindings::sg_next(sg);
            }
        }
        length
    }

    /// Starts at the first byte of a table. `write` says whether its memory may be written.
    ///
    /// # Safety
    ///
    /// `sg` is a valid table of `nents` entries for the lifetime of the result, its pages belong to
    /// a command that the caller holds. They are for data that goes to the initiator if `write`.
    #[inline]
    pub unsafe fn new(sg: *mut bindings::scatterlist, nents: u32, write: bool) -> Self {
        let direction = if write {
            bindings::SG_MITER_TO_SG
        } else {
            bindings::SG_MITER_FROM_SG
        };
        let mut iter = MaybeUninit::uninit();
        // SAFETY: By the safety requirements; `sg_miter_start()` fills the whole iterator.
        let iter = unsafe {
            let flags = bindings::SG_MITER_LOCAL | direction;
            bindings::sg_miter_start(iter.as_mut_ptr(), sg, nents, flags);
            iter.assume_init()
        };
        // INVARIANT: Just started.
        Self {
            iter,
            _table: PhantomData,
        }
    }

    /// Whether the memory may be written.
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.iter.__flags & bindings::SG_MITER_TO_SG != 0
    }

    /// Fills `to` with the bytes that come next, as far as there are any.
    #[inline]
    pub fn read(&mut self, to: &mut [u8]) {
        let mut done = 0;
        while done < to.len() {
            let rest = &mut to[done..];
            let length = self.with_next(rest.len(), |address, length| {
                // SAFETY: `length` is at most that of `rest`, and so many bytes are mapped at
                // `address`. An initiator may change them meanwhile; `memcpy()` of C is not subject
                // to Rust's rules on data races, and whatever it reads is just data.
                unsafe { bindings::memcpy(rest.as_mut_ptr().cast(), address.cast(), length) };
            });
            match length {
                Some(length) => done += length,
                None => break,
            }
        }
    }

    /// Puts `from` where the cursor is, as far as there is room. Does nothing if the memory must
    /// not be written.
    #[inline]
    pub fn write(&mut self, from: &[u8]) {
        if !self.is_writable() {
            return;
        }
        let mut done = 0;
        while done < from.len() {
            let rest = &from[done..];
            let length = self.with_next(rest.len(), |address, length| {
                // SAFETY: As in `read`, and by the type invariant the memory may be written.
                unsafe { bindings::memcpy(address.cast(), rest.as_ptr().cast(), length) };
            });
            match length {
                Some(length) => done += length,
                None => break,
            }
        }
    }

    /// Calls `copy` with the address and the length of the next piece of at most `most` bytes.
    ///
    /// Returns the length of the piece, or `None` at the end of the table.
    #[inline]
    pub fn with_next(&mut self, most: usize, copy: impl FnOnce(*mut u8, usize)) -> Option<usize> {
        // SAFETY: By the type invariant the iterator is started; after `sg_miter_next()` returned
        // true, `addr` maps `length` bytes until `sg_miter_stop()`.
        unsafe {
            if !bindings::sg_miter_next(&mut self.iter) {
                return None;
            }
            let length = self.iter.length.min(most);
            copy(self.iter.addr.cast(), length);
            self.iter.consumed = length;
            // Unmapping here keeps kmap_local's stack order for the caller's own mapping.
            bindings::sg_miter_stop(&mut self.iter);
            Some(length)
        }
    }
}
