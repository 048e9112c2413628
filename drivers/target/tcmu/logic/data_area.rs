// SPDX-License-Identifier: GPL-2.0

//! Which blocks of the data area belong to which command.
//!
//! The blocks of a command form a chain: for each block the number of the next one is kept in an
//! array, so a command needs no list of its own and no allocation. The lowest free block is taken
//! first, which keeps the part of the area that has memory behind it small.

use core::ops::Range;

use super::alloc::{
    Array,
    Memory,
    NoMemory, //
};
use super::growth::grown;

/// A chain of blocks; only the [`DataArea`] that made it can read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockList {
    first: u32,
    count: u32,
}

/// Blocks that were just allocated, and how they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// The blocks.
    pub(crate) blocks: BlockList,
    /// Number of bytes that they hold.
    pub(crate) length: u32,
    /// Number of runs of consecutive blocks.
    pub(crate) runs: u32,
}

impl Allocation {
    /// The only run of consecutive blocks, as (first block, bytes).
    pub(crate) fn single_run(&self) -> Option<(u32, u32)> {
        (self.runs == 1).then_some((self.blocks.first, self.length))
    }
}

/// Why blocks were not allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllocError {
    /// Not enough free blocks.
    Full,
    /// No memory for book-keeping or for the data itself.
    NoMemory,
}

impl From<NoMemory> for AllocError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

/// The data area.
///
/// # Invariants
///
/// - `used` is the number of bits set in `bitmap`; each set bit belongs to exactly one
///   [`BlockList`].
/// - No block below `hint` is free.
/// - `next` is as long as the highest block that was ever allocated, plus one, or longer.
pub(crate) struct DataArea<M: Memory> {
    blocks: u32,
    block_size: u32,
    used: u32,
    hint: u32,
    bitmap: M::Array<u64>,
    next: M::Array<u32>,
}

impl<M: Memory> DataArea<M> {
    /// Makes an area of `blocks` free blocks of `block_size` bytes.
    pub(crate) fn new(blocks: u32, block_size: u32) -> Result<Self, NoMemory> {
        let mut bitmap = M::Array::new();
        bitmap.grow(blocks.div_ceil(64) as usize, || 0)?;
        Ok(Self {
            blocks,
            block_size,
            used: 0,
            hint: 0,
            bitmap,
            next: M::Array::new(),
        })
    }

    /// Number of blocks.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Number of blocks that commands have.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    /// Size of a block in bytes.
    pub(crate) fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Number of blocks that `length` bytes need.
    pub(crate) fn blocks_for(&self, length: u32) -> u32 {
        length.div_ceil(self.block_size)
    }

    /// Takes blocks for `length` bytes; `populate` puts memory behind each (block, bytes).
    ///
    /// All or nothing: on error every block is free again.
    pub(crate) fn allocate(
        &mut self,
        length: u32,
        mut populate: impl FnMut(u32, u32) -> Result<(), NoMemory>,
    ) -> Result<Allocation, AllocError> {
        if self.blocks_for(length) > self.blocks - self.used {
            return Err(AllocError::Full);
        }
        let mut list = BlockList::default();
        let mut runs = 0;
        let mut last = 0;
        let mut rest = length;
        while rest > 0 {
            let bytes = rest.min(self.block_size);
            let taken = self.take().and_then(|block| {
                if list.count == 0 {
                    list.first = block;
                    runs = 1;
                } else {
                    self.next[last as usize] = block;
                    runs += u32::from(block != last + 1);
                }
                list.count += 1;
                last = block;
                populate(block, bytes)
            });
            if let Err(NoMemory) = taken {
                self.free(list);
                return Err(AllocError::NoMemory);
            }
            rest -= bytes;
        }
        Ok(Allocation {
            blocks: list,
            length,
            runs,
        })
    }

    /// Takes the lowest free block. There is one.
    fn take(&mut self) -> Result<u32, NoMemory> {
        let mut word = self.hint as usize / 64;
        while self.bitmap[word] == u64::MAX {
            word += 1;
        }
        let block = word as u32 * 64 + self.bitmap[word].trailing_ones();
        let needed = block as usize + 1;
        if needed > self.next.len() {
            self.next
                .grow(grown::<M, u32>(self.next.len(), needed), || 0)?;
        }
        self.bitmap[word] |= 1 << (block % 64);
        self.used += 1;
        self.hint = block + 1;
        Ok(block)
    }

    /// Gives the blocks of a list back.
    pub(crate) fn free(&mut self, list: BlockList) {
        let mut block = list.first;
        for _ in 0..list.count {
            self.bitmap[block as usize / 64] &= !(1 << (block % 64));
            self.hint = self.hint.min(block);
            block = self.next[block as usize];
        }
        self.used -= list.count;
    }

    /// The blocks of a list, in order.
    pub(crate) fn iter(&self, list: BlockList) -> Blocks<'_> {
        Blocks {
            next: &self.next,
            block: list.first,
            left: list.count,
        }
    }

    /// The free blocks that may have memory behind them, as runs of consecutive ones.
    pub(crate) fn free_runs(&self) -> FreeRuns<'_> {
        FreeRuns {
            bitmap: &self.bitmap,
            at: 0,
            // Only a block that was allocated once has got memory.
            end: self.blocks.min(self.next.len() as u32),
        }
    }

    /// The runs of consecutive blocks of an allocation, as (first block, bytes).
    pub(crate) fn runs(&self, allocation: &Allocation) -> Runs<'_> {
        Runs {
            blocks: self.iter(allocation.blocks),
            block_size: self.block_size,
            left: allocation.length,
            pending: None,
        }
    }
}

/// Iterator over the blocks of a [`BlockList`].
pub(crate) struct Blocks<'a> {
    next: &'a [u32],
    block: u32,
    left: u32,
}

impl Iterator for Blocks<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let block = self.block;
        self.block = self.next[block as usize];
        Some(block)
    }
}

/// Iterator over the runs of consecutive blocks of a [`BlockList`]: the iovecs of a command.
pub(crate) struct Runs<'a> {
    blocks: Blocks<'a>,
    block_size: u32,
    left: u32,
    pending: Option<u32>,
}

impl Iterator for Runs<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        let first = self.pending.take().or_else(|| self.blocks.next())?;
        let mut last = first;
        let mut bytes = self.left.min(self.block_size);
        self.left -= bytes;
        for block in self.blocks.by_ref() {
            if block != last + 1 {
                self.pending = Some(block);
                break;
            }
            let more = self.left.min(self.block_size);
            bytes += more;
            self.left -= more;
            last = block;
        }
        Some((first, bytes))
    }
}

/// Iterator over the runs of consecutive free blocks of a [`DataArea`].
pub(crate) struct FreeRuns<'a> {
    bitmap: &'a [u64],
    at: u32,
    end: u32,
}

impl FreeRuns<'_> {
    /// The end of the blocks from `at` on that are in use, or that are free.
    fn past(&self, used: bool) -> u32 {
        let mut at = self.at;
        while at < self.end {
            let word = self.bitmap[at as usize / 64] >> (at % 64);
            let left = 64 - at % 64;
            let run = if used { word } else { !word }.trailing_ones();
            // What the shift has put in looks free.
            at += run.min(left);
            if run < left {
                break;
            }
        }
        at.min(self.end)
    }
}

impl Iterator for FreeRuns<'_> {
    type Item = Range<u32>;

    fn next(&mut self) -> Option<Range<u32>> {
        self.at = self.past(true);
        let first = self.at;
        self.at = self.past(false);
        (first < self.at).then_some(first..self.at)
    }
}
