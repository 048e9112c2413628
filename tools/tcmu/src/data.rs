// SPDX-License-Identifier: GPL-2.0
//! Data buffers of commands.

use crate::shm::{BadAccess, SharedMemory};

/// One piece of a command's data buffer in the data area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iov {
    /// Offset from the start of the region in bytes.
    pub base: usize,
    /// Bytes.
    pub len: usize,
}

/// A command's data buffer as the SCSI layer sees it: bytes in one row.
pub trait DataBuffer {
    /// Bytes in the buffer: the initiator's expected transfer length.
    fn len(&self) -> usize;

    /// Whether the command has no data.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies from the buffer, starting at `offset`.
    ///
    /// # Errors
    ///
    /// If the buffer ends before `to` is full.
    fn read(&self, offset: usize, to: &mut [u8]) -> Result<(), BadAccess>;

    /// Copies into the buffer, starting at `offset`.
    ///
    /// # Errors
    ///
    /// If the buffer is too short for `from`.
    fn write(&mut self, offset: usize, from: &[u8]) -> Result<(), BadAccess>;
}

/// The data buffer that a list of [`Iov`] describes.
#[derive(Debug)]
pub struct IovBuffer<'a, M> {
    mem: &'a M,
    iovs: &'a [Iov],
    len: usize,
}

impl<'a, M: SharedMemory> IovBuffer<'a, M> {
    /// The buffer that `iovs`, each checked by the ring when it was read, describe in `mem`.
    pub fn new(mem: &'a M, iovs: &'a [Iov]) -> Self {
        let len = iovs
            .iter()
            .fold(0usize, |sum, iov| sum.saturating_add(iov.len));
        Self { mem, iovs, len }
    }

    /// Calls `copy` for each piece of the `len` bytes from `offset`, with the place in the region, the
    /// place in the caller's slice and the length.
    fn pieces(
        &self,
        offset: usize,
        len: usize,
        mut copy: impl FnMut(usize, usize, usize) -> Result<(), BadAccess>,
    ) -> Result<(), BadAccess> {
        let outside = BadAccess {
            offset: offset as u64,
            len: len as u64,
            size: self.len as u64,
        };
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(outside);
        }
        let (mut skip, mut done) = (offset, 0);
        for iov in self.iovs {
            if done == len {
                break;
            }
            if skip >= iov.len {
                skip -= iov.len;
                continue;
            }
            let count = (iov.len - skip).min(len - done);
            let base = iov.base.checked_add(skip).ok_or(outside)?;
            copy(base, done, count)?;
            done += count;
            skip = 0;
        }
        Ok(())
    }
}

impl<M: SharedMemory> DataBuffer for IovBuffer<'_, M> {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, offset: usize, to: &mut [u8]) -> Result<(), BadAccess> {
        self.pieces(offset, to.len(), |base, at, count| {
            self.mem.read_bytes(base, &mut to[at..at + count])
        })
    }

    fn write(&mut self, offset: usize, from: &[u8]) -> Result<(), BadAccess> {
        self.pieces(offset, from.len(), |base, at, count| {
            self.mem.write_bytes(base, &from[at..at + count])
        })
    }
}

/// A buffer in private memory, for the users of [`crate::scsi`] that have no ring.
impl DataBuffer for Vec<u8> {
    fn len(&self) -> usize {
        self.len()
    }

    fn read(&self, offset: usize, to: &mut [u8]) -> Result<(), BadAccess> {
        let from = offset
            .checked_add(to.len())
            .and_then(|end| self.get(offset..end))
            .ok_or(BadAccess {
                offset: offset as u64,
                len: to.len() as u64,
                size: self.len() as u64,
            })?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn write(&mut self, offset: usize, from: &[u8]) -> Result<(), BadAccess> {
        let size = self.len() as u64;
        let to = offset
            .checked_add(from.len())
            .and_then(|end| self.get_mut(offset..end))
            .ok_or(BadAccess {
                offset: offset as u64,
                len: from.len() as u64,
                size,
            })?;
        to.copy_from_slice(from);
        Ok(())
    }
}
