// SPDX-License-Identifier: GPL-2.0

//! The commands of a device and the queues that they wait in.
//!
//! Commands live in slots of one array; a queue is a list of slots linked by index, so a command
//! leaves its queue in constant time and needs no allocation once the array has grown to the
//! number of commands that are outstanding at a time.

use core::num::NonZeroU32;

use super::alloc::{
    Array,
    Memory,
    NoMemory, //
};
use super::data_area::BlockList;
use super::growth::grown;
use super::timeouts::Deadline;

/// Number of a slot, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotIndex(NonZeroU32);

/// Ends a list.
const NONE: u32 = u32::MAX;

impl SlotIndex {
    /// The number, to be kept in a place that holds no types.
    pub(crate) fn into_raw(self) -> u32 {
        self.0.get() - 1
    }

    /// The slot of a number that [`SlotIndex::into_raw`] gave.
    pub(crate) fn from_raw(raw: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(raw))
    }

    /// Place in the array.
    fn place(self) -> usize {
        self.into_raw() as usize
    }
}

/// What a command holds from the ring on, be it completed or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnRing {
    /// Command id.
    pub(crate) id: u16,
    /// Blocks of the data buffer.
    pub(crate) data: BlockList,
    /// Blocks of the Data-In buffer of a bidirectional command.
    pub(crate) bidi: BlockList,
}

/// The life of a command. LIO's command `C` is there exactly until it is completed.
pub(crate) enum State<C> {
    /// No command.
    Vacant,
    /// Waits for ring or data space in the qfull queue. User space has never seen it.
    Qfull {
        /// The command.
        command: C,
        /// When it is completed with TASK SET FULL.
        deadline: Deadline,
    },
    /// User space works on it.
    InFlight {
        /// The command.
        command: C,
        /// What it holds.
        ring: OnRing,
        /// When it is completed with CHECK CONDITION.
        deadline: Deadline,
    },
    /// LIO has it back: user space has completed it, or the ring is being reset. Before the
    /// operation ends, the slot gives up what it holds or becomes `Kept`.
    Completed(OnRing),
    /// Timed out: LIO has it back, but user space may still use its buffer.
    TimedOut(OnRing),
    /// Completed with `TCMU_UFLAG_KEEP_BUF`: LIO has it back, the buffer belongs to user space.
    Kept(OnRing),
}

struct Slot<C> {
    state: State<C>,
    prev: u32,
    next: u32,
}

/// The slot of a link.
fn index_of(link: u32) -> Option<SlotIndex> {
    (link != NONE).then_some(SlotIndex::from_raw(link))
}

/// A queue of slots, oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    first: u32,
    last: u32,
}

impl Queue {
    /// Makes an empty queue.
    pub(crate) const fn new() -> Self {
        Self {
            first: NONE,
            last: NONE,
        }
    }

    /// Whether no slot is in the queue.
    pub(crate) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// The oldest slot.
    pub(crate) fn first(&self) -> Option<SlotIndex> {
        index_of(self.first)
    }
}

/// The slots.
///
/// # Invariants
///
/// - Vacant slots, and only they, form the list `vacant`, linked by `next`.
/// - Every other slot is in at most one [`Queue`].
pub(crate) struct Slots<C, M: Memory> {
    slots: M::Array<Slot<C>>,
    vacant: u32,
}

impl<C, M: Memory> Slots<C, M> {
    /// Makes an array without slots.
    pub(crate) fn new() -> Self {
        Self {
            slots: M::Array::new(),
            vacant: NONE,
        }
    }

    /// Makes sure that a slot is vacant, growing the array if none is.
    pub(crate) fn reserve(&mut self) -> Result<(), NoMemory> {
        if self.vacant != NONE {
            return Ok(());
        }
        let old = self.slots.len();
        let new = grown::<M, Slot<C>>(old, old + 1);
        self.slots.grow(new, || Slot {
            state: State::Vacant,
            prev: NONE,
            next: NONE,
        })?;
        for index in (old..new).rev() {
            self.slots[index].next = self.vacant;
            self.vacant = index as u32;
        }
        Ok(())
    }

    /// The slot that [`Slots::fill`] will use next. [`Slots::reserve`] has made sure of it.
    pub(crate) fn vacant(&self) -> SlotIndex {
        SlotIndex::from_raw(self.vacant)
    }

    /// Puts a state into a vacant slot. [`Slots::reserve`] has made sure that there is one.
    pub(crate) fn fill(&mut self, state: State<C>) -> SlotIndex {
        let index = self.vacant;
        let slot = &mut self.slots[index as usize];
        self.vacant = slot.next;
        slot.state = state;
        slot.prev = NONE;
        slot.next = NONE;
        SlotIndex::from_raw(index)
    }

    /// The state in a slot.
    pub(crate) fn get(&self, index: SlotIndex) -> &State<C> {
        self.slots
            .get(index.place())
            .map_or(&State::Vacant, |slot| &slot.state)
    }

    /// Changes the state of a slot that is not vacant and will not be.
    pub(crate) fn replace(&mut self, index: SlotIndex, state: State<C>) -> State<C> {
        core::mem::replace(&mut self.slots[index.place()].state, state)
    }

    /// Empties a slot that is in no queue.
    pub(crate) fn take(&mut self, index: SlotIndex) -> State<C> {
        let slot = &mut self.slots[index.place()];
        slot.next = self.vacant;
        self.vacant = index.into_raw();
        core::mem::replace(&mut slot.state, State::Vacant)
    }

    /// Appends a slot that is in no queue.
    pub(crate) fn push_back(&mut self, queue: &mut Queue, index: SlotIndex) {
        let slot = &mut self.slots[index.place()];
        slot.prev = queue.last;
        slot.next = NONE;
        if queue.last == NONE {
            queue.first = index.into_raw();
        } else {
            self.slots[queue.last as usize].next = index.into_raw();
        }
        queue.last = index.into_raw();
    }

    /// Takes a slot out of the queue that it is in.
    pub(crate) fn unlink(&mut self, queue: &mut Queue, index: SlotIndex) {
        let Slot { prev, next, .. } = self.slots[index.place()];
        if prev == NONE {
            queue.first = next;
        } else {
            self.slots[prev as usize].next = next;
        }
        if next == NONE {
            queue.last = prev;
        } else {
            self.slots[next as usize].prev = prev;
        }
    }

    /// The slot behind `index` in its queue.
    pub(crate) fn next(&self, index: SlotIndex) -> Option<SlotIndex> {
        index_of(self.slots[index.place()].next)
    }
}
