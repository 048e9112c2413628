// SPDX-License-Identifier: GPL-2.0

//! Command ids and the id lists of task management notifications.
//!
//! An id that a waiting notification lists stays taken until that notification is on the ring,
//! even if its command has ended meanwhile (property P4). The id lists are chains through the table
//! itself: announcing a notification needs no memory, so it cannot fail (P8).

use super::alloc::{
    Array,
    Memory,
    NoMemory, //
};
use super::growth::grown;
use super::slots::SlotIndex;

/// Highest command id; 0 is never used (`cmd_id` is 16 bits wide, 0 is for PAD and TMR entries).
const MAX_ID: usize = u16::MAX as usize;

/// One id, in few bytes: there is one for each command.
#[derive(Clone, Copy)]
struct Id {
    /// The slot of the command that has the id.
    command: Option<SlotIndex>,
    /// The next id of the free list, 0 at its end, or of the notification's id list.
    next: u16,
    /// Whether a waiting notification lists the id.
    listed: bool,
}

impl Id {
    /// An id that nobody has.
    const FREE: Self = Self {
        command: None,
        next: 0,
        listed: false,
    };
}

/// The ids that a notification lists: a closed chain in the [`IdTable`] that made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdList {
    /// The last one, whose `next` is the first.
    last: u16,
    count: u16,
}

impl IdList {
    /// Number of ids.
    pub(crate) fn len(&self) -> u32 {
        self.count.into()
    }

    /// Whether the list is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Table of command ids.
///
/// # Invariants
///
/// - An id is in the free list exactly if it has no `command` and is not `listed`.
/// - A `listed` id is in exactly one [`IdList`]; without a `command`, only that has it.
pub(crate) struct IdTable<M: Memory> {
    ids: M::Array<Id>,
    free_first: u16,
    free_last: u16,
    /// Number of ids that are not in the free list.
    taken: usize,
}

/// Why no id was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdError {
    /// All ids are taken.
    Exhausted,
    /// The table could not grow.
    NoMemory,
}

impl<M: Memory> IdTable<M> {
    /// Makes a table without ids.
    pub(crate) fn new() -> Self {
        Self {
            ids: M::Array::new(),
            free_first: 0,
            free_last: 0,
            taken: 0,
        }
    }

    /// Number of ids that exist, taken or free.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.ids.len().saturating_sub(1)
    }

    /// Number of ids that commands or waiting notifications have.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Makes sure that an id is free, growing the table if none is.
    pub(crate) fn reserve(&mut self) -> Result<(), IdError> {
        if self.free_first != 0 {
            return Ok(());
        }
        let old = self.ids.len();
        if old > MAX_ID {
            return Err(IdError::Exhausted);
        }
        // Many at first: the longer an id is not used again, the easier to follow is a trace.
        let new = grown::<M, Id>(old, (old + 1).max(64)).min(MAX_ID + 1);
        self.ids
            .grow(new, || Id::FREE)
            .map_err(|NoMemory| IdError::NoMemory)?;
        for id in old.max(1)..new {
            self.append_free(id as u16);
        }
        Ok(())
    }

    /// Gives the command in `slot` the id that has been free for longest.
    ///
    /// [`IdTable::reserve`] has made sure that there is one.
    pub(crate) fn take(&mut self, slot: SlotIndex) -> u16 {
        let id = self.free_first;
        let entry = &mut self.ids[id as usize];
        self.free_first = entry.next;
        if entry.next == 0 {
            self.free_last = 0;
        }
        entry.next = 0;
        entry.command = Some(slot);
        self.taken += 1;
        id
    }

    fn put_free(&mut self, id: u16) {
        self.append_free(id);
        self.taken -= 1;
    }

    fn append_free(&mut self, id: u16) {
        self.ids[id as usize] = Id::FREE;
        if self.free_last == 0 {
            self.free_first = id;
        } else {
            self.ids[self.free_last as usize].next = id;
        }
        self.free_last = id;
    }

    /// Returns the slot of the command that has `id`.
    pub(crate) fn find(&self, id: u16) -> Option<SlotIndex> {
        self.ids.get(id as usize)?.command
    }

    /// The command that had `id` is done with it.
    pub(crate) fn release(&mut self, id: u16) {
        let entry = &mut self.ids[id as usize];
        entry.command = None;
        if !entry.listed {
            self.put_free(id);
        }
    }

    /// Adds `id` to the list of a notification, unless a waiting notification has it already.
    pub(crate) fn list(&mut self, list: &mut IdList, id: u16) {
        let entry = &mut self.ids[id as usize];
        if entry.listed {
            return;
        }
        entry.listed = true;
        let first = if list.is_empty() {
            id
        } else {
            core::mem::replace(&mut self.ids[list.last as usize].next, id)
        };
        self.ids[id as usize].next = first;
        list.last = id;
        list.count += 1;
    }

    /// Takes the ids of a notification apart, passing each to `visit` in order.
    pub(crate) fn unlist(&mut self, list: IdList, mut visit: impl FnMut(u16)) {
        let mut id = self.ids.get(list.last as usize).map_or(0, |last| last.next);
        for _ in 0..list.count {
            let entry = &mut self.ids[id as usize];
            let next = entry.next;
            entry.listed = false;
            entry.next = 0;
            if entry.command.is_none() {
                self.put_free(id);
            }
            visit(id);
            id = next;
        }
    }

    /// The first command with an id at or above `from`, as (id, slot).
    pub(crate) fn next_command(&self, from: u16) -> Option<(u16, SlotIndex)> {
        let start = from as usize;
        let rest = self.ids.get(start..)?;
        rest.iter()
            .zip(from..=u16::MAX)
            .find_map(|(entry, id)| Some((id, entry.command?)))
    }
}
