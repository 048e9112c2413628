// SPDX-License-Identifier: GPL-2.0

//! Book-keeping of the command ring, entirely in kernel memory.
//!
//! User space can write every byte of the ring, so nothing about its structure is ever read back:
//! where entries start and which of them are commands is kept in two bitmaps with one bit for each
//! 8 bytes of ring (an entry's length is the distance to the next one). `cmd_tail` is the only
//! position that user space gives, and it must name the start of a live entry or the head.

use core::fmt;

use super::alloc::{
    Array,
    Memory,
    NoMemory, //
};
use super::uapi::{
    EntryKind,
    ALIGN, //
};

/// Why a ring is broken: how user space violated the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// `cmd_tail` is not the start of an entry between the consumer position and the head.
    Tail(u32),
    /// A completion names a command id that is not on the ring.
    UnknownId(u16),
    /// A completion names a command that was completed with `TCMU_UFLAG_KEEP_BUF` before.
    KeptId(u16),
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tail(tail) => {
                write!(out, "cmd_tail {tail} is not the start of an entry on it")
            }
            Self::UnknownId(id) => write!(out, "completion of cmd_id {id}, which is not on it"),
            Self::KeptId(id) => {
                write!(out, "second completion of cmd_id {id}, kept with KEEP_BUF")
            }
        }
    }
}

/// Where a new entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Offset at which the padding starts, if the end of the ring is too short for the entry.
    pub(crate) pad: Option<u32>,
    /// Offset of the entry.
    pub(crate) offset: u32,
}

/// An entry that user space has given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Offset of the entry.
    pub(crate) offset: u32,
    /// Whether it is a command entry, thus carries a completion.
    pub(crate) is_command: bool,
}

/// The command ring.
///
/// # Invariants
///
/// - `size`, `head` and `cleaned` are multiples of 8; `head` and `cleaned` are below `size`.
/// - A bit is set in `starts` exactly for each entry in `[cleaned, head)` (cyclic).
/// - A bit is set in `commands` exactly for each command entry among them.
/// - At least one byte of the ring is unused, so `head == cleaned` means empty.
pub(crate) struct Ring<M: Memory> {
    size: u32,
    head: u32,
    cleaned: u32,
    starts: M::Array<u64>,
    commands: M::Array<u64>,
}

fn bit(offset: u32) -> (usize, u64) {
    let index = offset / ALIGN;
    ((index / 64) as usize, 1 << (index % 64))
}

impl<M: Memory> Ring<M> {
    /// Makes an empty ring of `size` bytes, a multiple of 8 and not 0.
    pub(crate) fn new(size: u32) -> Result<Self, NoMemory> {
        let words = (size / ALIGN).div_ceil(64) as usize;
        let mut starts = M::Array::new();
        let mut commands = M::Array::new();
        starts.grow(words, || 0)?;
        commands.grow(words, || 0)?;
        Ok(Self {
            size: size - size % ALIGN,
            head: 0,
            cleaned: 0,
            starts,
            commands,
        })
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Position behind the newest entry.
    pub(crate) fn head(&self) -> u32 {
        self.head
    }

    /// Position of the oldest entry, which user space has not given back.
    pub(crate) fn cleaned(&self) -> u32 {
        self.cleaned
    }

    /// Number of bytes in use.
    pub(crate) fn used(&self) -> u32 {
        if self.head >= self.cleaned {
            self.head - self.cleaned
        } else {
            self.size - self.cleaned + self.head
        }
    }

    /// Finds the place for an entry of `len` bytes (a multiple of 8), which is contiguous.
    pub(crate) fn place(&self, len: u32) -> Option<Place> {
        let to_end = self.size - self.head;
        let free = self.size - self.used() - 1;
        if to_end >= len {
            (free >= len).then_some(Place {
                pad: None,
                offset: self.head,
            })
        } else {
            (free >= len && free - len >= to_end).then_some(Place {
                pad: Some(self.head),
                offset: 0,
            })
        }
    }

    /// Length in bytes of the padding that starts at `offset`.
    pub(crate) fn pad_length(&self, offset: u32) -> u32 {
        self.size - offset
    }

    /// Puts an entry of `len` bytes at the place that [`Ring::place`] gave for it.
    pub(crate) fn commit(&mut self, place: Place, len: u32, kind: EntryKind) {
        if let Some(pad) = place.pad {
            let (word, mask) = bit(pad);
            self.starts[word] |= mask;
        }
        let (word, mask) = bit(place.offset);
        self.starts[word] |= mask;
        if kind == EntryKind::Command {
            self.commands[word] |= mask;
        }
        let head = place.offset + len;
        self.head = if head == self.size { 0 } else { head };
    }

    /// Checks a `cmd_tail` that user space wrote.
    pub(crate) fn check_tail(&self, tail: u32) -> Result<(), Broken> {
        if tail == self.head || tail == self.cleaned {
            return Ok(());
        }
        if tail < self.size && tail % ALIGN == 0 {
            let (word, mask) = bit(tail);
            // By the invariant a set bit is between the consumer position and the head.
            if self.starts[word] & mask != 0 {
                return Ok(());
            }
        }
        Err(Broken::Tail(tail))
    }

    /// Returns the oldest entry, unless it is at `tail`, without taking it off the ring.
    ///
    /// `tail` has passed [`Ring::check_tail`].
    pub(crate) fn oldest(&self, tail: u32) -> Option<Entry> {
        (self.cleaned != tail && self.cleaned != self.head).then(|| {
            let (word, mask) = bit(self.cleaned);
            Entry {
                offset: self.cleaned,
                is_command: self.commands[word] & mask != 0,
            }
        })
    }

    /// Takes the oldest entry off the ring, which is not empty.
    pub(crate) fn release_oldest(&mut self) {
        let (word, mask) = bit(self.cleaned);
        self.starts[word] &= !mask;
        self.commands[word] &= !mask;
        self.cleaned = self.next_start(self.cleaned);
    }

    /// Position of the first entry behind `offset`, or the head.
    fn next_start(&self, offset: u32) -> u32 {
        let wrapped = self.head <= offset;
        let end = if wrapped { self.size } else { self.head };
        let last = (end / ALIGN) as usize;
        let mut index = (offset / ALIGN) as usize + 1;
        while index < last {
            let rest = self.starts[index / 64] >> (index % 64);
            if rest != 0 {
                index += rest.trailing_zeros() as usize;
                break;
            }
            index = (index / 64 + 1) * 64;
        }
        match (index < last, wrapped) {
            (true, _) => index as u32 * ALIGN,
            (false, true) => 0,
            (false, false) => self.head,
        }
    }

    /// Forgets all entries and starts again at offset 0.
    pub(crate) fn reset(&mut self) {
        self.starts.fill(0);
        self.commands.fill(0);
        self.head = 0;
        self.cleaned = 0;
    }
}
