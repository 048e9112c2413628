// SPDX-License-Identifier: GPL-2.0

//! The memory that a device shares with user space: mailbox, command ring and data area.
//!
//! User space can read and write all of it at any time. The ring is an array of atomics, of which
//! each access is one machine access, and the data pages are only copied from and to; there is no
//! Rust reference to anything that user space writes.

use super::logic::{
    growth::grown,
    uapi::{
        first_of_pair,
        mailbox_layout,
        pair,
        RING_OFFSET, //
    },
    Array as _,
    Blocks,
    DataIo,
    NoMemory,
    RingIo,
    Sizes, //
};
use super::reclaim;
use super::table::{
    Kernel,
    Table, //
};
use crate::{
    ext::{
        page::{
            SharedPage,
            SharedWords, //
        },
        uio::{
            MappedPage,
            Mapping, //
        },
    },
    target::command::Command as ScsiCommand,
};
use core::ops::Range;
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
};

// The interface to user space has 64-bit `struct iovec`s, and words of the ring are accessed in one
// piece.
static_assert!(cfg!(CONFIG_64BIT));

// Sizes are set in MiB.
static_assert!(PAGE_SHIFT <= 20);

/// Mailbox and command ring, in a vmalloc area.
///
/// The fields of the mailbox (`struct tcmu_mailbox`) that lie in the same 8 bytes are written
/// together, which also repairs what user space may have done to them.
struct Mailbox {
    words: SharedWords,
    ring_size: u32,
}

/// Words of the mailbox.
mod word {
    use super::super::logic::uapi::*;

    pub(super) const LAYOUT: usize = MAILBOX_LAYOUT_OFFSET / size_of::<u64>();
    pub(super) const HEAD: usize = MAILBOX_HEAD_OFFSET / size_of::<u64>();
    pub(super) const TAIL: usize = MAILBOX_TAIL_OFFSET / size_of::<u64>();
}

impl Mailbox {
    fn new(sizes: &Sizes) -> Result<Self> {
        let ring_size = sizes.config().ring_size;
        let length = sizes.data_offset() as usize / size_of::<u64>();
        let words = SharedWords::new(length)?;
        let mailbox = Self { words, ring_size };
        mailbox.words[word::LAYOUT].store(mailbox_layout(), Relaxed);
        mailbox.reset();
        Ok(mailbox)
    }

    fn reset(&self) {
        self.words[word::TAIL].store(0, Relaxed);
        self.words[word::HEAD].store(pair(self.ring_size, 0), Release);
    }

    fn ring(&self, offset: u32) -> &Atomic<u64> {
        &self.words[(RING_OFFSET + offset) as usize / size_of::<u64>()]
    }
}

/// The pages of the data area, allocated when a command first needs them.
struct DataPages {
    pages: Table<Option<SharedPage>>,
    per_block: usize,
}

impl DataPages {
    fn count(&self) -> usize {
        self.pages.iter().flatten().count()
    }

    fn populate(&mut self, block: u32, bytes: u32) -> Result<(), NoMemory> {
        let first = block as usize * self.per_block;
        let end = first + (bytes as usize).div_ceil(PAGE_SIZE);
        if end > self.pages.len() {
            let len = grown::<Kernel, Option<SharedPage>>(self.pages.len(), end);
            self.pages.grow(len, || None)?;
        }
        let mut got = 0;
        let mut result = Ok(());
        for page in &mut self.pages[first..end] {
            if page.is_none() {
                let Ok(new) = SharedPage::new() else {
                    result = Err(NoMemory);
                    break;
                };
                *page = Some(new);
                got += 1;
            }
        }
        if got > 0 {
            reclaim::add(got);
        }
        result
    }

    /// Takes the pages of `blocks` away, also from the mappings of user space. `offset` is that of
    /// the data area in the mapped region.
    fn depopulate(&mut self, blocks: Range<u32>, offset: usize, mapping: Option<&Mapping>) {
        let first = blocks.start as usize * self.per_block;
        let end = (blocks.end as usize * self.per_block).min(self.pages.len());
        let Some(pages) = self.pages.get_mut(first..end) else {
            return;
        };
        let mut count = 0;
        for page in pages.iter_mut() {
            if let Some(page) = page.take() {
                count += 1;
                // A fault may have got the page before our caller took the lock of the device and
                // map it only after the unmapping below: user space would go on with a page that
                // no command uses any more.
                page.wait_for_faults();
            }
        }
        if count > 0 {
            reclaim::subtract(count);
            if let Some(mapping) = mapping {
                mapping.unmap(offset + (first << PAGE_SHIFT), (end - first) << PAGE_SHIFT);
            }
        }
    }

    /// Copies `length` bytes between a buffer of a command and the blocks of the area.
    fn copy(&self, command: &ScsiCommand, blocks: Blocks<'_>, length: u32, copy: Copy) {
        let (bidi, to_command) = match copy {
            Copy::FromCommand => (false, false),
            Copy::ToCommand { bidi } => (bidi, true),
        };
        let mut buffer = command.buffer(bidi, to_command);
        let mut left = length as usize;
        for block in blocks {
            let first = block as usize * self.per_block;
            // The last block of a command need not have all of its pages.
            let pages = self.pages.get(first..).unwrap_or_default();
            for page in pages.iter().take(self.per_block) {
                if left == 0 {
                    return;
                }
                let Some(page) = page else {
                    return;
                };
                let bytes = left.min(PAGE_SIZE);
                if page.copy(bytes, &mut buffer, to_command) < bytes {
                    // The scatterlist is shorter than the data length says.
                    return;
                }
                left -= bytes;
            }
        }
    }
}

impl Drop for DataPages {
    fn drop(&mut self) {
        reclaim::subtract(self.count());
    }
}

/// Which way [`DataPages::copy`] copies.
#[derive(Clone, Copy)]
enum Copy {
    FromCommand,
    ToCommand { bidi: bool },
}

/// What a device shares with user space.
pub(crate) struct SharedMemory {
    mailbox: Mailbox,
    data: DataPages,
    /// Where user space maps it, while somebody has the UIO node open.
    mapping: Option<Mapping>,
}

impl SharedMemory {
    /// Makes the memory of a device; the data area is empty.
    pub(crate) fn new(sizes: &Sizes) -> Result<Self> {
        Ok(Self {
            mailbox: Mailbox::new(sizes)?,
            data: DataPages {
                pages: Table::new(),
                per_block: sizes.pages_per_block() as usize,
            },
            mapping: None,
        })
    }

    /// Somebody has opened the UIO node, or closed it. Returns the mapping that there was before.
    pub(crate) fn set_mapping(&mut self, mapping: Option<Mapping>) -> Option<Mapping> {
        core::mem::replace(&mut self.mapping, mapping)
    }

    /// Offset of the data area in bytes into the mapping.
    fn data_offset(&self) -> usize {
        self.mailbox.words.len() * size_of::<u64>()
    }

    /// Address of the mailbox, for UIO to show.
    pub(crate) fn address(&self) -> *const u8 {
        self.mailbox.words.as_ptr().cast()
    }

    /// Number of pages that the data area has.
    pub(crate) fn data_pages(&self) -> usize {
        self.data.count()
    }

    /// The page at `offset` bytes into the mapping, if there is one.
    pub(crate) fn page(&self, offset: usize) -> Option<MappedPage> {
        match offset.checked_sub(self.data_offset()) {
            None => MappedPage::of_words(&self.mailbox.words, offset),
            Some(offset) => {
                let page = self.data.pages.get(offset >> PAGE_SHIFT)?.as_ref()?;
                Some(MappedPage::of(page))
            }
        }
    }
}

impl RingIo for SharedMemory {
    fn read_word(&self, offset: u32) -> u64 {
        self.mailbox.ring(offset).load(Relaxed)
    }

    fn write_word(&mut self, offset: u32, value: u64) {
        self.mailbox.ring(offset).store(value, Relaxed);
    }

    fn tail(&self) -> u32 {
        first_of_pair(self.mailbox.words[word::TAIL].load(Acquire))
    }

    fn publish_head(&mut self, head: u32) {
        let word = pair(self.mailbox.ring_size, head);
        self.mailbox.words[word::HEAD].store(word, Release);
    }

    fn reset_mailbox(&mut self) {
        self.mailbox.reset();
    }
}

impl DataIo<ScsiCommand> for SharedMemory {
    fn populate(&mut self, block: u32, bytes: u32) -> Result<(), NoMemory> {
        self.data.populate(block, bytes)
    }

    fn depopulate(&mut self, blocks: Range<u32>) {
        let offset = self.data_offset();
        self.data.depopulate(blocks, offset, self.mapping.as_ref());
    }

    fn copy_to_area(&mut self, command: &ScsiCommand, blocks: Blocks<'_>) {
        let length = command.data_length();
        self.data.copy(command, blocks, length, Copy::FromCommand);
    }

    fn copy_from_area(&mut self, command: &ScsiCommand, blocks: Blocks<'_>, length: u32) {
        let bidi = command.bidi_length() != 0;
        self.data
            .copy(command, blocks, length, Copy::ToCommand { bidi });
    }
}
