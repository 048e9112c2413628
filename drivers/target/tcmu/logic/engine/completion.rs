// SPDX-License-Identifier: GPL-2.0

//! How commands are completed by user space.

use super::super::alloc::Memory;
use super::super::ops::{
    Command as _,
    Completer,
    Completion,
    Direction,
    RingIo,
    SharedIo, //
};
use super::super::ring::Broken;
use super::super::sam::SamStatus;
use super::super::slots::{
    OnRing,
    State, //
};
use super::super::uapi::{
    response,
    CompletionHeader,
    RESPONSE_OFFSET,
    SENSE_OFFSET,
    SENSE_SIZE, //
};
use super::Engine;

/// Reads the sense data at `offset`, each word once.
fn read_sense<R: RingIo>(ring: &R, offset: u32, sense: &mut [u8; SENSE_SIZE]) {
    for (at, chunk) in (offset..).step_by(8).zip(sense.chunks_exact_mut(8)) {
        chunk.copy_from_slice(&ring.read_word(at).to_ne_bytes());
    }
}

impl<K: Completer, M: Memory> Engine<K, M> {
    /// Takes completions off the ring, then fills the space that they left.
    ///
    /// An error says why the ring became broken just now.
    pub(crate) fn handle_completions<S: SharedIo<K::Command>>(
        &mut self,
        shared: &mut S,
    ) -> Result<(), Broken> {
        if self.broken.is_some() {
            return Ok(());
        }
        let result = self.take_completions(shared);
        if let Err(broken) = result {
            self.set_broken(broken);
        } else {
            self.run_qfull(shared);
        }
        result
    }

    pub(super) fn take_completions<S: SharedIo<K::Command>>(
        &mut self,
        shared: &mut S,
    ) -> Result<(), Broken> {
        loop {
            let tail = shared.tail();
            self.ring.check_tail(tail)?;
            if self.ring.oldest(tail).is_none() {
                return Ok(());
            }
            while let Some(entry) = self.ring.oldest(tail) {
                if entry.is_command {
                    self.complete_one(shared, entry.offset)?;
                }
                self.ring.release_oldest();
            }
        }
    }

    /// Handles the completion in the command entry at `offset`.
    fn complete_one<S: SharedIo<K::Command>>(
        &mut self,
        shared: &mut S,
        offset: u32,
    ) -> Result<(), Broken> {
        let header = CompletionHeader::from_word(shared.read_word(offset));
        let slot = self
            .ids
            .find(header.id)
            .ok_or(Broken::UnknownId(header.id))?;
        let ring = match *self.slots.get(slot) {
            State::Kept(_) => return Err(Broken::KeptId(header.id)),
            State::InFlight { ring, .. } => {
                if let Some(command) = self.end_flight(slot, State::Completed(ring)) {
                    self.counters.completed += 1;
                    self.complete_command(shared, command, ring, header, offset);
                }
                ring
            }
            State::TimedOut(ring) => ring,
            // An id belongs to a command that is on the ring or kept.
            State::Vacant | State::Qfull { .. } | State::Completed(_) => {
                return Err(Broken::UnknownId(header.id));
            }
        };
        if header.keep_buf {
            self.slots.replace(slot, State::Kept(ring));
        } else {
            self.free(slot, ring);
        }
        Ok(())
    }

    /// Completes a command with the response in the entry at `offset`.
    fn complete_command<S: SharedIo<K::Command>>(
        &mut self,
        shared: &mut S,
        command: K::Command,
        ring: OnRing,
        header: CompletionHeader,
        offset: u32,
    ) {
        if header.unknown_op {
            let status = Completion::Status(SamStatus::CheckCondition);
            self.completer.complete(command, status);
            return;
        }
        let (status, read_len) = response(shared.read_word(offset + RESPONSE_OFFSET));
        let is_read = command.direction() == Direction::FromDevice;
        let read_length = (is_read && header.read_len && read_len != 0)
            .then_some(read_len.min(command.data_length()));
        let mut sense = [0; SENSE_SIZE];
        let has_sense = status == SamStatus::CheckCondition as u8;
        if has_sense {
            read_sense(shared, offset + SENSE_OFFSET, &mut sense);
        }
        if !has_sense || read_length.is_some() {
            if let Some(length) = command.bidi_length() {
                shared.copy_from_area(&command, self.area.iter(ring.bidi), length);
            } else if is_read {
                let length = read_length.unwrap_or(command.data_length());
                shared.copy_from_area(&command, self.area.iter(ring.data), length);
            }
        }
        let response = Completion::Response {
            status,
            sense: has_sense.then_some(&sense),
            read_length,
        };
        self.completer.complete(command, response);
    }

    /// Frees the buffer of a command that was completed with `TCMU_UFLAG_KEEP_BUF`.
    ///
    /// Says whether there was one.
    pub(crate) fn free_kept<S: SharedIo<K::Command>>(&mut self, shared: &mut S, id: u16) -> bool {
        let Some(slot) = self.ids.find(id) else {
            return false;
        };
        let State::Kept(ring) = *self.slots.get(slot) else {
            return false;
        };
        self.free(slot, ring);
        self.run_qfull(shared);
        true
    }

    /// Frees every kept buffer: the user space that kept them is gone.
    pub(crate) fn free_all_kept<S: SharedIo<K::Command>>(&mut self, shared: &mut S) {
        let freed = self.free_each(|state| match state {
            State::Kept(ring) => Some(*ring),
            _ => None,
        });
        if freed {
            self.run_qfull(shared);
        }
    }
}
