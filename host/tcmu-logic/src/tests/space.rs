// SPDX-License-Identifier: GPL-2.0

//! Ring space and data area of the reference, computed the plain way.

use super::command::Request;
use super::user::Run;
use crate::logic::engine::Config;
use std::collections::VecDeque;

/// What a command gets on the ring.
#[derive(Debug)]
pub(crate) struct Fit {
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) data: Vec<Run>,
    pub(crate) bidi: Vec<Run>,
    /// Blocks of the data buffer, then of the Data-In buffer of a bidirectional command.
    pub(crate) blocks: Vec<u32>,
}

/// Whether a command can get onto the ring.
#[derive(Debug)]
pub(crate) enum Plan {
    Fits(Fit),
    NoSpace,
    TooBig,
}

/// Ring and data area.
#[derive(Hash)]
pub(crate) struct Space {
    pub(crate) size: u32,
    pub(crate) block_size: u32,
    pub(crate) head: u32,
    /// Start and kind (is it a command?) of each entry, oldest first.
    entries: VecDeque<(u32, bool)>,
    /// Number of entries released since the last reset.
    pub(crate) released: u64,
    taken: Vec<bool>,
}

impl Space {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            size: config.ring_size,
            block_size: config.block_size,
            head: 0,
            entries: VecDeque::new(),
            released: 0,
            taken: vec![false; config.blocks as usize],
        }
    }

    /// Start of the oldest entry, or the head.
    pub(crate) fn cleaned(&self) -> u32 {
        self.entries
            .front()
            .map_or(self.head, |&(offset, _)| offset)
    }

    /// Where an entry of `length` bytes goes. The head must not reach the oldest entry.
    pub(crate) fn place(&self, length: u32) -> Option<u32> {
        let (head, cleaned) = (self.head, self.cleaned());
        if head < cleaned {
            return (head + length < cleaned).then_some(head);
        }
        let end = head + length;
        if end < self.size || (end == self.size && cleaned > 0) {
            Some(head)
        } else if end > self.size && length < cleaned {
            Some(0)
        } else {
            None
        }
    }

    /// Adds an entry.
    pub(crate) fn commit(&mut self, offset: u32, length: u32, is_command: bool) {
        assert_eq!(offset, self.head);
        self.entries.push_back((offset, is_command));
        self.head = (offset + length) % self.size;
    }

    /// Whether user space may set `cmd_tail` to `tail`.
    pub(crate) fn is_boundary(&self, tail: u32) -> bool {
        tail == self.head || self.entries.iter().any(|&(offset, _)| offset == tail)
    }

    /// The oldest entry, if it is not the one at `tail`.
    pub(crate) fn oldest(&self, tail: u32) -> Option<(u32, bool)> {
        self.entries
            .front()
            .copied()
            .filter(|&(offset, _)| offset != tail)
    }

    /// The command entries before `tail`, which user space has given back.
    pub(crate) fn given_back(&self, tail: u32) -> impl Iterator<Item = u32> + use<'_> {
        let end = self.entries.iter().position(|&(offset, _)| offset == tail);
        let entries = self.entries.iter().take(end.unwrap_or(self.entries.len()));
        entries
            .filter(|&&(_, is_command)| is_command)
            .map(|&(offset, _)| offset)
    }

    /// Removes the oldest entry.
    pub(crate) fn release_oldest(&mut self) {
        self.entries.pop_front();
        self.released += 1;
    }

    /// Whether no entry is on the ring.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.taken.len()
    }

    /// Which blocks belong to a command.
    pub(crate) fn taken(&self) -> &[bool] {
        &self.taken
    }

    /// Number of free blocks.
    pub(crate) fn free_blocks(&self) -> usize {
        self.taken.iter().filter(|&&taken| !taken).count()
    }

    /// Takes blocks, which are free: no block belongs to two commands.
    pub(crate) fn take(&mut self, blocks: &[u32]) {
        for &block in blocks {
            let was_taken = std::mem::replace(&mut self.taken[block as usize], true);
            assert!(!was_taken, "block {block} belongs to two commands");
        }
    }

    /// Gives blocks back.
    pub(crate) fn free(&mut self, blocks: &[u32]) {
        for &block in blocks {
            self.taken[block as usize] = false;
        }
    }

    /// Forgets all entries.
    pub(crate) fn reset(&mut self) {
        self.entries.clear();
        self.released = 0;
        self.head = 0;
    }

    /// What a command would get.
    pub(crate) fn plan(&self, request: &Request) -> Plan {
        let count = |length: u32| length.div_ceil(self.block_size) as usize;
        let bidi_length = request.bidi_length.unwrap_or(0);
        let (data, bidi) = (count(request.data_length), count(bidi_length));
        if data + bidi > self.taken.len() {
            return Plan::TooBig;
        }
        let cdb_length = (request.cdb.len() as u32).div_ceil(8) * 8;
        let free: Vec<u32> = (0..)
            .zip(&self.taken)
            .filter(|entry| !entry.1)
            .map(|entry| entry.0)
            .collect();
        if self.place(112 + cdb_length).is_none() || data + bidi > free.len() {
            return Plan::NoSpace;
        }
        let blocks = &free[..data + bidi];
        let data_runs = self.runs(&blocks[..data], request.data_length);
        let bidi_runs = self.runs(&blocks[data..], bidi_length);
        let iovs = (data_runs.len() + bidi_runs.len()) as u32;
        let length = (48 + 16 * iovs).max(112) + cdb_length;
        if length > self.size / 2 {
            return Plan::TooBig;
        }
        match self.place(length) {
            None => Plan::NoSpace,
            Some(offset) => Plan::Fits(Fit {
                offset,
                length,
                data: data_runs,
                bidi: bidi_runs,
                blocks: blocks.to_vec(),
            }),
        }
    }

    /// Consecutive blocks make one run.
    fn runs(&self, blocks: &[u32], length: u32) -> Vec<Run> {
        let size = u64::from(self.block_size);
        let mut runs: Vec<Run> = Vec::new();
        let mut left = u64::from(length);
        for &block in blocks {
            let (start, bytes) = (u64::from(block) * size, size.min(left));
            left -= bytes;
            match runs.last_mut() {
                Some((first, length)) if *first + *length == start => *length += bytes,
                _ => runs.push((start, bytes)),
            }
        }
        runs
    }
}
