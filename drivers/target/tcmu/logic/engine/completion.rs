// SPDX-License-Identifier: GPL-2.0

//! What user space gives back.

use super::super::ring::Broken;
use super::super::seam::{
    Answer,
    Command,
    Direction,
    Host,
    Memory,
    SENSE_SIZE, //
};
use super::super::slots::{
    OnRing,
    State, //
};
use super::super::uapi::{
    response,
    CompletionHeader,
    RESPONSE_OFFSET,
    SENSE_OFFSET, //
};
use super::Engine;

/// SAM status CHECK CONDITION.
const CHECK_CONDITION: u8 = 0x02;

impl<C: Command, M: Memory> Engine<C, M> {
    /// Takes completions off the ring, then fills the space that they left.
    ///
    /// An error says why the ring became broken just now.
    pub(crate) fn handle_completions<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        command_deadline: Option<u64>,
    ) -> Result<(), Broken> {
        if self.broken.is_some() {
            return Ok(());
        }
        let result = self.take_completions(host);
        if let Err(broken) = result {
            self.set_broken(broken);
        } else {
            self.run_waiting(host, command_deadline);
        }
        result
    }

    pub(super) fn take_completions<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
    ) -> Result<(), Broken> {
        loop {
            let tail = host.tail();
            self.ring.check_tail(tail)?;
            if self.ring.oldest(tail).is_none() {
                return Ok(());
            }
            while let Some(entry) = self.ring.oldest(tail) {
                if entry.is_command {
                    self.complete_one(host, entry.offset)?;
                }
                self.ring.release_oldest();
            }
        }
    }

    /// Handles the completion in the command entry at `offset`.
    fn complete_one<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        offset: u32,
    ) -> Result<(), Broken> {
        let header = CompletionHeader::from_word(host.read_word(offset));
        let slot = self
            .ids
            .find(header.id)
            .ok_or(Broken::UnknownId(header.id))?;
        let ring = match *self.slots.get(slot) {
            State::Kept(_) => return Err(Broken::KeptId(header.id)),
            State::InFlight { ring, .. } => {
                self.slots.unlink(&mut self.in_flight, slot);
                if let State::InFlight { command, .. } =
                    self.slots.replace(slot, State::Expired(ring))
                {
                    self.counters.completed += 1;
                    self.answer(host, command, ring, header, offset);
                }
                ring
            }
            State::Expired(ring) => ring,
            // An id belongs to a command on the ring.
            State::Vacant | State::Waiting { .. } => return Err(Broken::UnknownId(header.id)),
        };
        if header.keep_buf {
            self.slots.replace(slot, State::Kept(ring));
        } else {
            self.free(slot, ring);
        }
        Ok(())
    }

    /// Gives an in-flight command the answer in the entry at `offset`.
    fn answer<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        command: C,
        ring: OnRing,
        header: CompletionHeader,
        offset: u32,
    ) {
        if header.unknown_op {
            host.complete(command, Answer::CheckCondition);
            return;
        }
        let (status, read_len) = response(host.read_word(offset + RESPONSE_OFFSET));
        let is_read = command.direction() == Direction::FromDevice;
        let read_length = (is_read && header.read_len && read_len != 0)
            .then_some(read_len.min(command.data_length()));
        let mut sense = [0; SENSE_SIZE];
        let has_sense = status == CHECK_CONDITION;
        if has_sense {
            let mut at = offset + SENSE_OFFSET;
            for chunk in sense.chunks_exact_mut(8) {
                chunk.copy_from_slice(&host.read_word(at).to_ne_bytes());
                at += 8;
            }
        }
        if !has_sense || read_length.is_some() {
            if let Some(length) = command.bidi_length() {
                host.copy_from_area(&command, self.area.iter(ring.bidi), length);
            } else if is_read {
                let length = read_length.unwrap_or(command.data_length());
                host.copy_from_area(&command, self.area.iter(ring.data), length);
            }
        }
        host.complete(
            command,
            Answer::Response {
                status,
                sense: has_sense.then_some(&sense),
                read_length,
            },
        );
    }

    /// Frees the buffer of a command that was completed with `TCMU_UFLAG_KEEP_BUF`.
    ///
    /// Says whether there was one.
    pub(crate) fn free_kept<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        id: u16,
        command_deadline: Option<u64>,
    ) -> bool {
        let Some(slot) = self.ids.find(id) else {
            return false;
        };
        let State::Kept(ring) = *self.slots.get(slot) else {
            return false;
        };
        self.free(slot, ring);
        self.run_waiting(host, command_deadline);
        true
    }

    /// Frees every kept buffer: the user space that kept them is gone.
    pub(crate) fn free_all_kept<H: Host<Command = C>>(
        &mut self,
        host: &mut H,
        command_deadline: Option<u64>,
    ) {
        let freed = self.free_answered(|state| match state {
            State::Kept(ring) => Some(*ring),
            _ => None,
        });
        if freed {
            self.run_waiting(host, command_deadline);
        }
    }
}
