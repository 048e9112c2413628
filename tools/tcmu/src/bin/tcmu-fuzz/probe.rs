// SPDX-License-Identifier: GPL-2.0
//! Honest answers to an initiator that asks what the disk is.
//!
//! Without a size, a disk gets no more commands, and the attack is over. So INQUIRY, READ CAPACITY and
//! the like are never spoiled as long as nobody else writes to the ring.

use tcmu::data::{Iov, IovBuffer};
use tcmu::ring::Response;
use tcmu::scsi::backing::Ram;
use tcmu::scsi::Disk;
use tcmu::shm::SharedMemory;
use tcmu::uapi;

/// Bytes of a CDB that are looked at.
const CDB: usize = 16;

/// I/O vectors of such a command at most.
const MOST_IOVS: usize = 16;

/// Answers as a disk does.
pub struct Prober(Disk);

impl Prober {
    /// A disk of `size` bytes, which nobody reads.
    ///
    /// # Errors
    ///
    /// If there is no such disk.
    pub fn new(size: usize, block_size: u32) -> anyhow::Result<Self> {
        let disk = Disk::new(Box::new(Ram::new(size)), block_size, "fuzz");
        disk.map(Self).map_err(anyhow::Error::msg)
    }

    /// The answer to the command in the entry at `at` bytes into the region; `None` if it asks for
    /// something else. Its data is written at once.
    pub fn answer(&mut self, mem: &impl SharedMemory, at: usize) -> Option<Response> {
        let cdb_off = u64::from_ne_bytes(mem.read_array(at + uapi::REQ_CDB_OFF).ok()?);
        let cdb: [u8; CDB] = mem.read_array(usize::try_from(cdb_off).ok()?).ok()?;
        if !asks(&cdb) {
            return None;
        }
        let count = mem.read_u32(at + uapi::REQ_IOV_CNT).ok()? as usize;
        let word = |offset| mem.read_array(offset).ok().map(u64::from_ne_bytes);
        let mut iovs = Vec::new();
        for number in 0..count.min(MOST_IOVS) {
            let iov = at + uapi::REQ_IOV + number * uapi::IOV_SIZE;
            let (base, len) = (word(iov)?, word(iov + uapi::IOV_LEN)?);
            iovs.push(Iov {
                base: mem.check(base, len).ok()?,
                len: len as usize,
            });
        }
        Some(self.0.execute(&cdb, &mut IovBuffer::new(mem, &iovs)))
    }
}

/// Whether a command asks for properties of the disk.
fn asks(cdb: &[u8]) -> bool {
    // INQUIRY, MODE SENSE, READ CAPACITY, SERVICE ACTION IN(16), REPORT LUNS and so on
    matches!(
        cdb.first(),
        Some(0x12 | 0x1a | 0x5a | 0x25 | 0x9e | 0xa0 | 0xa3)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_are_answered() {
        assert!(asks(&[0x25, 0]) && asks(&[0x12]));
        assert!(!asks(&[0x28]) && !asks(&[0x2a]) && !asks(&[0x00]) && !asks(&[]));
    }
}
