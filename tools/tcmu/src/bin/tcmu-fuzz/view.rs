// SPDX-License-Identifier: GPL-2.0
//! What an honest daemon would know of the ring, in private memory.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use tcmu::ring::Response;
use tcmu::shm::{BadAccess, SharedMemory};
use tcmu::uapi::{self, Op};

/// Ids that were completed lately and are remembered.
const STALE: usize = 64;

/// An entry that has been read and not been given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Offset from the start of the ring.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
    /// What it is.
    pub op: Op,
}

/// A command that has not been completed.
#[derive(Clone, Debug)]
pub struct Outstanding {
    /// Its id.
    pub id: u16,
    /// When it was read.
    pub since: Instant,
    /// The answer that it must get.
    pub answer: Option<Response>,
}

/// Why there is no knowing what is on the ring.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The head is no position.
    #[error("head {0:#x}")]
    Head(u32),
    /// An entry is none.
    #[error("entry at {0:#x}: {1:#x}")]
    Entry(u32, u32),
    /// A command has the id of another one, or 0.
    #[error("id {0} is on the ring already")]
    Id(u16),
    /// Outside the region.
    #[error(transparent)]
    Access(#[from] BadAccess),
}

/// The ring as the kernel must have it.
///
/// # Invariants
///
/// `slots` cover the ring from `tail` to `next`, and have as many commands as `ready` and `held`.
#[derive(Debug)]
pub struct View {
    /// Offset of the ring from the start of the region.
    pub ring_off: u32,
    /// Bytes of the ring.
    pub size: u32,
    /// What has been given back.
    pub tail: u32,
    next: u32,
    /// Entries, oldest first.
    pub slots: VecDeque<Slot>,
    /// Commands to be completed.
    pub ready: VecDeque<Outstanding>,
    /// Commands that are kept back, and until when.
    pub held: Vec<(Outstanding, Instant)>,
    /// Ids whose buffers are kept.
    pub kept: VecDeque<u16>,
    /// Ids that were completed lately, the last one at the end.
    pub stale: VecDeque<u16>,
    on_ring: HashSet<u16>,
    /// The highest id so far.
    pub highest: u16,
    /// Notifications and ids in them so far.
    pub tmrs: (u64, u64),
}

impl View {
    /// A ring that is empty at `tail`.
    pub fn new(ring_off: u32, size: u32, tail: u32) -> Self {
        Self {
            ring_off,
            size,
            tail,
            next: tail,
            slots: VecDeque::new(),
            ready: VecDeque::new(),
            held: Vec::new(),
            kept: VecDeque::new(),
            stale: VecDeque::new(),
            on_ring: HashSet::new(),
            highest: 0,
            tmrs: (0, 0),
        }
    }

    /// The ring was reset: nothing is on it, no buffer is kept.
    pub fn reset(&mut self) {
        let ids: Vec<_> = self.on_ring.drain().collect();
        self.remember(&ids);
        self.free_kept();
        self.slots.clear();
        self.ready.clear();
        self.held.clear();
        self.tail = 0;
        self.next = 0;
    }

    /// The kernel has freed all kept buffers.
    pub fn free_kept(&mut self) {
        let ids: Vec<_> = self.kept.drain(..).collect();
        self.remember(&ids);
    }

    fn remember(&mut self, ids: &[u16]) {
        self.stale.extend(ids);
        let surplus = self.stale.len().saturating_sub(STALE);
        self.stale.drain(..surplus);
    }

    /// Whether a command with this id has not been completed.
    pub fn is_outstanding(&self, id: u16) -> bool {
        self.on_ring.contains(&id)
    }

    /// Whether `tail` is a position that may be given back: the start of an entry, or their end.
    pub fn is_boundary(&self, tail: u32) -> bool {
        tail == self.next || self.slots.iter().any(|slot| slot.offset == tail)
    }

    /// Position behind `slot`.
    pub fn end(&self, slot: Slot) -> u32 {
        (slot.offset + slot.len) % self.size
    }

    /// Position behind everything that was read.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Bytes that are not given back.
    pub fn used(&self) -> u32 {
        (self.next + self.size - self.tail) % self.size
    }

    /// Reads what is new; returns the number of entries. `answer` is asked for the answer that the
    /// command in the entry at that offset into the region must get.
    ///
    /// # Errors
    ///
    /// If it contradicts the uapi: somebody has overwritten it.
    pub fn read_new(
        &mut self,
        mem: &impl SharedMemory,
        now: Instant,
        mut answer: impl FnMut(usize) -> Option<Response>,
    ) -> Result<usize, Lost> {
        let head = mem.load_acquire_u32(uapi::MB_CMD_HEAD)?;
        if head >= self.size || !head.is_multiple_of(uapi::OP_ALIGN) {
            return Err(Lost::Head(head));
        }
        let mut count = 0;
        while self.next != head {
            let slot = self.read_entry(mem, head, now, &mut answer)?;
            self.next = self.end(slot);
            self.slots.push_back(slot);
            count += 1;
        }
        Ok(count)
    }

    fn read_entry(
        &mut self,
        mem: &impl SharedMemory,
        head: u32,
        now: Instant,
        answer: &mut impl FnMut(usize) -> Option<Response>,
    ) -> Result<Slot, Lost> {
        let offset = self.next;
        let at = (self.ring_off + offset) as usize;
        let len_op = mem.read_u32(at)?;
        let lost = Lost::Entry(offset, len_op);
        let len = uapi::entry_len(len_op);
        let room = if head > offset { head } else { self.size } - offset;
        let Some(op) = Op::of(len_op) else {
            return Err(lost);
        };
        if len < uapi::HDR_SIZE || len > room {
            return Err(lost);
        }
        match op {
            Op::Pad => (),
            Op::Tmr => {
                self.tmrs.0 += 1;
                // At most as many ids as there is room for: somebody may have overwritten it.
                let count = mem.read_u32(at + uapi::TMR_CMD_CNT)?;
                self.tmrs.1 += u64::from(count.min(len / 2));
            }
            Op::Cmd if len < uapi::CMD_ENTRY_SIZE => return Err(lost),
            Op::Cmd => {
                let id = mem.read_u16(at + uapi::HDR_CMD_ID)?;
                if id == 0 || !self.on_ring.insert(id) {
                    return Err(Lost::Id(id));
                }
                self.highest = self.highest.max(id);
                self.stale.retain(|stale| *stale != id);
                self.ready.push_back(Outstanding {
                    id,
                    since: now,
                    answer: answer(at),
                });
            }
        }
        Ok(Slot { offset, len, op })
    }

    /// Keeps the oldest command back until then.
    pub fn hold(&mut self, until: Instant) {
        if let Some(command) = self.ready.pop_front() {
            self.held.push((command, until));
        }
    }

    /// Ends the keeping back of what is due.
    pub fn let_go(&mut self, now: Instant) {
        let (due, held) = self.held.drain(..).partition(|(_, until)| *until <= now);
        self.held = held;
        let due: Vec<(Outstanding, Instant)> = due;
        for (command, _) in due {
            self.ready.push_front(command);
        }
    }

    /// Takes a command that must get a certain answer, and the answer.
    pub fn take_answered(&mut self) -> Option<(u16, Response)> {
        let place = self
            .ready
            .iter()
            .position(|command| command.answer.is_some())?;
        let command = self.ready.remove(place)?;
        Some((command.id, command.answer?))
    }

    /// Takes a command to complete: the first that is at least `age` old, or number `choice`.
    pub fn take(&mut self, choice: usize, age: Option<(Duration, Instant)>) -> Option<Outstanding> {
        let place = match age {
            Some((age, now)) => self
                .ready
                .iter()
                .position(|command| now.duration_since(command.since) >= age)?,
            None => choice.checked_rem(self.ready.len())?,
        };
        self.ready.remove(place)
    }

    /// The kernel has taken the completion of this id.
    pub fn completed(&mut self, id: u16, kept: bool) {
        self.on_ring.remove(&id);
        if kept {
            self.kept.push_back(id);
        } else {
            self.remember(&[id]);
        }
    }

    /// Takes the oldest slot and moves the tail behind it.
    pub fn give_back(&mut self) -> Option<Slot> {
        let slot = self.slots.pop_front()?;
        self.tail = self.end(slot);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    struct Memory(RefCell<Vec<u8>>);

    impl SharedMemory for Memory {
        fn size(&self) -> usize {
            self.0.borrow().len()
        }

        fn load_acquire_u32(&self, offset: usize) -> Result<u32, BadAccess> {
            self.read_u32(offset)
        }

        fn store_release_u32(&self, offset: usize, value: u32) -> Result<(), BadAccess> {
            self.write_bytes(offset, &value.to_ne_bytes())
        }

        fn read_bytes(&self, offset: usize, buf: &mut [u8]) -> Result<(), BadAccess> {
            let at = self.check(offset as u64, buf.len() as u64)?;
            buf.copy_from_slice(&self.0.borrow()[at..at + buf.len()]);
            Ok(())
        }

        fn write_bytes(&self, offset: usize, buf: &[u8]) -> Result<(), BadAccess> {
            let at = self.check(offset as u64, buf.len() as u64)?;
            self.0.borrow_mut()[at..at + buf.len()].copy_from_slice(buf);
            Ok(())
        }
    }

    const RING: u32 = 128;
    const SIZE: u32 = 1024;

    fn with(entries: &[(u32, u32, u16)]) -> (Memory, View) {
        let memory = Memory(RefCell::new(vec![0; 4096]));
        let mut at = 0;
        for (op, len, id) in entries {
            let offset = (RING + at) as usize;
            memory.store_release_u32(offset, len | op).unwrap();
            memory.write_bytes(offset + 4, &id.to_ne_bytes()).unwrap();
            at += len;
        }
        memory
            .store_release_u32(uapi::MB_CMD_HEAD, at % SIZE)
            .unwrap();
        (memory, View::new(RING, SIZE, 0))
    }

    #[test]
    fn entries_are_read_once_and_given_back_in_order() {
        let (memory, mut view) = with(&[(1, 128, 5), (2, 40, 0), (1, 120, 6), (0, 8, 0)]);
        let now = Instant::now();
        assert_eq!(view.read_new(&memory, now, |_| None).unwrap(), 4);
        assert_eq!(view.read_new(&memory, now, |_| None).unwrap(), 0);
        assert_eq!((view.used(), view.highest, view.tmrs.0), (296, 6, 1));
        assert!([0, 128, 168, 288, 296]
            .iter()
            .all(|tail| view.is_boundary(*tail)));
        assert!([8, 64, 120, 304, 1024]
            .iter()
            .all(|tail| !view.is_boundary(*tail)));
        view.hold(now + Duration::from_secs(1));
        assert_eq!(view.take(9, None).unwrap().id, 6);
        view.completed(6, false);
        assert!(view.take(0, None).is_none());
        view.let_go(now);
        assert!(view.ready.is_empty());
        view.let_go(now + Duration::from_secs(1));
        assert_eq!(view.take(0, None).unwrap().id, 5);
        assert!(view.is_outstanding(5) && !view.is_outstanding(6));
        assert_eq!(view.give_back().unwrap().op, Op::Cmd);
        assert_eq!((view.tail, view.stale.back()), (128, Some(&6)));
        view.reset();
        assert_eq!((view.used(), view.tail, view.slots.len()), (0, 0, 0));
        assert!(!view.is_outstanding(5));
    }

    #[test]
    fn nonsense_is_noticed() {
        for entries in [
            vec![(3, 128, 1)],
            vec![(1, 64, 1)],
            vec![(1, 128, 0)],
            vec![(1, 128, 1), (1, 128, 1)],
            vec![(0, 0, 0)],
        ] {
            let (memory, mut view) = with(&entries);
            memory.store_release_u32(uapi::MB_CMD_HEAD, 512).unwrap();
            assert!(
                view.read_new(&memory, Instant::now(), |_| None).is_err(),
                "{entries:?}"
            );
        }
        let (memory, mut view) = with(&[]);
        for head in [4, 1024, u32::MAX] {
            memory.store_release_u32(uapi::MB_CMD_HEAD, head).unwrap();
            assert!(
                view.read_new(&memory, Instant::now(), |_| None).is_err(),
                "{head}"
            );
        }
    }

    #[test]
    fn ids_of_the_past_are_few_and_not_in_use() {
        let (memory, mut view) = with(&[(1, 128, 5)]);
        let ids: Vec<u16> = (1..200).collect();
        view.remember(&ids);
        assert_eq!((view.stale.len(), view.stale.back()), (STALE, Some(&199)));
        view.remember(&[5]);
        view.read_new(&memory, Instant::now(), |_| None).unwrap();
        assert!(!view.stale.contains(&5));
    }
}
