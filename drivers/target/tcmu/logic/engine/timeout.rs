// SPDX-License-Identifier: GPL-2.0

//! Commands whose time is over.

use super::super::alloc::Memory;
use super::super::ops::{
    Completer,
    Completion,
    SharedIo, //
};
use super::super::sam::SamStatus;
use super::super::slots::State;
use super::super::timeouts::Deadline;
use super::Engine;

impl<K: Completer, M: Memory> Engine<K, M> {
    /// Completes the commands whose time is over.
    ///
    /// Then commands that wait for space are tried: user space may have nothing left to complete,
    /// so that no completion would ever start them.
    pub(crate) fn check_timeouts<S: SharedIo<K::Command>>(&mut self, shared: &mut S) {
        let mut next = Deadline::NEVER;
        let mut cursor = self.in_flight.first();
        while let Some(slot) = cursor {
            cursor = self.slots.next(slot);
            let State::InFlight { ring, deadline, .. } = *self.slots.get(slot) else {
                break;
            };
            if !self.clock.is_over(deadline) {
                next = next.min(deadline);
            } else if let Some(command) = self.end_flight(slot, State::TimedOut(ring)) {
                self.counters.timed_out += 1;
                let status = Completion::Status(SamStatus::CheckCondition);
                self.completer.complete(command, status);
            }
        }
        let mut cursor = self.qfull.first();
        while let Some(slot) = cursor {
            cursor = self.slots.next(slot);
            let State::Qfull { deadline, .. } = *self.slots.get(slot) else {
                break;
            };
            if self.clock.is_over(deadline) {
                self.complete_qfull(slot, SamStatus::TaskSetFull);
            } else {
                next = next.min(deadline);
            }
        }
        self.next_deadline = next;
        self.run_qfull(shared);
    }
}
