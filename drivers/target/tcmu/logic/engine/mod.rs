// SPDX-License-Identifier: GPL-2.0

//! The state machine of a tcmu device.

mod completion;
mod snapshot;
pub(crate) mod submit;
mod task_management;

use super::data_area::DataArea;
use super::ids::IdTable;
use super::ring::{
    Broken,
    Ring, //
};
use super::seam::{
    Answer,
    Command,
    Host,
    Memory,
    NoMemory, //
};
use super::slots::{
    Deadline,
    OnRing,
    Queue,
    SlotIndex,
    Slots,
    State, //
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

/// How `reset_ring` answers what is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetStatus {
    /// SAM status BUSY: the initiator retries (`reset_ring` 1).
    Busy,
    /// SAM status CHECK CONDITION: a hard failure (`reset_ring` 2).
    CheckCondition,
}

/// Rings, queues and commands of one tcmu device, all under the device's lock.
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
/// - P7: a command of LIO is owned by exactly one slot, and answering consumes it.
/// - `in_flight` and `waiting` hold exactly the slots in these states, oldest first.
/// - `wake` is not later than the earliest deadline of any command.
pub(crate) struct Engine<C: Command, M: Memory> {
    ring: Ring<M>,
    area: DataArea<M>,
    ids: IdTable<M>,
    slots: Slots<C, M>,
    in_flight: Queue,
    waiting: Queue,
    tmrs: TmrQueue<M>,
    blocked: bool,
    broken: Option<Broken>,
    wake: Option<u64>,
    counters: Counters,
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl<C: Command, M: Memory> Engine<C, M> {
    /// Makes the state of an idle device.
    pub(crate) fn new(config: &Config) -> Result<Self, NoMemory> {
        Ok(Self {
            ring: Ring::new(config.ring_size)?,
            area: DataArea::new(config.blocks, config.block_size)?,
            ids: IdTable::new(),
            slots: Slots::new(),
            in_flight: Queue::new(),
            waiting: Queue::new(),
            tmrs: TmrQueue::new()?,
            blocked: false,
            broken: None,
            wake: None,
            counters: Counters::default(),
        })
    }

    /// Whether the device is blocked.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// When [`Engine::expire`] wants to be called, in ticks.
    pub(crate) fn wake(&self) -> Option<u64> {
        self.wake
    }

    /// What has happened so far.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether a command of LIO has not been answered.
    pub(crate) fn owes_answers(&self) -> bool {
        !self.waiting.is_empty() || !self.in_flight.is_empty()
    }

    /// Answers the commands whose time is over at `now`, in ticks.
    ///
    /// What waited behind them gets its chance: user space may have nothing left to complete, then
    /// no completion would ever start it.
    pub(crate) fn expire<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        now: u64,
        command_deadline: Option<u64>,
    ) {
        let due = |deadline: Deadline| deadline.get().is_some_and(|deadline| deadline <= now);
        let mut wake = None;
        let mut cursor = self.in_flight.first();
        while let Some(slot) = cursor {
            cursor = self.slots.next(slot);
            let State::InFlight { ring, deadline, .. } = *self.slots.get(slot) else {
                break;
            };
            if !due(deadline) {
                wake = earlier(wake, deadline.get());
                continue;
            }
            self.slots.unlink(&mut self.in_flight, slot);
            if let State::InFlight { command, .. } = self.slots.replace(slot, State::Expired(ring))
            {
                self.counters.expired += 1;
                host.complete(command, Answer::CheckCondition);
            }
        }
        let mut cursor = self.waiting.first();
        while let Some(slot) = cursor {
            cursor = self.slots.next(slot);
            let State::Waiting { deadline, .. } = *self.slots.get(slot) else {
                break;
            };
            if due(deadline) {
                self.answer_waiting(host, slot, Answer::TaskSetFull);
            } else {
                wake = earlier(wake, deadline.get());
            }
        }
        self.wake = wake;
        self.run_waiting(host, command_deadline);
    }

    /// Blocks the device: completes what user space has completed, fails what waits with BUSY.
    pub(crate) fn block<H: Host<Command = C>>(&mut self, host: &mut H) -> Result<(), Broken> {
        if self.blocked {
            return Ok(());
        }
        self.blocked = true;
        let mut result = Ok(());
        if self.broken.is_none() {
            result = self.take_completions(host);
            match result {
                Ok(()) => {
                    self.run_tmrs(host);
                }
                Err(broken) => self.set_broken(broken),
            }
        }
        while let Some(slot) = self.waiting.first() {
            self.answer_waiting(host, slot, Answer::Busy);
        }
        result
    }

    /// Ends [`Engine::block`].
    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Empties the ring: answers what is in flight, discards notifications, repairs a broken ring.
    pub(crate) fn reset_ring<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        status: ResetStatus,
        command_deadline: Option<u64>,
    ) {
        while let Some(slot) = self.in_flight.first() {
            let State::InFlight { ring, .. } = *self.slots.get(slot) else {
                break;
            };
            self.slots.unlink(&mut self.in_flight, slot);
            if let State::InFlight { command, .. } = self.slots.replace(slot, State::Expired(ring))
            {
                let answer = match status {
                    ResetStatus::Busy => Answer::Busy,
                    ResetStatus::CheckCondition => Answer::CheckCondition,
                };
                self.counters.failed += 1;
                host.complete(command, answer);
            }
        }
        self.discard_tmrs();
        self.free_answered(|state| match state {
            State::Expired(ring) | State::Kept(ring) => Some(*ring),
            _ => None,
        });
        self.ring.reset();
        host.reset_mailbox();
        self.broken = None;
        self.run_waiting(host, command_deadline);
    }

    /// Gives back the memory of all blocks that no command has.
    pub(crate) fn reclaim<H: Host<Command = C>>(&self, host: &mut H) {
        for run in self.area.free_runs() {
            host.depopulate(run);
        }
    }

    /// The ring cannot be used until it is reset.
    fn set_broken(&mut self, why: Broken) {
        self.broken = Some(why);
        self.counters.broken += 1;
    }

    /// Answers a command in the qfull queue.
    fn answer_waiting<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        slot: SlotIndex,
        answer: Answer<'_>,
    ) {
        self.slots.unlink(&mut self.waiting, slot);
        if let State::Waiting { command, .. } = self.slots.take(slot) {
            match answer {
                Answer::TaskAborted => self.counters.aborted_waiting += 1,
                Answer::TaskSetFull => self.counters.expired += 1,
                _ => self.counters.failed += 1,
            }
            host.complete(command, answer);
        }
    }

    /// Gives back what a command that was answered, and is in no queue, still holds.
    fn free(&mut self, slot: SlotIndex, ring: OnRing) {
        self.area.free(ring.data);
        self.area.free(ring.bidi);
        self.ids.release(ring.id);
        self.slots.take(slot);
    }

    /// Frees the commands that `select` names, which have been answered.
    fn free_answered(&mut self, select: impl Fn(&State<C>) -> Option<OnRing>) -> bool {
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
