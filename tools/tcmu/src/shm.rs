// SPDX-License-Identifier: GPL-2.0
//! Access to a memory region that another party writes at the same time.

/// An access that would leave the region, or a misaligned word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access of {len} bytes at offset {offset:#x} leaves the region of {size:#x} bytes or is misaligned")]
pub struct BadAccess {
    /// Offset from the start of the region.
    pub offset: u64,
    /// Bytes wanted.
    pub len: u64,
    /// Bytes in the region.
    pub size: u64,
}

/// A region shared with a party that is not trusted.
///
/// Every access is checked against the size of the region and copies: no reference to shared memory
/// ever exists, because its content may change at any moment. Words must be naturally aligned and are
/// read and written in one piece. Offsets count bytes from the start of the region.
pub trait SharedMemory {
    /// Bytes in the region. Constant during the life of the object.
    fn size(&self) -> usize;

    /// Reads a word; reads and writes that follow in program order are not moved before it.
    fn load_acquire_u32(&self, offset: usize) -> Result<u32, BadAccess>;

    /// Writes a word; reads and writes that precede in program order are not moved behind it.
    fn store_release_u32(&self, offset: usize, value: u32) -> Result<(), BadAccess>;

    /// Fills `buf` from the region. Each byte is read once; no more atomicity than that.
    fn read_bytes(&self, offset: usize, buf: &mut [u8]) -> Result<(), BadAccess>;

    /// Writes `buf` to the region.
    fn write_bytes(&self, offset: usize, buf: &[u8]) -> Result<(), BadAccess>;

    /// Checks that `len` bytes at `offset` lie in the region.
    fn check(&self, offset: u64, len: u64) -> Result<usize, BadAccess> {
        let size = self.size() as u64;
        match offset.checked_add(len) {
            // The end is at most `size`, so the offset fits in usize.
            Some(end) if end <= size => Ok(offset as usize),
            _ => Err(BadAccess { offset, len, size }),
        }
    }

    /// Reads an array of bytes.
    fn read_array<const N: usize>(&self, offset: usize) -> Result<[u8; N], BadAccess> {
        let mut bytes = [0; N];
        self.read_bytes(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads 16 bits in the machine's byte order.
    fn read_u16(&self, offset: usize) -> Result<u16, BadAccess> {
        self.read_array(offset).map(u16::from_ne_bytes)
    }

    /// Reads 32 bits in the machine's byte order.
    fn read_u32(&self, offset: usize) -> Result<u32, BadAccess> {
        self.read_array(offset).map(u32::from_ne_bytes)
    }
}

impl<M: SharedMemory + ?Sized> SharedMemory for &M {
    fn size(&self) -> usize {
        (**self).size()
    }

    fn load_acquire_u32(&self, offset: usize) -> Result<u32, BadAccess> {
        (**self).load_acquire_u32(offset)
    }

    fn store_release_u32(&self, offset: usize, value: u32) -> Result<(), BadAccess> {
        (**self).store_release_u32(offset, value)
    }

    fn read_bytes(&self, offset: usize, buf: &mut [u8]) -> Result<(), BadAccess> {
        (**self).read_bytes(offset, buf)
    }

    fn write_bytes(&self, offset: usize, buf: &[u8]) -> Result<(), BadAccess> {
        (**self).write_bytes(offset, buf)
    }
}
