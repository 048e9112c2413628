// SPDX-License-Identifier: GPL-2.0

//! The memory that a device shares with user space: mailbox, command ring and data area.
//!
//! User space can read and write all of it at any time. The ring is an array of atomics, of which
//! each access is one machine access, and the data pages are only copied from and to; there is no
//! Rust reference to anything that user space writes.

use super::logic::{
    growth::grown,
    Answer,
    Array as _,
    Blocks,
    Command,
    Direction,
    Host,
    NoMemory,
    Sizes,
    SlotIndex,
    RING_OFFSET, //
};
use super::reclaim;
use super::table::Table;
use crate::{
    ext::{
        page,
        uio::{
            MappedPage,
            Mapping, //
        },
    },
    target::command::{
        Command as ScsiCommand,
        Completion,
        DataDirection,
        SamStatus, //
    },
};
use core::ops::Range;
use kernel::{
    page::{
        Page,
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

/// `TCMU_MAILBOX_VERSION`
const VERSION: u16 = 2;

/// Out-of-order completion, read length, TMR notification, kept buffers
/// (`TCMU_MAILBOX_FLAG_CAP_*`).
const CAPABILITIES: u16 = 0xf;

// The interface to user space has 64-bit `struct iovec`s, and words of the ring are accessed in one
// piece; the logic counts in pages of 4 KiB.
static_assert!(cfg!(CONFIG_64BIT) && PAGE_SIZE == 4096);

impl Command for ScsiCommand {
    fn cdb(&self) -> &[u8] {
        ScsiCommand::cdb(self)
    }

    fn direction(&self) -> Direction {
        match ScsiCommand::direction(self) {
            DataDirection::None => Direction::None,
            DataDirection::ToDevice => Direction::ToDevice,
            DataDirection::FromDevice => Direction::FromDevice,
        }
    }

    fn data_length(&self) -> u32 {
        ScsiCommand::data_length(self)
    }

    fn bidi_length(&self) -> Option<u32> {
        match ScsiCommand::bidi_length(self) {
            0 => None,
            length => Some(length),
        }
    }

    fn is_aborted(&self) -> bool {
        ScsiCommand::is_aborted(self)
    }

    fn set_slot(&mut self, slot: SlotIndex) {
        self.set_cookie(slot.into_raw());
    }
}

/// Mailbox and command ring, in a vmalloc area.
///
/// The fields of the mailbox (`struct tcmu_mailbox`) that lie in the same 8 bytes are written
/// together, which also repairs what user space may have done to them.
struct Mailbox {
    words: VVec<Atomic<u64>>,
    ring_size: u32,
}

/// Words of the mailbox.
mod word {
    /// `version`, `flags` and `cmdr_off`.
    pub(super) const LAYOUT: usize = 0;
    /// `cmdr_size` and `cmd_head`.
    pub(super) const HEAD: usize = 1;
    /// `cmd_tail`, the only field that user space writes; the rest of the word is unused.
    pub(super) const TAIL: usize = 8;
}

/// Two 32-bit fields, in memory order, as one word.
fn join(first: u32, second: u32) -> u64 {
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, g, h] = second.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// The first of two 32-bit fields of a word.
fn first_field(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

impl Mailbox {
    fn new(sizes: &Sizes) -> Result<Self> {
        let ring_size = sizes.config().ring_size;
        let length = sizes.data_offset() as usize / size_of::<u64>();
        let mut words = VVec::with_capacity(length, GFP_KERNEL)?;
        for _ in 0..length {
            words
                .push_within_capacity(Atomic::new(0))
                .map_err(|_| ENOMEM)?;
        }
        let mailbox = Self { words, ring_size };
        let [a, b] = VERSION.to_ne_bytes();
        let [c, d] = CAPABILITIES.to_ne_bytes();
        let layout = join(u32::from_ne_bytes([a, b, c, d]), RING_OFFSET);
        mailbox.words[word::LAYOUT].store(layout, Relaxed);
        mailbox.reset();
        Ok(mailbox)
    }

    fn reset(&self) {
        self.words[word::TAIL].store(0, Relaxed);
        self.words[word::HEAD].store(join(self.ring_size, 0), Release);
    }

    fn ring(&self, offset: u32) -> &Atomic<u64> {
        &self.words[(RING_OFFSET + offset) as usize / size_of::<u64>()]
    }
}

/// The pages of the data area, allocated when a command first needs them.
struct DataPages {
    pages: Table<Option<Page>>,
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
            let len = grown::<Option<Page>>(self.pages.len(), end);
            self.pages.grow(len, || None)?;
        }
        let mut got = 0;
        let mut result = Ok(());
        for page in &mut self.pages[first..end] {
            if page.is_none() {
                // Zeroed: user space must not see what was there before.
                let Ok(new) = Page::alloc_page(GFP_KERNEL | __GFP_ZERO) else {
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
                page::wait_for_faults(&page);
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
                if page::copy(page, bytes, &mut buffer, to_command) < bytes {
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
    notify: bool,
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
            notify: false,
        })
    }

    /// Somebody has opened the UIO node, or closed it.
    pub(crate) fn set_mapping(&mut self, mapping: Option<Mapping>) {
        self.mapping = mapping;
    }

    /// Offset of the data area in bytes into the mapping.
    fn data_offset(&self) -> usize {
        self.mailbox.words.len() * size_of::<u64>()
    }

    /// Address of the mailbox, for UIO to show.
    pub(crate) fn address(&self) -> *const u8 {
        self.mailbox.words.as_ptr().cast()
    }

    /// Whether something was published that user space has not been woken for.
    pub(crate) fn wants_notify(&self) -> bool {
        self.notify
    }

    /// User space is being woken.
    pub(crate) fn set_notified(&mut self) {
        self.notify = false;
    }

    /// Number of pages that the data area has.
    pub(crate) fn data_pages(&self) -> usize {
        self.data.count()
    }

    /// The page at `offset` bytes into the mapping, if there is one.
    pub(crate) fn page(&self, offset: usize) -> Option<MappedPage> {
        match offset.checked_sub(self.data_offset()) {
            None => MappedPage::of_vmalloc(&self.mailbox.words, offset),
            Some(offset) => {
                let page = self.data.pages.get(offset >> PAGE_SHIFT)?.as_ref()?;
                Some(MappedPage::of(page))
            }
        }
    }
}

impl Host for SharedMemory {
    type Command = ScsiCommand;

    fn read_word(&self, offset: u32) -> u64 {
        self.mailbox.ring(offset).load(Relaxed)
    }

    fn write_word(&mut self, offset: u32, value: u64) {
        self.mailbox.ring(offset).store(value, Relaxed);
    }

    fn tail(&self) -> u32 {
        first_field(self.mailbox.words[word::TAIL].load(Acquire))
    }

    fn publish_head(&mut self, head: u32) {
        let word = join(self.mailbox.ring_size, head);
        self.mailbox.words[word::HEAD].store(word, Release);
    }

    fn reset_mailbox(&mut self) {
        self.mailbox.reset();
    }

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

    fn complete(&mut self, command: ScsiCommand, answer: Answer<'_>) {
        command.complete(&match answer {
            Answer::Busy => SamStatus::BUSY.into(),
            Answer::CheckCondition => SamStatus::CHECK_CONDITION.into(),
            Answer::TaskSetFull => SamStatus::TASK_SET_FULL.into(),
            Answer::TaskAborted => SamStatus::TASK_ABORTED.into(),
            Answer::Response {
                status,
                sense,
                read_length,
            } => Completion {
                status: SamStatus(status),
                sense,
                length: read_length,
            },
        });
    }

    fn notify(&mut self) {
        self.notify = true;
    }
}
