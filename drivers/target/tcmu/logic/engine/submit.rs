// SPDX-License-Identifier: GPL-2.0

//! How a command gets onto the ring.

use super::super::alloc::Memory;
use super::super::data_area::{
    AllocError,
    Allocation, //
};
use super::super::ids::IdError;
use super::super::ops::{
    Command as _,
    Completer,
    DataIo,
    Direction,
    RingIo,
    SharedIo, //
};
use super::super::ring::Place;
use super::super::sam::SamStatus;
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
    CDB_OFF_OFFSET,
    CMD_ENTRY_SIZE,
    IOV_CNT_OFFSET,
    IOV_DIF_CNT_OFFSET,
    IOV_OFFSET,
    IOV_SIZE,
    REQUEST_PAD_OFFSET,
    RING_OFFSET, //
};
use super::Engine;

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
    Qfull,
}

/// Why a command did not get onto the ring.
enum NotStarted {
    NoSpace,
    Refused(Refusal),
}

/// What a command needs on the ring, taken but not used yet.
struct Prepared {
    place: Place,
    /// Size of the entry.
    size: u32,
    /// Offset of the CDB in the entry: the size of everything else.
    cdb_offset: u32,
    data: Allocation,
    bidi: Allocation,
}

impl<K: Completer, M: Memory> Engine<K, M> {
    /// Takes a command. Refused commands are given back.
    pub(crate) fn submit<S: SharedIo<K::Command>>(
        &mut self,
        shared: &mut S,
        mut command: K::Command,
    ) -> Result<Submitted, (K::Command, Refusal)> {
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
        if self.in_flight.is_empty() && !self.qfull.is_empty() {
            // No completion will come and start what waits. Without this a lack of memory that is
            // long over would hold up the device for as long as commands keep coming.
            self.run_qfull(shared);
        }
        if self.slots.reserve().is_err() {
            return Err((command, Refusal::NoResources));
        }
        // What waits must not be overtaken (P3).
        if self.tmrs.is_empty() && self.qfull.is_empty() {
            match self.prepare(shared, &command) {
                Ok(prepared) => {
                    self.start(shared, command, prepared, None);
                    self.counters.queued += 1;
                    return Ok(Submitted::OnRing);
                }
                Err(NotStarted::NoSpace) => {}
                Err(NotStarted::Refused(refusal)) => return Err((command, refusal)),
            }
        }
        let Some(deadline) = self.clock.qfull_deadline() else {
            return Err((command, Refusal::NoResources));
        };
        command.set_slot(self.slots.vacant());
        let slot = self.slots.fill(State::Qfull { command, deadline });
        self.slots.push_back(&mut self.qfull, slot);
        self.next_deadline = self.next_deadline.min(deadline);
        self.counters.queued += 1;
        Ok(Submitted::Qfull)
    }

    /// Takes all that `command` needs on the ring, or nothing.
    fn prepare<D: DataIo<K::Command>>(
        &mut self,
        io: &mut D,
        command: &K::Command,
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
        let least = CMD_ENTRY_SIZE + cdb_size;
        let Some(place) = self.ring.place(least) else {
            return Err(NotStarted::NoSpace);
        };
        match self.ids.reserve() {
            Ok(()) => {}
            Err(IdError::Exhausted) => return Err(NotStarted::NoSpace),
            Err(IdError::NoMemory) => return Err(NotStarted::Refused(Refusal::NoResources)),
        }
        // P8: what a later notification needs is there before the command gets its id.
        if self.tmrs.reserve(self.ids.taken() + 1).is_err() {
            return Err(NotStarted::Refused(Refusal::NoResources));
        }

        let data = self.allocate(io, data_length)?;
        let bidi = match self.allocate(io, bidi_length) {
            Ok(bidi) => bidi,
            Err(error) => {
                self.area.free(data.blocks);
                return Err(error);
            }
        };
        let cdb_offset = (IOV_OFFSET + IOV_SIZE * (data.runs + bidi.runs)).max(CMD_ENTRY_SIZE);
        let size = cdb_offset + cdb_size;
        let result = if size > self.ring.size() / 2 {
            Err(NotStarted::Refused(Refusal::TooBig))
        } else if size == least {
            Ok(place)
        } else {
            self.ring.place(size).ok_or(NotStarted::NoSpace)
        };
        match result {
            Ok(place) => Ok(Prepared {
                place,
                size,
                cdb_offset,
                data,
                bidi,
            }),
            Err(error) => {
                self.area.free(data.blocks);
                self.area.free(bidi.blocks);
                Err(error)
            }
        }
    }

    fn allocate<D: DataIo<K::Command>>(
        &mut self,
        io: &mut D,
        length: u32,
    ) -> Result<Allocation, NotStarted> {
        self.area
            .allocate(length, |block, bytes| io.populate(block, bytes))
            .map_err(|error| match error {
                // A command that cannot get memory now may wait for it like one that cannot get
                // blocks.
                AllocError::Full | AllocError::NoMemory => NotStarted::NoSpace,
            })
    }

    /// Puts a prepared command on the ring; `slot` is where it waited, if it did.
    fn start<S: SharedIo<K::Command>>(
        &mut self,
        shared: &mut S,
        mut command: K::Command,
        prepared: Prepared,
        slot: Option<SlotIndex>,
    ) {
        let Prepared {
            place,
            size,
            cdb_offset,
            data,
            bidi,
        } = prepared;
        let slot = match slot {
            Some(slot) => slot,
            None => self.slots.fill(State::Vacant),
        };
        let id = self.ids.take(slot);

        if command.direction() == Direction::ToDevice || bidi.length > 0 {
            shared.copy_to_area(&command, self.area.iter(data.blocks));
        }

        self.write_pad(shared, place);
        let at = place.offset;
        shared.write_word(at, header(EntryKind::Command, size, id));
        shared.write_word(at + IOV_CNT_OFFSET, pair(data.runs, bidi.runs));
        shared.write_word(at + IOV_DIF_CNT_OFFSET, 0);
        let cdb_off = u64::from(RING_OFFSET + at + cdb_offset);
        shared.write_word(at + CDB_OFF_OFFSET, cdb_off);
        shared.write_word(at + REQUEST_PAD_OFFSET, 0);
        shared.write_word(at + REQUEST_PAD_OFFSET + 8, 0);
        let mut to = self.write_iovecs(shared, at + IOV_OFFSET, &data);
        to = self.write_iovecs(shared, to, &bidi);
        while to < at + cdb_offset {
            shared.write_word(to, 0);
            to += 8;
        }
        for chunk in command.cdb().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            shared.write_word(to, u64::from_ne_bytes(bytes));
            to += 8;
        }
        self.ring.commit(place, size, EntryKind::Command);
        shared.publish_head(self.ring.head());
        self.notify = true;

        command.set_slot(slot);
        let ring = OnRing {
            id,
            data: data.blocks,
            bidi: bidi.blocks,
        };
        let deadline = self.clock.command_deadline();
        self.slots.replace(
            slot,
            State::InFlight {
                command,
                ring,
                deadline,
            },
        );
        self.slots.push_back(&mut self.in_flight, slot);
        self.next_deadline = self.next_deadline.min(deadline);
    }

    /// Writes the iovecs of a buffer to `to`; the result is where the next ones go.
    fn write_iovecs<R: RingIo>(&self, ring: &mut R, mut to: u32, buffer: &Allocation) -> u32 {
        let data_offset = u64::from(RING_OFFSET) + u64::from(self.ring.size());
        let block_size = u64::from(self.area.block_size());
        let mut write = |(block, bytes)| {
            ring.write_word(to, data_offset + u64::from(block) * block_size);
            ring.write_word(to + 8, u64::from(bytes));
            to += IOV_SIZE;
        };
        match buffer.single_run() {
            Some(run) => write(run),
            None => self.area.runs(buffer).for_each(write),
        }
        to
    }

    pub(super) fn write_pad<R: RingIo>(&self, ring: &mut R, place: Place) {
        if let Some(pad) = place.pad {
            ring.write_word(pad, header(EntryKind::Pad, self.ring.pad_length(pad), 0));
        }
    }

    /// Starts commands of the qfull queue while there is space, notifications first (P3).
    pub(super) fn run_qfull<S: SharedIo<K::Command>>(&mut self, shared: &mut S) {
        if self.broken.is_some() || !self.run_tmrs(shared) {
            return;
        }
        while let Some(slot) = self.qfull.first() {
            let State::Qfull { command, .. } = self.slots.get(slot) else {
                break;
            };
            if command.is_aborted() {
                // P5: the abort is under way, its notification comes later and finds no command.
                self.complete_qfull(slot, SamStatus::TaskAborted);
                continue;
            }
            // The slot stays in the queue until it is certain that the command starts.
            let State::Qfull { command, deadline } = self.slots.replace(slot, State::Vacant) else {
                break;
            };
            match self.prepare(shared, &command) {
                Ok(prepared) => {
                    self.slots.unlink(&mut self.qfull, slot);
                    self.start(shared, command, prepared, Some(slot));
                }
                // It may go on waiting for memory until its time is over.
                Err(NotStarted::NoSpace | NotStarted::Refused(Refusal::NoResources)) => {
                    self.slots.replace(slot, State::Qfull { command, deadline });
                    break;
                }
                Err(NotStarted::Refused(_)) => {
                    self.slots.replace(slot, State::Qfull { command, deadline });
                    self.complete_qfull(slot, SamStatus::CheckCondition);
                }
            }
        }
    }
}
