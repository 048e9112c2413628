// SPDX-License-Identifier: GPL-2.0
//! Completions, each spoiled as its class says.

use std::time::Instant;

use rand::{Rng, RngExt};

use tcmu::shm::SharedMemory;
use tcmu::uapi::{self, Op};

use crate::attack::Attack;
use crate::chaos::interesting;
use crate::class::Class;
use crate::judge::{Expected, Reason};
use crate::plan::{Step, Steps};
use crate::view::Slot;

/// Commands that are kept back at most.
const MOST_HELD: usize = 24;

/// Buffers that are kept at most.
const MOST_KEPT: usize = 8;

/// What is written ahead of the head lies at least so far from anything in use: commands that come
/// meanwhile do not get there.
const FAR: u32 = 256 << 10;

/// Statuses that the SCSI layer knows, and takes without slowing down.
const PLAIN: [u8; 2] = [0x00, 0x02];

/// Statuses after which it waits, sends fewer commands, or gives up.
const SLOW: [u8; 5] = [0x04, 0x08, 0x18, 0x28, 0x40];

/// The multiple of the entries' alignment at or below `position`.
fn down(position: u32) -> u32 {
    position / uapi::OP_ALIGN * uapi::OP_ALIGN
}

impl Attack {
    /// Completes what there is, until the kernel has been told. Returns the number of completions.
    pub(super) fn batch(&mut self, steps: &mut Steps) -> anyhow::Result<u64> {
        let mut count = 0;
        while let Some(slot) = self.view.slots.front().copied() {
            if slot.op != Op::Cmd {
                self.pass(slot)?;
                continue;
            }
            if let Some((id, answer)) = self.view.take_answered() {
                self.respond(slot, id, 0, answer.status)?;
                let mut sense = answer.sense;
                sense.resize(uapi::SENSE_BUFFER_SIZE, 0);
                self.put_bytes(slot, uapi::RSP_SENSE, &sense)?;
                self.completed(slot, id, Class::Honest);
                count += 1;
                continue;
            }
            let old = self.late.map(|age| (age, Instant::now()));
            if let Some(command) = old.and_then(|old| self.view.take(0, Some(old))) {
                self.respond(slot, command.id, 0, 0)?;
                self.completed(slot, command.id, Class::LateId);
                count += 1;
                continue;
            }
            if self.view.ready.is_empty() {
                break;
            }
            let Some(step) = steps.next() else { break };
            if let Some(ms) = step.hold.filter(|_| self.view.held.len() < MOST_HELD) {
                self.view
                    .hold(Instant::now() + std::time::Duration::from_millis(ms.into()));
                if self.view.ready.is_empty() {
                    break;
                }
            }
            count += 1;
            let broke = self.apply(&step, slot)?;
            if broke || step.kick {
                break;
            }
        }
        if self.is_behind() {
            self.flush()?;
        }
        if self.view.kept.len() > MOST_KEPT {
            self.free_oldest_kept()?;
        }
        Ok(count)
    }

    /// Gives back an entry that needs no answer, overwritten.
    fn pass(&mut self, slot: Slot) -> anyhow::Result<()> {
        if self.options.only.allows(Class::PassedEntry) && self.noise.random_bool(0.75) {
            let len_op = self.any_length(slot) | self.noise.random_range(0..8);
            self.put(slot, uapi::HDR_LEN_OP, len_op)?;
            for at in (4..slot.len.min(256)).step_by(4) {
                let word = interesting(&mut self.noise);
                self.put(slot, at as usize, word)?;
            }
            self.pending.push(Class::PassedEntry);
        }
        self.view.give_back();
        Ok(())
    }

    /// Carries out one choice; true if the ring had to be reset.
    fn apply(&mut self, step: &Step, slot: Slot) -> anyhow::Result<bool> {
        if step.class.is_tail() {
            return match self.bad_tail(step, slot) {
                Some((tail, expected)) => {
                    if self.is_behind() && !self.flush()? {
                        return Ok(true);
                    }
                    self.break_tail(step.class, tail, expected)?;
                    Ok(true)
                }
                None => self.instead(step, slot),
            };
        }
        match step.class {
            Class::UnknownId
            | Class::ZeroId
            | Class::StaleId
            | Class::KeptTwice
            | Class::WaitingId => match self.bad_id(step) {
                Some((id, reason)) => {
                    self.respond(slot, id, 0, 0)?;
                    self.view.give_back();
                    self.break_id(step.class, slot, id, reason)?;
                    Ok(true)
                }
                None => self.instead(step, slot),
            },
            Class::RepeatedId => self.repeat(step, slot),
            Class::RandomWords => self.random_words(step, slot),
            _ => {
                let Some(command) = self.view.take(step.a as usize, None) else {
                    return Ok(false);
                };
                self.respond(slot, command.id, 0, 0)?;
                self.spoil(step, slot)?;
                self.completed(slot, command.id, step.class);
                Ok(false)
            }
        }
    }

    /// The class makes no sense now.
    fn instead(&mut self, step: &Step, slot: Slot) -> anyhow::Result<bool> {
        self.report.not_possible(step.class);
        if let Some(command) = self.view.take(step.a as usize, None) {
            self.respond(slot, command.id, 0, 0)?;
            self.completed(slot, command.id, Class::Honest);
        }
        Ok(false)
    }

    /// The command's entry is ready to be taken by the kernel.
    fn completed(&mut self, slot: Slot, id: u16, class: Class) {
        debug_assert_eq!(self.view.slots.front(), Some(&slot));
        self.view.give_back();
        self.view.completed(id, class == Class::KeepBuf);
        self.pending.push(class);
    }

    /// Writes a word into an entry.
    fn put(&self, slot: Slot, at: usize, word: u32) -> anyhow::Result<()> {
        let place = (self.view.ring_off + slot.offset) as usize + at;
        Ok(self.node.mem.store_release_u32(place, word)?)
    }

    /// Writes bytes into an entry.
    fn put_bytes(&self, slot: Slot, at: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let place = (self.view.ring_off + slot.offset) as usize + at;
        Ok(self.node.mem.write_bytes(place, bytes)?)
    }

    /// Writes an answer without sense data.
    fn respond(&self, slot: Slot, id: u16, uflags: u8, status: u8) -> anyhow::Result<()> {
        self.put_bytes(slot, uapi::HDR_CMD_ID, &id.to_ne_bytes())?;
        self.put_bytes(slot, uapi::HDR_UFLAGS, &[uflags])?;
        self.put_bytes(slot, uapi::RSP_STATUS, &[status])
    }

    /// A length, right or wrong, for the first word of an entry.
    fn any_length(&mut self, slot: Slot) -> u32 {
        let size = self.view.size;
        let length = match self.noise.random_range(0..12) {
            0 => 0,
            1 => 8,
            2 => slot.len,
            3 => slot.len + 8,
            4 => slot.len - 8,
            // To the end of the ring, past it, past everything
            5 => size - slot.offset,
            6 => size - slot.offset + 8,
            7 => size,
            8 => u32::MAX,
            9 => 1 << 31,
            10 => self.noise.random_range(0..size),
            _ => self.noise.next_u32(),
        };
        length & !uapi::OP_MASK
    }

    /// A status, mostly one that exists.
    fn any_status(&mut self) -> u8 {
        match self.noise.random_range(0..2048) {
            // Most of these start its error recovery, which stops all commands of the host.
            0 => self.noise.next_u32() as u8,
            n @ 1..32 => SLOW[n % SLOW.len()],
            n => PLAIN[n % PLAIN.len()],
        }
    }

    /// Sense data, mostly in a format that exists, so that it is looked into.
    ///
    /// After CHECK CONDITION without it the SCSI layer stops all commands of the host for its
    /// recovery.
    fn any_sense(&mut self) -> [u8; uapi::SENSE_BUFFER_SIZE] {
        let mut sense = [0; uapi::SENSE_BUFFER_SIZE];
        self.noise.fill_bytes(&mut sense);
        if !self.noise.random_ratio(1, 1024) {
            // Fixed or descriptor format, current or deferred
            sense[0] = 0x70 + (sense[0] & 3);
        }
        sense
    }

    /// Spoils an entry, or something beside it, that completes a command all the same.
    fn spoil(&mut self, step: &Step, slot: Slot) -> anyhow::Result<()> {
        match step.class {
            Class::PadLength | Class::TmrLength | Class::CmdLength => {
                let op = match step.class {
                    Class::PadLength => Op::Pad,
                    Class::TmrLength => Op::Tmr,
                    _ => Op::Cmd,
                };
                let len_op = self.any_length(slot) | op as u32;
                self.put(slot, uapi::HDR_LEN_OP, len_op)?;
            }
            Class::OpValue => {
                let length = if step.b & 1 == 0 {
                    slot.len
                } else {
                    self.any_length(slot)
                };
                self.put(slot, uapi::HDR_LEN_OP, length | (step.a as u32 % 8))?;
            }
            Class::KernelFlags => {
                self.put_bytes(slot, uapi::HDR_KFLAGS, &[step.a as u8])?;
                // Padding of the response
                self.put_bytes(slot, uapi::RSP_STATUS + 1, &step.b.to_ne_bytes()[..3])?;
            }
            Class::RequestFields => {
                let mut bytes = vec![0; slot.len as usize - uapi::HDR_SIZE as usize];
                self.noise.fill_bytes(&mut bytes);
                bytes[0] = self.any_status();
                self.put_bytes(slot, uapi::HDR_SIZE as usize, &bytes)?;
                let sense = self.any_sense();
                self.put_bytes(slot, uapi::RSP_SENSE, &sense)?;
            }
            Class::MailboxFields => {
                // cmdr_size and what is before; cmd_head is a class of its own
                let mut bytes = self.layout;
                self.noise.fill_bytes(&mut bytes);
                self.node.mem.write_bytes(0, &bytes)?;
            }
            Class::Head => {
                let head = interesting(&mut self.noise);
                self.node.mem.store_release_u32(uapi::MB_CMD_HEAD, head)?;
            }
            Class::FreeSpace => {
                let free = self.view.size.saturating_sub(self.view.used() + 2 * FAR);
                for _ in 0..if free == 0 { 0 } else { 32 } {
                    let far = self.view.next() + FAR + self.noise.random_range(0..free);
                    let place = (self.view.ring_off + far % self.view.size) as usize / 4 * 4;
                    let word = interesting(&mut self.noise);
                    self.node.mem.store_release_u32(place, word)?;
                }
            }
            Class::ReadLength => {
                let length = interesting(&mut self.noise);
                let (status, sense) = (self.any_status(), self.any_sense());
                self.put_bytes(slot, uapi::RSP_READ_LEN, &length.to_ne_bytes())?;
                self.put_bytes(slot, uapi::RSP_STATUS, &[status])?;
                self.put_bytes(slot, uapi::RSP_SENSE, &sense)?;
                self.put_bytes(slot, uapi::HDR_UFLAGS, &[uapi::UFLAG_READ_LEN])?;
            }
            Class::Uflags => {
                let uflags = step.a.to_ne_bytes()[7] & !uapi::UFLAG_KEEP_BUF;
                self.put_bytes(slot, uapi::HDR_UFLAGS, &[uflags])?;
            }
            Class::Status => {
                let (status, sense) = (self.any_status(), self.any_sense());
                self.put_bytes(slot, uapi::RSP_STATUS, &[status])?;
                self.put_bytes(slot, uapi::RSP_SENSE, &sense)?;
            }
            Class::KeepBuf => {
                self.put_bytes(slot, uapi::HDR_UFLAGS, &[uapi::UFLAG_KEEP_BUF])?;
            }
            _ => (),
        }
        Ok(())
    }

    /// A tail that is wrong, and what must come of it.
    fn bad_tail(&mut self, step: &Step, slot: Slot) -> Option<(u32, Expected)> {
        let size = self.view.size;
        let (a, tail) = (step.a as u32, self.view.tail);
        let free = size - self.view.used();
        let value = match step.class {
            Class::TailUnaligned => down((self.view.next() + a % FAR) % size) + 1 + a % 7,
            Class::TailInside => down(slot.offset + 8 + a % (slot.len - 8)),
            Class::TailBeyond => size + down(a % size),
            Class::TailHuge => a | 1 << 31,
            Class::TailBackward => {
                down(tail + size - 8 - a % free.saturating_sub(FAR).max(1)) % size
            }
            Class::TailAhead => {
                let far = free.saturating_sub(2 * FAR).max(1);
                (self.view.next() + FAR + down(a % far)) % size
            }
            _ if step.b & 1 == 0 => down(a % size),
            _ => a,
        };
        if self.view.is_boundary(value) || free <= 2 * FAR {
            return None;
        }
        // Commands may come while this is done: what is right behind the head may become a position.
        let ahead = value.wrapping_add(size).wrapping_sub(self.view.next()) % size;
        let expected = if value < size && value.is_multiple_of(8) && ahead < FAR {
            Expected::Any
        } else {
            Expected::Broken(Reason::Tail(value))
        };
        Some((value, expected))
    }

    /// An id that is not on the ring, and why it is refused.
    fn bad_id(&mut self, step: &Step) -> Option<(u16, Reason)> {
        let a = step.a as usize;
        let id = match step.class {
            Class::ZeroId => 0,
            Class::UnknownId => {
                let least = self.view.highest.saturating_add(4096);
                least.saturating_add((a % 32768) as u16)
            }
            // The last ones that were completed are the last ones to be given again.
            Class::StaleId => {
                let count = self.view.stale.len().min(16);
                let back = a.checked_rem(count)? + 1;
                *self.view.stale.get(self.view.stale.len() - back)?
            }
            Class::KeptTwice => {
                let id = *self.view.kept.get(a.checked_rem(self.view.kept.len())?)?;
                return Some((id, Reason::Kept(id)));
            }
            // The longer an id is free, the sooner it is given again.
            _ => {
                let status = self.control.status()?;
                let waiting = status.number("commands_qfull") > 0;
                *self.view.stale.front().filter(|_| waiting)?
            }
        };
        let usable = !self.view.is_outstanding(id) && !self.view.kept.contains(&id);
        usable.then_some((id, Reason::Unknown(id)))
    }

    /// The same id in two entries.
    fn repeat(&mut self, step: &Step, slot: Slot) -> anyhow::Result<bool> {
        let second = self
            .view
            .slots
            .iter()
            .skip(1)
            .find(|s| s.op == Op::Cmd)
            .copied();
        let Some(second) = second else {
            return self.instead(step, slot);
        };
        let Some(command) = self.view.take(step.a as usize, None) else {
            return Ok(false);
        };
        self.respond(slot, command.id, 0, 0)?;
        self.completed(slot, command.id, Class::Honest);
        self.respond(second, command.id, 0, 0)?;
        while self.view.give_back().is_some_and(|slot| slot != second) {}
        let reason = Reason::Unknown(command.id);
        self.break_id(step.class, second, command.id, reason)?;
        Ok(true)
    }

    /// Noise in the whole entry: the id in it decides.
    fn random_words(&mut self, step: &Step, slot: Slot) -> anyhow::Result<bool> {
        let mut bytes = vec![0; slot.len as usize];
        self.noise.fill_bytes(&mut bytes);
        let id = u16::from_ne_bytes([bytes[uapi::HDR_CMD_ID], bytes[uapi::HDR_CMD_ID + 1]]);
        if self.view.is_outstanding(id) {
            return self.instead(step, slot);
        }
        let reason = if self.view.kept.contains(&id) {
            Reason::Kept(id)
        } else {
            Reason::Unknown(id)
        };
        self.put_bytes(slot, 0, &bytes)?;
        self.view.give_back();
        self.break_id(step.class, slot, id, reason)?;
        Ok(true)
    }

    /// Frees a kept buffer, and asks for one that is not kept.
    fn free_oldest_kept(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.view.kept.pop_front() else {
            return Ok(());
        };
        let freed = self.control.free_kept(id)?;
        self.judge_freed(id, freed, true)?;
        self.view.completed(id, false);
        if self.noise.random_bool(0.1) {
            let id = self
                .view
                .highest
                .saturating_add(self.noise.random_range(1..4096));
            let freed = self.control.free_kept(id)?;
            self.judge_freed(id, freed, false)?;
        }
        Ok(())
    }
}
