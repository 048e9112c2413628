// SPDX-License-Identifier: GPL-2.0

//! How a command gets onto the ring.

use super::super::data_area::{
    AllocError,
    BlockList, //
};
use super::super::ids::IdError;
use super::super::ring::Place;
use super::super::seam::{
    Answer,
    Command,
    Direction,
    Host,
    Memory, //
};
use super::super::slots::{
    OnRing,
    SlotIndex,
    State, //
};
use super::super::uapi::{
    header,
    pair,
    EntryKind,
    ALIGN,
    CMD_ENTRY_SIZE,
    IOV_OFFSET,
    IOV_SIZE,
    RING_OFFSET, //
};
use super::{
    earlier,
    Engine, //
};

/// Why a command was not taken. It is still the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A task management function has aborted it.
    Aborted,
    /// The device is blocked (`block_dev`).
    Blocked,
    /// The ring is broken.
    Broken,
    /// It needs more than the whole data area or half the ring.
    TooBig,
    /// There is no space and it may not wait (`qfull_time_out` 0), or no memory.
    NoResources,
}

/// Where a command that was taken is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// On the ring.
    OnRing,
    /// In the qfull queue.
    Waiting,
}

/// Why a command did not get onto the ring.
enum NotStarted {
    NoSpace,
    Refused(Refusal),
}

/// What a command needs on the ring, taken but not used yet.
struct Prepared {
    place: Place,
    size: u32,
    base_size: u32,
    iovs: u32,
    bidi_iovs: u32,
    data: BlockList,
    bidi: BlockList,
}

impl<C: Command, M: Memory> Engine<C, M> {
    /// Takes a command.
    ///
    /// `command_deadline` counts from the ring, `waiting_deadline` in the qfull queue; without the
    /// latter the command may not wait. Refused commands are given back.
    pub(crate) fn submit<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        command: C,
        command_deadline: Option<u64>,
        waiting_deadline: Option<u64>,
    ) -> Result<Submitted, (C, Refusal)> {
        // P5: the caller holds the device's lock, so an abort that is not seen here finds the
        // command in its slot.
        if command.is_aborted() {
            return Err((command, Refusal::Aborted));
        }
        if self.blocked {
            return Err((command, Refusal::Blocked));
        }
        if self.broken.is_some() {
            return Err((command, Refusal::Broken));
        }
        if self.in_flight.is_empty() && !self.waiting.is_empty() {
            // There is no completion to come that would start what waits: without this, a lack of
            // memory that has long passed would hold up the device for as long as it is busy.
            self.run_waiting(host, command_deadline);
        }
        if self.slots.reserve().is_err() {
            return Err((command, Refusal::NoResources));
        }
        // What waits must not be overtaken (P3).
        if self.tmrs.is_empty() && self.waiting.is_empty() {
            match self.prepare(host, &command) {
                Ok(prepared) => {
                    self.start(host, command, prepared, command_deadline, None);
                    host.notify();
                    self.counters.queued += 1;
                    return Ok(Submitted::OnRing);
                }
                Err(NotStarted::NoSpace) => {}
                Err(NotStarted::Refused(refusal)) => return Err((command, refusal)),
            }
        }
        let Some(deadline) = waiting_deadline else {
            return Err((command, Refusal::NoResources));
        };
        let mut command = command;
        command.set_slot(self.slots.vacant());
        let slot = self.slots.fill(State::Waiting {
            command,
            deadline: Some(deadline).into(),
        });
        self.slots.push_back(&mut self.waiting, slot);
        self.wake = earlier(self.wake, Some(deadline));
        self.counters.queued += 1;
        Ok(Submitted::Waiting)
    }

    /// Takes everything that `command` needs on the ring, or nothing.
    fn prepare<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        command: &C,
    ) -> Result<Prepared, NotStarted> {
        let data_length = command.data_length();
        let bidi_length = command.bidi_length().unwrap_or(0);
        let needed = self
            .area
            .blocks_for(data_length)
            .checked_add(self.area.blocks_for(bidi_length));
        if needed.is_none_or(|needed| needed > self.area.blocks()) {
            return Err(NotStarted::Refused(Refusal::TooBig));
        }
        let cdb_size = (command.cdb().len() as u32).next_multiple_of(ALIGN);
        // The least that the entry can need: spares the allocation while the ring is full.
        if self.ring.place(CMD_ENTRY_SIZE + cdb_size).is_none() {
            return Err(NotStarted::NoSpace);
        }
        match self.ids.reserve() {
            Ok(()) => {}
            Err(IdError::Exhausted) => return Err(NotStarted::NoSpace),
            Err(IdError::NoMemory) => return Err(NotStarted::Refused(Refusal::NoResources)),
        }
        // P8: what a later notification needs is there before the command gets its id.
        if self.tmrs.reserve(self.ids.taken() + 1).is_err() {
            return Err(NotStarted::Refused(Refusal::NoResources));
        }

        let data = self.allocate(host, data_length)?;
        let bidi = match self.allocate(host, bidi_length) {
            Ok(bidi) => bidi,
            Err(error) => {
                self.area.free(data);
                return Err(error);
            }
        };
        let iovs = self.area.runs(data, data_length).count();
        let bidi_iovs = self.area.runs(bidi, bidi_length).count();
        let base_size = (IOV_OFFSET + IOV_SIZE * (iovs + bidi_iovs) as u32).max(CMD_ENTRY_SIZE);
        let size = base_size + cdb_size;
        let result = if size > self.ring.size() / 2 {
            Err(NotStarted::Refused(Refusal::TooBig))
        } else {
            self.ring.place(size).ok_or(NotStarted::NoSpace)
        };
        match result {
            Ok(place) => Ok(Prepared {
                place,
                size,
                base_size,
                iovs: iovs as u32,
                bidi_iovs: bidi_iovs as u32,
                data,
                bidi,
            }),
            Err(error) => {
                self.area.free(data);
                self.area.free(bidi);
                Err(error)
            }
        }
    }

    fn allocate<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        length: u32,
    ) -> Result<BlockList, NotStarted> {
        self.area
            .allocate(length, |block, bytes| host.populate(block, bytes))
            .map_err(|error| match error {
                // A command that cannot get memory now may wait for it like one that cannot get
                // blocks.
                AllocError::Full | AllocError::NoMemory => NotStarted::NoSpace,
            })
    }

    /// Puts a prepared command on the ring; `slot` is where it waited, if it did.
    fn start<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        command: C,
        prepared: Prepared,
        deadline: Option<u64>,
        slot: Option<SlotIndex>,
    ) {
        let Prepared {
            place,
            size,
            base_size,
            iovs,
            bidi_iovs,
            data,
            bidi,
        } = prepared;
        let slot = match slot {
            Some(slot) => slot,
            None => self.slots.fill(State::Vacant),
        };
        let id = self.ids.take(slot);

        if command.direction() == Direction::ToDevice || command.bidi_length().is_some() {
            host.copy_to_area(&command, self.area.iter(data));
        }

        self.write_pad(host, place);
        let at = place.offset;
        host.write_word(at, header(EntryKind::Command, size, id));
        host.write_word(at + 8, pair(iovs, bidi_iovs));
        host.write_word(at + 16, 0);
        host.write_word(at + 24, u64::from(RING_OFFSET + at + base_size));
        host.write_word(at + 32, 0);
        host.write_word(at + 40, 0);
        let data_offset = u64::from(RING_OFFSET) + u64::from(self.ring.size());
        let block_size = u64::from(self.area.block_size());
        let mut to = at + IOV_OFFSET;
        let bidi_length = command.bidi_length().unwrap_or(0);
        for (block, bytes) in self
            .area
            .runs(data, command.data_length())
            .chain(self.area.runs(bidi, bidi_length))
        {
            host.write_word(to, data_offset + u64::from(block) * block_size);
            host.write_word(to + 8, u64::from(bytes));
            to += IOV_SIZE;
        }
        while to < at + base_size {
            host.write_word(to, 0);
            to += 8;
        }
        for chunk in command.cdb().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            host.write_word(to, u64::from_ne_bytes(bytes));
            to += 8;
        }
        self.ring.commit(place, size, EntryKind::Command);
        host.publish_head(self.ring.head());

        let mut command = command;
        command.set_slot(slot);
        let ring = OnRing { id, data, bidi };
        self.slots.replace(
            slot,
            State::InFlight {
                command,
                ring,
                deadline: deadline.into(),
            },
        );
        self.slots.push_back(&mut self.in_flight, slot);
        self.wake = earlier(self.wake, deadline);
    }

    pub(super) fn write_pad<H: Host<Command = C>>(&self, host: &mut H, place: Place) {
        if let Some(pad) = place.pad {
            host.write_word(pad, header(EntryKind::Pad, self.ring.pad_length(pad), 0));
        }
    }

    /// Starts waiting commands while there is space, notifications first (P3).
    pub(super) fn run_waiting<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        command_deadline: Option<u64>,
    ) {
        if self.broken.is_some() || !self.run_tmrs(host) {
            return;
        }
        let mut started = false;
        while let Some(slot) = self.waiting.first() {
            let State::Waiting { command, .. } = self.slots.get(slot) else {
                break;
            };
            if command.is_aborted() {
                // P5: the abort is under way, its notification comes later and finds no command.
                self.answer_waiting(host, slot, Answer::TaskAborted);
                continue;
            }
            // The slot stays in the queue until it is certain that the command starts.
            let State::Waiting { command, deadline } = self.slots.replace(slot, State::Vacant)
            else {
                break;
            };
            match self.prepare(host, &command) {
                Ok(prepared) => {
                    self.slots.unlink(&mut self.waiting, slot);
                    self.start(host, command, prepared, command_deadline, Some(slot));
                    started = true;
                }
                // It may go on waiting for memory until its time is over.
                Err(NotStarted::NoSpace | NotStarted::Refused(Refusal::NoResources)) => {
                    self.slots
                        .replace(slot, State::Waiting { command, deadline });
                    break;
                }
                Err(NotStarted::Refused(_)) => {
                    self.slots
                        .replace(slot, State::Waiting { command, deadline });
                    self.answer_waiting(host, slot, Answer::CheckCondition);
                }
            }
        }
        if started {
            host.notify();
        }
    }
}
