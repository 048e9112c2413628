// SPDX-License-Identifier: GPL-2.0
//! Commands on blocks.

use super::{finish, opcode, reply, sense, Cdb, Disk, Failure};
use crate::data::DataBuffer;

/// Most blocks that one descriptor of UNMAP may name, in the block limits page.
pub const MAX_UNMAP_BLOCKS: u32 = 1 << 20;
/// Most descriptors that one UNMAP may have, in the block limits page.
pub const MAX_UNMAP_DESCRIPTORS: u32 = 64;
/// Most blocks that one WRITE SAME may name, in the block limits page.
pub const MAX_WRITE_SAME_BLOCKS: u64 = 1 << 20;

/// Service action of SERVICE ACTION IN(16) that means READ CAPACITY(16).
const READ_CAPACITY_16: u8 = 0x10;

/// Blocks that a command names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) lba: u64,
    blocks: u64,
}

/// Where the block address and the number of blocks are depends on the group of the operation code.
pub(super) fn extent(cdb: &Cdb) -> Extent {
    let (lba, blocks) = match cdb.byte(0) >> 5 {
        0 => {
            let lba = cdb.number(1, 3) & 0x1f_ffff;
            // In a 6-byte CDB zero blocks mean 256.
            let blocks = match cdb.byte(4) {
                0 => 256,
                blocks => u64::from(blocks),
            };
            (lba, blocks)
        }
        4 => (cdb.number(2, 8), cdb.number(10, 4)),
        5 => (cdb.number(2, 4), cdb.number(6, 4)),
        _ => (cdb.number(2, 4), cdb.number(7, 2)),
    };
    Extent { lba, blocks }
}

/// Protection information and FUA are not in 6-byte CDBs.
fn flags(cdb: &Cdb) -> u8 {
    if cdb.byte(0) >> 5 == 0 {
        0
    } else {
        cdb.byte(1)
    }
}

/// Three bits that ask for protection information, which the disk has not.
const PROTECT: u8 = 0xe0;
/// Force unit access.
const FUA: u8 = 0x08;

impl Disk {
    /// Byte offset and length of an extent.
    fn bytes(&self, extent: Extent) -> Result<(u64, u64), Failure> {
        let end = extent.lba.checked_add(extent.blocks);
        if end.is_none_or(|end| end > self.blocks()) {
            return Err(sense::LBA_OUT_OF_RANGE.into());
        }
        // The end is inside the backing, so neither product overflows.
        let size = u64::from(self.block_size);
        Ok((extent.lba * size, extent.blocks * size))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.backing
            .flush()
            .map_err(|error| Failure::Io(error, true))
    }

    pub(super) fn read(
        &mut self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        if flags(cdb) & PROTECT != 0 {
            return Err(sense::INVALID_FIELD.into());
        }
        let (offset, len) = self.bytes(extent(cdb))?;
        // The initiator may have asked for more than it has room for.
        let len = len.min(data.len() as u64) as usize;
        let mut done = 0;
        while done < len {
            let count = self.bounce.len().min(len - done);
            let bounce = &mut self.bounce[..count];
            self.backing
                .read(offset + done as u64, bounce)
                .map_err(|error| Failure::Io(error, false))?;
            data.write(done, bounce)?;
            done += count;
        }
        finish(data, len)
    }

    pub(super) fn write(
        &mut self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        let (offset, len) = self.bytes(extent(cdb))?;
        // Blocks for which no data came cannot be written.
        if flags(cdb) & PROTECT != 0 || len > data.len() as u64 {
            return Err(sense::INVALID_FIELD.into());
        }
        let len = len as usize;
        let mut done = 0;
        while done < len {
            let count = self.bounce.len().min(len - done);
            let bounce = &mut self.bounce[..count];
            data.read(done, bounce)?;
            self.backing
                .write(offset + done as u64, bounce)
                .map_err(|error| Failure::Io(error, true))?;
            done += count;
        }
        if flags(cdb) & FUA != 0 || !self.write_cache {
            self.flush()?;
        }
        Ok(None)
    }

    pub(super) fn verify(
        &mut self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        let (offset, len) = self.bytes(extent(cdb))?;
        let byte_check = cdb.byte(1) >> 1 & 3;
        match byte_check {
            _ if cdb.byte(1) & PROTECT != 0 => return Err(sense::INVALID_FIELD.into()),
            // Without data: the blocks have to be readable.
            0 => (),
            1 if len <= data.len() as u64 => (),
            _ => return Err(sense::INVALID_FIELD.into()),
        }
        let mut sent = vec![0; self.bounce.len().min(len as usize)];
        let mut done = 0;
        while done < len {
            let count = (self.bounce.len() as u64).min(len - done) as usize;
            let bounce = &mut self.bounce[..count];
            self.backing
                .read(offset + done, bounce)
                .map_err(|error| Failure::Io(error, false))?;
            if byte_check == 1 {
                data.read(done as usize, &mut sent[..count])?;
                if sent[..count] != *bounce {
                    return Err(sense::MISCOMPARE.into());
                }
            }
            done += count as u64;
        }
        Ok(None)
    }

    pub(super) fn synchronize_cache(&mut self, cdb: &Cdb) -> Result<Option<u32>, Failure> {
        // All blocks are synchronized whatever the range, but it has to be one.
        self.bytes(extent(cdb))?;
        self.flush()?;
        Ok(None)
    }

    pub(super) fn write_same(
        &mut self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        let extent = extent(cdb);
        let size = self.block_size as usize;
        let no_data = cdb.byte(0) == opcode::WRITE_SAME_16 && cdb.byte(1) & 0x01 != 0;
        let anchor = cdb.byte(1) & 0x10 != 0;
        // A number of 0 means up to the end, which would go round the limit.
        if cdb.byte(1) & PROTECT != 0
            || anchor
            || !(1..=MAX_WRITE_SAME_BLOCKS).contains(&extent.blocks)
            || !no_data && data.len() < size
        {
            return Err(sense::INVALID_FIELD.into());
        }
        let (offset, len) = self.bytes(extent)?;
        let mut block = vec![0; size];
        if !no_data {
            data.read(0, &mut block)?;
        }
        let io_error = |error| Failure::Io(error, true);
        if block.iter().all(|byte| *byte == 0) {
            self.backing.zero(offset, len).map_err(io_error)?;
        } else {
            for at in (0..len).step_by(size) {
                self.backing.write(offset + at, &block).map_err(io_error)?;
            }
        }
        Ok(None)
    }

    pub(super) fn unmap(
        &mut self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        let len = cdb.number(7, 2) as usize;
        if cdb.byte(1) & 0x01 != 0 || len > data.len() {
            return Err(sense::INVALID_FIELD.into());
        }
        if len == 0 {
            return Ok(None);
        }
        let mut list = vec![0; len];
        data.read(0, &mut list)?;
        let header = list.get(..8).ok_or(sense::PARAMETER_LENGTH)?;
        let descriptors_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let descriptors = list[8..]
            .get(..descriptors_len / 16 * 16)
            .ok_or(sense::PARAMETER_LENGTH)?;
        let (descriptors, _) = descriptors.as_chunks::<16>();
        if descriptors.len() > MAX_UNMAP_DESCRIPTORS as usize {
            return Err(sense::INVALID_PARAMETER.into());
        }
        let mut extents = Vec::new();
        for descriptor in descriptors {
            let descriptor = Cdb(*descriptor);
            let (lba, blocks) = (descriptor.number(0, 8), descriptor.number(8, 4));
            if blocks > u64::from(MAX_UNMAP_BLOCKS) {
                return Err(sense::INVALID_PARAMETER.into());
            }
            extents.push(self.bytes(Extent { lba, blocks })?);
        }
        for (offset, len) in extents.into_iter().filter(|(_, len)| *len > 0) {
            self.backing
                .zero(offset, len)
                .map_err(|error| Failure::Io(error, true))?;
        }
        Ok(None)
    }

    pub(super) fn read_capacity_10(
        &self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        // A block address without the PMI bit is an error in SBC-3.
        if cdb.byte(8) & 1 == 0 && cdb.number(2, 4) != 0 {
            return Err(sense::INVALID_FIELD.into());
        }
        let last = u32::try_from(self.blocks() - 1).unwrap_or(u32::MAX);
        let mut bytes = last.to_be_bytes().to_vec();
        bytes.extend(self.block_size().to_be_bytes());
        reply(data, 8, &bytes)
    }

    pub(super) fn service_action_in(
        &self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        if cdb.byte(1) & 0x1f != READ_CAPACITY_16 {
            return Err(sense::INVALID_FIELD.into());
        }
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(self.blocks() - 1).to_be_bytes());
        bytes[8..12].copy_from_slice(&self.block_size().to_be_bytes());
        // Provisioning management, and unmapped blocks read as zeros.
        bytes[14] = 0x80 | 0x40;
        reply(data, cdb.number(10, 4), &bytes)
    }
}
