// SPDX-License-Identifier: GPL-2.0
//! [`SharedMemory`] on a real mapping. With its submodule the only module of this crate with `unsafe`.
//!
//! The other side is the kernel, and through the data area an initiator. Both write while this
//! process reads, so the mapping is accessed by volatile reads and writes alone, from raw pointers:
//! the compiler may neither repeat, merge nor invent an access, and no reference tells it that the
//! memory is stable.
#![expect(
    unsafe_code,
    reason = "mmap and access to memory shared with the kernel"
)]

use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{fence, Ordering};

use nix::sys::mman::{mmap, munmap, MapFlags, ProtFlags};

use crate::shm::{BadAccess, SharedMemory};

pub mod rough;

/// A readable and writable shared mapping of a whole file or device region.
///
/// # Invariants
///
/// `base` is page aligned and `size` bytes from it stay mapped readable and writable until the
/// object is dropped. Pages of the data area that belong to no command may be unbacked: touching one
/// raises SIGBUS, as the uapi has it.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    size: NonZeroUsize,
}

impl Mapping {
    /// Maps the first `size` bytes of `file`.
    ///
    /// # Errors
    ///
    /// What mmap(2) returns; target_core_user gives EINVAL unless `size` is the size of map0.
    pub fn new(file: impl AsFd, size: NonZeroUsize) -> nix::Result<Self> {
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: The kernel chooses the address, so no existing mapping of this process is replaced.
        let base = unsafe { mmap(None, size, prot, MapFlags::MAP_SHARED, file, 0) }?;
        // INVARIANT: mmap succeeded for `size` bytes, and nobody else knows the mapping.
        Ok(Self {
            base: base.cast(),
            size,
        })
    }

    /// Pointer to a checked word.
    fn word(&self, offset: usize) -> Result<*mut u32, BadAccess> {
        self.check(offset as u64, 4)?;
        if !offset.is_multiple_of(4) {
            return Err(BadAccess {
                offset: offset as u64,
                len: 4,
                size: self.size.get() as u64,
            });
        }
        // SAFETY: `check` says that `offset` lies in the mapping.
        Ok(unsafe { self.base.as_ptr().add(offset) }.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: By the invariant this is the whole of our own mapping, and no pointer to it
        // outlives the object. An error could only mean that it is not mapped.
        let _ = unsafe { munmap(self.base.cast(), self.size.get()) };
    }
}

impl SharedMemory for Mapping {
    fn size(&self) -> usize {
        self.size.get()
    }

    fn load_acquire_u32(&self, offset: usize) -> Result<u32, BadAccess> {
        let word = self.word(offset)?;
        // SAFETY: `word` is aligned, in the mapping and readable by the invariant.
        let value = unsafe { word.read_volatile() };
        fence(Ordering::Acquire);
        Ok(value)
    }

    fn store_release_u32(&self, offset: usize, value: u32) -> Result<(), BadAccess> {
        let word = self.word(offset)?;
        fence(Ordering::Release);
        // SAFETY: `word` is aligned, in the mapping and writable by the invariant.
        unsafe { word.write_volatile(value) };
        Ok(())
    }

    fn read_bytes(&self, offset: usize, buf: &mut [u8]) -> Result<(), BadAccess> {
        let offset = self.check(offset as u64, buf.len() as u64)?;
        // SAFETY: `check` says that `offset` and the following `buf.len()` bytes lie in the mapping.
        let mut from = unsafe { self.base.as_ptr().add(offset) };
        let (head, words, tail) = split_mut(from as usize, buf);
        for byte in head {
            // SAFETY: In the mapping by `check`.
            *byte = unsafe { from.read_volatile() };
            // SAFETY: At most one past the checked range.
            from = unsafe { from.add(1) };
        }
        for word in words.chunks_exact_mut(8) {
            // SAFETY: In the mapping by `check`; `split_mut` puts words on multiples of eight.
            let value = unsafe { from.cast::<u64>().read_volatile() };
            word.copy_from_slice(&value.to_ne_bytes());
            // SAFETY: At most one past the checked range.
            from = unsafe { from.add(8) };
        }
        for byte in tail {
            // SAFETY: In the mapping by `check`.
            *byte = unsafe { from.read_volatile() };
            // SAFETY: At most one past the checked range.
            from = unsafe { from.add(1) };
        }
        Ok(())
    }

    fn write_bytes(&self, offset: usize, buf: &[u8]) -> Result<(), BadAccess> {
        let offset = self.check(offset as u64, buf.len() as u64)?;
        // SAFETY: `check` says that `offset` and the following `buf.len()` bytes lie in the mapping.
        let mut to = unsafe { self.base.as_ptr().add(offset) };
        let (head, rest) = buf.split_at(head_len(to as usize, buf.len()));
        let words = rest.chunks_exact(8);
        let tail = words.remainder();
        for byte in head {
            // SAFETY: In the mapping by `check`.
            unsafe { to.write_volatile(*byte) };
            // SAFETY: At most one past the checked range.
            to = unsafe { to.add(1) };
        }
        for word in words {
            let value = word.try_into().map_or(0, u64::from_ne_bytes);
            // SAFETY: In the mapping by `check`; `head_len` puts words on multiples of eight.
            unsafe { to.cast::<u64>().write_volatile(value) };
            // SAFETY: At most one past the checked range.
            to = unsafe { to.add(8) };
        }
        for byte in tail {
            // SAFETY: In the mapping by `check`.
            unsafe { to.write_volatile(*byte) };
            // SAFETY: At most one past the checked range.
            to = unsafe { to.add(1) };
        }
        Ok(())
    }
}

/// Bytes, at most `len`, from `address` up to the next multiple of eight.
fn head_len(address: usize, len: usize) -> usize {
    (address.wrapping_neg() % 8).min(len)
}

/// Splits `buf`, whose counterpart starts at `address`, into bytes before the first aligned word, whole
/// words, and the bytes behind them.
fn split_mut(address: usize, buf: &mut [u8]) -> (&mut [u8], &mut [u8], &mut [u8]) {
    let (head, rest) = buf.split_at_mut(head_len(address, buf.len()));
    let whole = rest.len() / 8 * 8;
    let (words, tail) = rest.split_at_mut(whole);
    (head, words, tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(size: usize) -> Mapping {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size as u64).unwrap();
        Mapping::new(file, NonZeroUsize::new(size).unwrap()).unwrap()
    }

    #[test]
    fn bytes_survive_at_every_alignment() {
        let map = mapping(4096);
        let pattern: Vec<u8> = (0..64).map(|n| n as u8 ^ 0x5a).collect();
        for offset in 0..16 {
            for len in 0..40 {
                map.write_bytes(100, &[0xee; 64]).unwrap();
                map.write_bytes(101 + offset, &pattern[..len]).unwrap();
                let mut back = vec![0; len];
                map.read_bytes(101 + offset, &mut back).unwrap();
                assert_eq!(back, pattern[..len], "offset {offset} length {len}");
                let [before] = map.read_array(100 + offset).unwrap();
                let [after] = map.read_array(101 + offset + len).unwrap();
                assert_eq!((before, after), (0xee, 0xee), "neighbours written");
            }
        }
    }

    #[test]
    fn words_are_visible_through_a_second_mapping() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let size = NonZeroUsize::new(4096).unwrap();
        let one = Mapping::new(&file, size).unwrap();
        let two = Mapping::new(&file, size).unwrap();
        one.store_release_u32(64, 0x1234_5678).unwrap();
        assert_eq!(two.load_acquire_u32(64), Ok(0x1234_5678));
        assert_eq!(two.read_u16(64), Ok(0x5678));
    }

    #[test]
    fn accesses_outside_are_errors() {
        let map = mapping(4096);
        assert!(map.load_acquire_u32(4096).is_err());
        assert!(map.load_acquire_u32(4093).is_err());
        assert!(map.load_acquire_u32(62).is_err(), "misaligned");
        assert!(map.store_release_u32(usize::MAX, 1).is_err());
        assert!(map.read_bytes(4095, &mut [0; 2]).is_err());
        assert!(map.write_bytes(usize::MAX, &[0; 2]).is_err());
        assert!(map.read_bytes(4096, &mut []).is_ok());
    }
}
