// SPDX-License-Identifier: GPL-2.0

//! What the engine works on: shared memory, data area, LIO.

use super::command::{Ledger, Request, TestCommand, TestCompleter, Token};
use crate::logic::alloc::NoMemory;
use crate::logic::data_area::Blocks;
use crate::logic::engine::Config;
use crate::logic::ops::{
    DataIo,
    RingIo, //
};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

/// What is mapped, and LIO.
pub(crate) struct TestHost {
    /// The command ring.
    ring: Vec<u64>,
    /// `cmd_head` of the mailbox.
    head: u32,
    /// `cmd_tail` of the mailbox.
    tail: u32,
    /// `cmd_tail` as the engine has seen it last.
    seen_tail: Cell<u32>,
    /// Contents of each block.
    blocks: Vec<Vec<u8>>,
    /// How much of each block has memory behind it.
    populated: Vec<u32>,
    /// Which [`DataIo::populate`] from now on is refused; 0 for none.
    refuse_populate: u32,
    /// Whether one was refused.
    populate_refused: bool,
    /// Whether the head moved since [`TestHost::take_published`] was called.
    published: bool,
    ledger: Rc<RefCell<Ledger>>,
}

impl TestHost {
    pub(crate) fn new(config: &Config) -> Self {
        let block = vec![0; config.block_size as usize];
        Self {
            ring: vec![0; config.ring_size as usize / 8],
            head: 0,
            tail: 0,
            seen_tail: Cell::new(0),
            blocks: vec![block; config.blocks as usize],
            populated: vec![0; config.blocks as usize],
            refuse_populate: 0,
            populate_refused: false,
            published: false,
            ledger: Rc::default(),
        }
    }

    /// LIO's view of the commands.
    pub(crate) fn ledger(&self) -> &Rc<RefCell<Ledger>> {
        &self.ledger
    }

    /// LIO's end of the engine.
    pub(crate) fn completer(&self) -> TestCompleter {
        TestCompleter {
            ledger: self.ledger.clone(),
        }
    }

    /// Makes a command.
    pub(crate) fn command(&self, request: Request, aborted: bool) -> TestCommand {
        TestCommand::new(&self.ledger, request, aborted)
    }

    /// Size of the ring in bytes.
    pub(crate) fn size(&self) -> u32 {
        self.ring.len() as u32 * 8
    }

    /// User space reads `cmd_head`.
    pub(crate) fn head(&self) -> u32 {
        self.head
    }

    /// What user space has written into `cmd_tail`.
    pub(crate) fn mailbox_tail(&self) -> u32 {
        self.tail
    }

    /// User space reads bytes of the ring.
    pub(crate) fn bytes<const N: usize>(&self, offset: u32) -> [u8; N] {
        std::array::from_fn(|at| {
            let at = offset as usize + at;
            self.ring[at / 8].to_ne_bytes()[at % 8]
        })
    }

    /// User space writes bytes of the ring.
    pub(crate) fn set_bytes(&mut self, offset: u32, bytes: &[u8]) {
        for (at, &byte) in (offset as usize..).zip(bytes) {
            let mut word = self.ring[at / 8].to_ne_bytes();
            word[at % 8] = byte;
            self.ring[at / 8] = u64::from_ne_bytes(word);
        }
    }

    /// User space writes `cmd_tail`.
    pub(crate) fn set_tail(&mut self, tail: u32) {
        self.tail = tail;
    }

    /// Contents of a block.
    pub(crate) fn block(&self, block: u32) -> &[u8] {
        &self.blocks[block as usize]
    }

    /// User space writes a byte of the data area.
    pub(crate) fn set_data(&mut self, offset: u64, byte: u8) {
        let size = self.blocks[0].len() as u64;
        self.blocks[(offset / size) as usize][(offset % size) as usize] = byte;
    }

    /// A byte of the data area.
    pub(crate) fn data(&self, offset: u64) -> u8 {
        let size = self.blocks[0].len() as u64;
        self.blocks[(offset / size) as usize][(offset % size) as usize]
    }

    /// Makes the `nth` [`DataIo::populate`] from now on fail, counted from 1; 0 lets all succeed.
    pub(crate) fn refuse_populate(&mut self, nth: u32) {
        self.refuse_populate = nth;
    }

    /// Which [`DataIo::populate`] from now on fails; 0 for none.
    pub(crate) fn refused_populate(&self) -> u32 {
        self.refuse_populate
    }

    /// How much of each block has memory behind it, in bytes.
    pub(crate) fn populated(&self) -> &[u32] {
        &self.populated
    }

    /// Whether a [`DataIo::populate`] was refused since the last call.
    pub(crate) fn take_populate_refused(&mut self) -> bool {
        std::mem::take(&mut self.populate_refused)
    }

    /// Whether the head has moved since the last call.
    pub(crate) fn take_published(&mut self) -> bool {
        std::mem::take(&mut self.published)
    }

    fn block_size(&self) -> usize {
        self.blocks[0].len()
    }

    fn check_populated(&self, token: Token, block: u32, bytes: usize) {
        assert!(
            self.populated[block as usize] as usize >= bytes,
            "command {token}: block {block} has no memory for {bytes} bytes"
        );
    }
}

impl RingIo for TestHost {
    fn read_word(&self, offset: u32) -> u64 {
        assert_eq!(offset % 8, 0);
        self.ring[offset as usize / 8]
    }

    fn write_word(&mut self, offset: u32, value: u64) {
        assert_eq!(offset % 8, 0);
        let tail = self.seen_tail.get();
        let in_use = if tail <= self.head {
            (tail..self.head).contains(&offset)
        } else {
            offset >= tail || offset < self.head
        };
        assert!(
            !in_use,
            "a write to {offset} hits an entry in [{tail}, {})",
            self.head
        );
        self.ring[offset as usize / 8] = value;
    }

    fn tail(&self) -> u32 {
        self.seen_tail.set(self.tail);
        self.tail
    }

    fn publish_head(&mut self, head: u32) {
        assert!(head < self.size() && head % 8 == 0 && head != self.head);
        self.head = head;
        self.published = true;
    }

    fn reset_mailbox(&mut self) {
        self.head = 0;
        self.tail = 0;
        self.seen_tail.set(0);
        self.published = false;
    }
}

impl DataIo<TestCommand> for TestHost {
    fn populate(&mut self, block: u32, bytes: u32) -> Result<(), NoMemory> {
        assert!(bytes >= 1 && bytes as usize <= self.block_size());
        let left = self.refuse_populate;
        self.refuse_populate = left.saturating_sub(1);
        if left == 1 {
            self.populate_refused = true;
            return Err(NoMemory);
        }
        let populated = &mut self.populated[block as usize];
        *populated = (*populated).max(bytes);
        Ok(())
    }

    fn depopulate(&mut self, blocks: Range<u32>) {
        assert!(!blocks.is_empty());
        for block in blocks {
            self.populated[block as usize] = 0;
            self.blocks[block as usize].fill(0);
        }
    }

    fn copy_to_area(&mut self, command: &TestCommand, blocks: Blocks<'_>) {
        let length = command.request.data_length as usize;
        let mut at = 0;
        for block in blocks {
            assert!(at < length, "command {} has too many blocks", command.token);
            let count = self.block_size().min(length - at);
            self.check_populated(command.token, block, count);
            for byte in &mut self.blocks[block as usize][..count] {
                *byte = command.request.out_byte(at);
                at += 1;
            }
        }
        assert_eq!(at, length, "command {} has too few blocks", command.token);
    }

    fn copy_from_area(&mut self, command: &TestCommand, blocks: Blocks<'_>, length: u32) {
        let length = length as usize;
        let mut data = Vec::new();
        for block in blocks {
            let count = self.block_size().min(length - data.len());
            self.check_populated(command.token, block, count);
            data.extend_from_slice(&self.blocks[block as usize][..count]);
        }
        assert_eq!(data.len(), length, "command {}", command.token);
        self.ledger.borrow_mut().set_data_in(command.token, data);
    }
}
