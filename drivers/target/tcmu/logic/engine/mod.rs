// SPDX-License-Identifier: GPL-2.0

//! The state machine of a tcmu device.

mod completion;
mod snapshot;
pub(crate) mod submit;

mod timeout;
mod tmr;

use super::alloc::{
    Memory,
    NoMemory, //
};
use super::data_area::DataArea;
use super::ids::IdTable;
use super::ops::{
    Completer,
    Completion,
    DataIo,
    SharedIo, //
};
use super::ring::{
    Broken,
    Ring, //
};
use super::sam::SamStatus;
use super::slots::{
    OnRing,
    Queue,
    SlotIndex,
    Slots,
    State, //
};
use super::timeouts::{
    Clock,
    Deadline,
    Timeouts, //
};
use super::tmr_queue::TmrQueue;

pub(crate) use snapshot::{
    Counters,
    Snapshot, //
};
pub(crate) use submit::Refusal;

/// Sizes of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// Size of the command ring in bytes, a multiple of 8.
    pub(crate) ring_size: u32,
    /// Number of blocks of the data area.
    pub(crate) blocks: u32,
    /// Size of a block in bytes, at least 1.
    pub(crate) block_size: u32,
}

/// How `reset_ring` completes what is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetStatus {
    /// SAM status BUSY: the initiator retries (`reset_ring` 1).
    Busy,
    /// SAM status CHECK CONDITION: a hard failure (`reset_ring` 2).
    CheckCondition,
}

/// Rings, queues and commands of one tcmu device, all under the device's lock.
///
/// Each access begins with [`Engine::set_clock`], and ends with a look at [`Engine::wants_notify`]
/// and [`Engine::next_deadline`].
///
/// The numbers are those of `Documentation/target/tcmu-rust.rst`.
///
/// # Invariants
///
/// - P2: notifications leave `tmrs` in the order announced, onto the ring; only a reset or a broken
///   ring discards them, and `counters` says how many. (In a flood, see [`TmrQueue`], one without
///   ids may come earlier.)
/// - P3: while `tmrs` is not empty, no entry but its first gets onto the ring.
/// - P4: an id that a notification in `tmrs` lists belongs to no other command.
/// - P5: an aborted command is never put on the ring.
/// - P7: a command of LIO is owned by exactly one slot, and completing consumes it.
/// - `in_flight` and `qfull` hold exactly the slots in these states, oldest first.
/// - `next_deadline` is not later than the earliest deadline of any command.
pub(crate) struct Engine<K: Completer, M: Memory> {
    completer: K,
    ring: Ring<M>,
    area: DataArea<M>,
    ids: IdTable<M>,
    slots: Slots<K::Command, M>,
    in_flight: Queue,
    qfull: Queue,
    tmrs: TmrQueue<M>,
    clock: Clock,
    next_deadline: Deadline,
    blocked: bool,
    broken: Option<Broken>,
    notify: bool,
    counters: Counters,
}

impl<K: Completer, M: Memory> Engine<K, M> {
    /// Makes the state of an idle device.
    pub(crate) fn new(config: &Config, completer: K) -> Result<Self, NoMemory> {
        Ok(Self {
            completer,
            ring: Ring::new(config.ring_size)?,
            area: DataArea::new(config.blocks, config.block_size)?,
            ids: IdTable::new(),
            slots: Slots::new(),
            in_flight: Queue::new(),
            qfull: Queue::new(),
            tmrs: TmrQueue::new()?,
            clock: Clock::default(),
            next_deadline: Deadline::NEVER,
            blocked: false,
            broken: None,
            notify: false,
            counters: Counters::default(),
        })
    }

    /// Sets the time in milliseconds, and the limits of commands from now on.
    pub(crate) fn set_clock(&mut self, now: u64, timeouts: Timeouts) {
        self.clock = Clock { now, timeouts };
    }

    /// When [`Engine::check_timeouts`] wants to be called, in milliseconds.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.next_deadline.get()
    }

    /// Whether entries were put on the ring that user space has not been woken for.
    pub(crate) fn wants_notify(&self) -> bool {
        self.notify
    }

    /// User space is being woken.
    pub(crate) fn set_notified(&mut self) {
        self.notify = false;
    }

    /// Whether the device is blocked.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// What has happened so far.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether a command of LIO has not been completed.
    pub(crate) fn has_outstanding(&self) -> bool {
        !self.qfull.is_empty() || !self.in_flight.is_empty()
    }

    /// Blocks the device: completes what user space has completed, fails what waits with BUSY.
    pub(crate) fn block<S: SharedIo<K::Command>>(&mut self, shared: &mut S) -> Result<(), Broken> {
        if self.blocked {
            return Ok(());
        }
        self.blocked = true;
        let mut result = Ok(());
        if self.broken.is_none() {
            result = self.take_completions(shared);
            match result {
                Ok(()) => {
                    self.run_tmrs(shared);
                }
                Err(broken) => self.set_broken(broken),
            }
        }
        while let Some(slot) = self.qfull.first() {
            self.complete_qfull(slot, SamStatus::Busy);
        }
        result
    }

    /// Ends [`Engine::block`].
    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Empties the ring: completes what is in flight, discards notifications, repairs a broken
    /// ring.
    pub(crate) fn reset_ring<S: SharedIo<K::Command>>(
        &mut self,
        shared: &mut S,
        status: ResetStatus,
    ) {
        let status = match status {
            ResetStatus::Busy => SamStatus::Busy,
            ResetStatus::CheckCondition => SamStatus::CheckCondition,
        };
        while let Some(slot) = self.in_flight.first() {
            let State::InFlight { ring, .. } = *self.slots.get(slot) else {
                break;
            };
            if let Some(command) = self.end_flight(slot, State::Completed(ring)) {
                self.counters.failed += 1;
                self.completer.complete(command, Completion::Status(status));
            }
        }
        self.discard_tmrs();
        self.free_each(|state| match state {
            State::Completed(ring) | State::TimedOut(ring) | State::Kept(ring) => Some(*ring),
            _ => None,
        });
        self.ring.reset();
        shared.reset_mailbox();
        self.broken = None;
        self.run_qfull(shared);
    }

    /// Gives back the memory of all blocks that no command has.
    pub(crate) fn reclaim<D: DataIo<K::Command>>(&self, data: &mut D) {
        for run in self.area.free_runs() {
            data.depopulate(run);
        }
    }

    /// The ring cannot be used until it is reset.
    fn set_broken(&mut self, why: Broken) {
        self.broken = Some(why);
        self.counters.broken += 1;
    }

    /// Takes the command out of a slot that is in flight and leaves `state` there.
    fn end_flight(&mut self, slot: SlotIndex, state: State<K::Command>) -> Option<K::Command> {
        self.slots.unlink(&mut self.in_flight, slot);
        match self.slots.replace(slot, state) {
            State::InFlight { command, .. } => Some(command),
            _ => None,
        }
    }

    /// Completes a command in the qfull queue.
    fn complete_qfull(&mut self, slot: SlotIndex, status: SamStatus) {
        self.slots.unlink(&mut self.qfull, slot);
        if let State::Qfull { command, .. } = self.slots.take(slot) {
            match status {
                SamStatus::TaskAborted => self.counters.aborted_qfull += 1,
                SamStatus::TaskSetFull => self.counters.timed_out += 1,
                SamStatus::Busy | SamStatus::CheckCondition => self.counters.failed += 1,
            }
            self.completer.complete(command, Completion::Status(status));
        }
    }

    /// Gives back what a command that LIO has back, and is in no queue, still holds.
    fn free(&mut self, slot: SlotIndex, ring: OnRing) {
        self.area.free(ring.data);
        self.area.free(ring.bidi);
        self.ids.release(ring.id);
        self.slots.take(slot);
    }

    /// Frees the commands that `select` names, which LIO has back.
    fn free_each(&mut self, select: impl Fn(&State<K::Command>) -> Option<OnRing>) -> bool {
        let mut freed = false;
        let mut from = 1;
        while let Some((id, slot)) = self.ids.next_command(from) {
            if let Some(ring) = select(self.slots.get(slot)) {
                self.free(slot, ring);
                freed = true;
            }
            match id.checked_add(1) {
                Some(next) => from = next,
                None => break,
            }
        }
        freed
    }
}
