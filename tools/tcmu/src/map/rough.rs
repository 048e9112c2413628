// SPDX-License-Identifier: GPL-2.0
//! What a daemon may do to its mapping, and a sane one does not: moving it, tearing holes into it,
//! using it in a forked child. For the fuzzer of the kernel's side.

use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{mmap_anonymous, mremap, munmap, MRemapFlags, MapFlags, ProtFlags};
use nix::unistd::{fork, ForkResult, Pid};

use super::Mapping;
use crate::shm::SharedMemory;

/// Pages are of this size; parts of mappings are multiples of it.
pub const PAGE: usize = 4096;

impl Mapping {
    /// Moves the mapping to another address.
    ///
    /// # Errors
    ///
    /// What mmap(2) and mremap(2) return. The mapping then stays where it is.
    pub fn relocate(&mut self) -> nix::Result<()> {
        let size = self.size.get();
        // SAFETY: The kernel chooses the address, so nothing of this process is replaced.
        let place = unsafe {
            mmap_anonymous(None, self.size, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE)
        }?;
        let flags = MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED;
        // SAFETY: By the invariant the old place is our own mapping; `&mut self` says that nobody uses
        // it. The new place has been reserved above, and nobody else knows it.
        let moved = unsafe { mremap(self.base.cast(), size, size, flags, Some(place)) }?;
        // After an error above the reserved place is not given back: whether it is still ours is not
        // known then.
        // INVARIANT: `size` bytes are mapped there now.
        self.base = moved.cast();
        Ok(())
    }

    /// Makes the mapping smaller or larger, at another address if need be.
    ///
    /// # Errors
    ///
    /// What mremap(2) returns: UIO's mappings cannot grow. The mapping is then as before.
    pub fn resize(&mut self, size: NonZeroUsize) -> nix::Result<()> {
        let flags = MRemapFlags::MREMAP_MAYMOVE;
        // SAFETY: As in `relocate`; without MREMAP_FIXED nothing else is replaced.
        let base = unsafe { mremap(self.base.cast(), self.size.get(), size.get(), flags, None) }?;
        // INVARIANT: mremap succeeded for `size` bytes.
        self.base = base.cast();
        self.size = size;
        Ok(())
    }

    /// Unmaps `pages` pages from page `first` on, then what is before them, then what is behind.
    ///
    /// # Errors
    ///
    /// EINVAL if they are not part of the mapping, which is then unmapped in one piece.
    pub fn tear(self, first: usize, pages: usize) -> nix::Result<()> {
        let size = self.size.get();
        let (start, end) = match (
            first.checked_mul(PAGE),
            first.saturating_add(pages).checked_mul(PAGE),
        ) {
            (Some(start), Some(end)) if start < end && end <= size => (start, end),
            _ => return Err(Errno::EINVAL),
        };
        let this = ManuallyDrop::new(self);
        let unmap = |from: usize, to: usize| {
            if from == to {
                return Ok(());
            }
            // SAFETY: `from` is below `size`, thus in the mapping.
            let at: NonNull<u8> = unsafe { this.base.add(from) };
            // SAFETY: The three calls name three disjoint parts of our own mapping, each unmapped once;
            // the object is consumed and its destructor does not run.
            unsafe { munmap(at.cast(), to - from) }
        };
        unmap(start, end)?;
        unmap(0, start)?;
        unmap(end, size)
    }

    /// Forks a child that reads words through the mapping it inherits, writes those that have a
    /// value, and exits. Returns its id, for the caller to wait for.
    ///
    /// The child dies of SIGBUS if it touches a page without memory.
    ///
    /// # Errors
    ///
    /// EINVAL if a word is outside or misaligned, or what fork(2) returns.
    pub fn touch_in_child(&self, words: &[(usize, Option<u32>)]) -> nix::Result<Pid> {
        for (offset, _) in words {
            self.word(*offset).map_err(|_| Errno::EINVAL)?;
        }
        // SAFETY: The child makes no call but _exit(2), and touches no lock and no heap: what other
        // threads were doing does not matter.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(child),
            ForkResult::Child => {
                for (offset, value) in words {
                    match value {
                        Some(value) => drop(self.store_release_u32(*offset, *value)),
                        None => drop(self.load_acquire_u32(*offset)),
                    }
                }
                // SAFETY: It ends the process without running anything of the parent's.
                unsafe { libc::_exit(0) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;
    use nix::sys::wait::{waitpid, WaitStatus};

    const PAGES: usize = 8;

    fn mapping() -> (std::fs::File, Mapping) {
        let file = tempfile::tempfile().unwrap();
        file.set_len((PAGES * PAGE) as u64).unwrap();
        let map = Mapping::new(&file, NonZeroUsize::new(PAGES * PAGE).unwrap()).unwrap();
        (file, map)
    }

    #[test]
    fn a_moved_mapping_shows_the_same() {
        let (_file, mut map) = mapping();
        map.store_release_u32(8, 77).unwrap();
        let before = map.base;
        map.relocate().unwrap();
        assert_ne!(map.base, before);
        assert_eq!(map.load_acquire_u32(8), Ok(77));
    }

    #[test]
    fn a_smaller_mapping_has_a_smaller_size() {
        let (_file, mut map) = mapping();
        map.resize(NonZeroUsize::new(PAGE).unwrap()).unwrap();
        assert_eq!(map.size(), PAGE);
        assert!(map.load_acquire_u32(PAGE).is_err());
        assert!(map.load_acquire_u32(PAGE - 4).is_ok());
    }

    #[test]
    fn holes_must_be_inside() {
        for (first, pages, good) in [(0, 1, true), (3, 2, true), (7, 1, true), (0, 8, true)] {
            assert_eq!(
                mapping().1.tear(first, pages).is_ok(),
                good,
                "{first} {pages}"
            );
        }
        for (first, pages) in [(0, 0), (7, 2), (8, 1), (usize::MAX, 1), (1, usize::MAX)] {
            assert_eq!(
                mapping().1.tear(first, pages),
                Err(Errno::EINVAL),
                "{first} {pages}"
            );
        }
    }

    #[test]
    fn a_child_writes_through_what_it_inherits() {
        let (file, map) = mapping();
        let child = map.touch_in_child(&[(4, Some(9)), (8, None)]).unwrap();
        assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        assert_eq!(map.load_acquire_u32(4), Ok(9));
        assert_eq!(map.touch_in_child(&[(6, None)]), Err(Errno::EINVAL));
        file.set_len(PAGE as u64).unwrap();
        let child = map.touch_in_child(&[(PAGE, None)]).unwrap();
        let status = waitpid(child, None).unwrap();
        assert!(
            matches!(status, WaitStatus::Signaled(_, Signal::SIGBUS, _)),
            "{status:?}"
        );
    }
}
