// SPDX-License-Identifier: GPL-2.0

//! What an operator sees of a device: positions, queues and counters at one moment.

use core::fmt;

use super::super::alloc::Memory;
use super::super::ops::Completer;
use super::super::ring::Broken;
use super::super::slots::State;
use super::Engine;

/// What has happened to commands and notifications since the device was enabled.
///
/// # Invariants
///
/// `queued` = `completed` + `timed_out` + `aborted_qfull` + `failed` + commands that are
/// outstanding; `announced` = `delivered` + `dropped` + notifications that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Commands taken from LIO.
    pub(crate) queued: u64,
    /// Commands that user space has completed in time.
    pub(crate) completed: u64,
    /// Commands whose time was over, on the ring or in the qfull queue.
    pub(crate) timed_out: u64,
    /// Commands on the ring that a task management function has aborted; user space completes them.
    pub(crate) aborted: u64,
    /// Commands aborted in the qfull queue, which user space has never seen.
    pub(crate) aborted_qfull: u64,
    /// Commands completed by `reset_ring` or `block_dev`, or that could not be carried out.
    pub(crate) failed: u64,
    /// Notifications that LIO announced while `tmr_notification` was 1.
    pub(crate) announced: u64,
    /// Notifications put on the ring.
    pub(crate) delivered: u64,
    /// Notifications discarded because the ring was broken or was reset.
    pub(crate) dropped: u64,
    /// How often the ring became broken.
    pub(crate) broken: u64,
}

/// State of a device at one moment. Shown as lines of a name and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// `block_dev` is in force.
    pub(crate) blocked: bool,
    /// Why the ring is broken, if it is.
    pub(crate) broken: Option<Broken>,
    /// Size of the ring in bytes.
    pub(crate) ring_size: u32,
    /// Where the next entry goes.
    pub(crate) head: u32,
    /// The oldest entry that user space has not given back.
    pub(crate) cleaned: u32,
    /// Bytes between them.
    pub(crate) ring_used: u32,
    /// Commands on the ring that LIO waits for.
    pub(crate) in_flight: u32,
    /// Commands in the qfull queue.
    pub(crate) qfull: u32,
    /// Commands on the ring whose time is over.
    pub(crate) timed_out: u32,
    /// Buffers that user space keeps (`TCMU_UFLAG_KEEP_BUF`).
    pub(crate) kept: u32,
    /// Notifications that wait for ring space.
    pub(crate) notifications: u64,
    /// Blocks of the data area, and how many of them commands have.
    pub(crate) blocks: u32,
    /// Blocks that commands have.
    pub(crate) blocks_used: u32,
    /// Size of a block in bytes.
    pub(crate) block_size: u32,
    /// What has happened.
    pub(crate) counters: Counters,
}

impl<K: Completer, M: Memory> Engine<K, M> {
    /// Looks at everything, in time proportional to the number of ids.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (mut in_flight, mut timed_out, mut kept, mut qfull) = (0, 0, 0, 0);
        let mut from = 1;
        while let Some((id, slot)) = self.ids.next_command(from) {
            match self.slots.get(slot) {
                State::InFlight { .. } => in_flight += 1,
                State::TimedOut(_) => timed_out += 1,
                State::Kept(_) => kept += 1,
                State::Vacant | State::Qfull { .. } | State::Completed(_) => {}
            }
            let Some(next) = id.checked_add(1) else {
                break;
            };
            from = next;
        }
        let mut cursor = self.qfull.first();
        while let Some(slot) = cursor {
            qfull += 1;
            cursor = self.slots.next(slot);
        }
        Snapshot {
            blocked: self.blocked,
            broken: self.broken,
            ring_size: self.ring.size(),
            head: self.ring.head(),
            cleaned: self.ring.cleaned(),
            ring_used: self.ring.used(),
            in_flight,
            qfull,
            timed_out,
            kept,
            notifications: self.tmrs.waiting(),
            blocks: self.area.blocks(),
            blocks_used: self.area.used(),
            block_size: self.area.block_size(),
            counters: self.counters,
        }
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.broken.is_some() {
            "broken"
        } else if self.blocked {
            "blocked"
        } else {
            "running"
        };
        writeln!(out, "state {state}")?;
        match self.broken {
            Some(broken) => writeln!(out, "broken_reason {broken}")?,
            None => writeln!(out, "broken_reason none")?,
        }
        let counters = &self.counters;
        for (name, value) in [
            ("ring_size", self.ring_size.into()),
            ("ring_head", self.head.into()),
            ("ring_cleaned", self.cleaned.into()),
            ("ring_used", self.ring_used.into()),
            ("data_blocks", self.blocks.into()),
            ("data_blocks_used", self.blocks_used.into()),
            ("data_block_size", self.block_size.into()),
            ("commands_on_ring", self.in_flight.into()),
            ("commands_qfull", self.qfull.into()),
            ("commands_timed_out", self.timed_out.into()),
            ("buffers_kept", self.kept.into()),
            ("tmrs_waiting", self.notifications),
            ("total_queued", counters.queued),
            ("total_completed", counters.completed),
            ("total_timed_out", counters.timed_out),
            ("total_aborted", counters.aborted),
            ("total_aborted_qfull", counters.aborted_qfull),
            ("total_failed", counters.failed),
            ("total_tmrs_announced", counters.announced),
            ("total_tmrs_delivered", counters.delivered),
            ("total_tmrs_dropped", counters.dropped),
            ("total_broken", counters.broken),
        ] {
            writeln!(out, "{name} {value}")?;
        }
        Ok(())
    }
}
