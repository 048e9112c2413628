// SPDX-License-Identifier: GPL-2.0
//! The command ring: entries come out as owned values, slots go back in the order of the ring.
//!
//! The kernel appends entries and moves the head; user space moves the tail past slots it gives back.
//! The tail can pass slots only in their order, but commands may be completed in any order: the kernel
//! looks at the id and the response found in a slot, not at the command it once put there. So a
//! completion always goes into the oldest command slot that has not been given back, whose request has
//! been copied out long before and is no longer needed. Pad and task management slots carry no
//! response; they go back as soon as they are the oldest.
//!
//! What a slot is and how long it is, the ring remembers from the moment of reading it. Nothing is read
//! from the shared region twice.

use std::collections::{HashSet, VecDeque};

use crate::data::{Iov, IovBuffer};
use crate::shm::{BadAccess, SharedMemory};
use crate::uapi::{self, Op};

/// SAM status of a response that carries sense data.
const SAM_CHECK_CONDITION: u8 = 0x02;
/// Operation code of a CDB whose eighth byte says how long it is.
const VARIABLE_LENGTH_CDB: u8 = 0x7f;

/// Why the ring cannot be used (any longer).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// An access outside the region.
    #[error(transparent)]
    Access(#[from] BadAccess),
    /// The mailbox describes no ring of a version that this crate knows.
    #[error("mailbox: {0}")]
    Mailbox(String),
    /// The head or the tail is not a position in the ring.
    #[error("{what} {value:#x} is no position in the ring of {size:#x} bytes")]
    Position {
        /// `head` or `tail`.
        what: &'static str,
        /// Its value.
        value: u32,
        /// Bytes in the ring.
        size: u32,
    },
    /// An entry contradicts the uapi.
    #[error("entry at {offset:#x}: {reason}")]
    Entry {
        /// Offset from the start of the ring.
        offset: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A completion for an id that is not outstanding.
    #[error("command {0} is not outstanding")]
    UnknownId(u16),
    /// The kernel emptied the ring (`reset_ring`); [`Ring::resync`] starts over.
    #[error("the ring has been reset")]
    Reset,
}

/// A SCSI command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Id, unique among the outstanding commands. Never 0.
    pub id: u16,
    /// Command descriptor block in the length that its first byte implies.
    pub cdb: Vec<u8>,
    /// Data buffer: Data-Out, or Data-In of a command that only reads.
    pub iovs: Vec<Iov>,
    /// Data-In buffer of a bidirectional command.
    pub bidi_iovs: Vec<Iov>,
}

impl Command {
    /// Operation code.
    pub fn opcode(&self) -> u8 {
        self.cdb.first().copied().unwrap_or(0)
    }

    /// Bytes of the data buffer.
    pub fn data_len(&self) -> usize {
        self.iovs
            .iter()
            .fold(0, |sum, iov| sum.saturating_add(iov.len))
    }
}

/// A task management notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmr {
    /// `TCMU_TMR_*`; see [`uapi::tmr_type_name`].
    pub tmr_type: u8,
    /// Ids of the commands it affects. Some may be completed already.
    pub ids: Vec<u16>,
}

/// What the kernel put on the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A command, outstanding from now on.
    Command(Command),
    /// A notification; needs no answer.
    Tmr(Tmr),
    /// Filler of this many bytes; needs no answer.
    Pad(u32),
}

/// The answer to a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// SAM status byte.
    pub status: u8,
    /// Sense data, at most [`uapi::SENSE_BUFFER_SIZE`] bytes of which are used.
    pub sense: Vec<u8>,
    /// Bytes of Data-In that are valid, if fewer than the buffer has.
    pub read_len: Option<u32>,
    /// Tell the kernel that the operation code is not supported; the other fields are then ignored.
    pub unknown_op: bool,
    /// Keep the data buffer until its id is written to the device's `free_kept_buf`.
    pub keep_buf: bool,
}

impl Response {
    /// A response that only has a status.
    pub fn status(status: u8) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

/// A slot that has been read and not been given back.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Offset from the start of the ring.
    offset: u32,
    len: u32,
    is_command: bool,
}

/// User space's side of one ring.
///
/// # Invariants
///
/// - `slots` cover the ring from `tail` to `next` without a gap, oldest first.
/// - `outstanding` has as many ids as `slots` has command slots.
/// - The first of `slots`, if any, is a command slot.
/// - The ring lies in the region, behind the mailbox; `data_off` is its end.
#[derive(Debug)]
pub struct Ring<M> {
    mem: M,
    /// Offset of the ring from the start of the region.
    cmdr_off: u32,
    /// Bytes in the ring.
    cmdr_size: u32,
    /// Offset of the data area from the start of the region.
    data_off: u32,
    /// Capabilities in the mailbox.
    flags: u16,
    /// Position of the next entry to read.
    next: u32,
    /// Our copy of the tail in the mailbox.
    tail: u32,
    slots: VecDeque<Slot>,
    outstanding: HashSet<u16>,
    /// The tail has moved since [`Self::take_kick`].
    kick: bool,
}

impl<M: SharedMemory> Ring<M> {
    /// Takes over the ring that the mailbox at the start of `mem` describes, from its current tail.
    ///
    /// # Errors
    ///
    /// If the mailbox has another version, lacks out-of-order completion or describes a ring that is not
    /// inside `mem`.
    pub fn attach(mem: M) -> Result<Self, RingError> {
        let bad = |reason: String| Err(RingError::Mailbox(reason));
        let version = mem.read_u16(uapi::MB_VERSION)?;
        if version != uapi::MAILBOX_VERSION {
            return bad(format!(
                "version {version}, known is {}",
                uapi::MAILBOX_VERSION
            ));
        }
        let flags = mem.read_u16(uapi::MB_FLAGS)?;
        if flags & uapi::MAILBOX_FLAG_CAP_OOOC == 0 {
            return bad(format!("flags {flags:#x} lack out-of-order completion"));
        }
        let cmdr_off = mem.read_u32(uapi::MB_CMDR_OFF)?;
        let cmdr_size = mem.read_u32(uapi::MB_CMDR_SIZE)?;
        let aligned =
            cmdr_off.is_multiple_of(uapi::OP_ALIGN) && cmdr_size.is_multiple_of(uapi::OP_ALIGN);
        let data_off = match cmdr_off.checked_add(cmdr_size) {
            Some(end)
                if aligned
                    && cmdr_off as usize >= uapi::MAILBOX_SIZE
                    && cmdr_size >= uapi::CMD_ENTRY_SIZE
                    && end as usize <= mem.size() =>
            {
                end
            }
            _ => return bad(format!("ring at {cmdr_off:#x}, {cmdr_size:#x} bytes")),
        };
        let mut ring = Self {
            mem,
            cmdr_off,
            cmdr_size,
            data_off,
            flags,
            next: 0,
            tail: 0,
            slots: VecDeque::new(),
            outstanding: HashSet::new(),
            kick: false,
        };
        ring.resync()?;
        Ok(ring)
    }

    /// Forgets every outstanding command and starts over at the tail in the mailbox.
    ///
    /// # Errors
    ///
    /// If that tail is no position in the ring.
    pub fn resync(&mut self) -> Result<(), RingError> {
        let tail = self.position("tail", uapi::MB_CMD_TAIL)?;
        // INVARIANT: No slot and no id, and both positions are the same.
        self.slots.clear();
        self.outstanding.clear();
        self.tail = tail;
        self.next = tail;
        Ok(())
    }

    /// The memory that the ring lies in.
    pub fn mem(&self) -> &M {
        &self.mem
    }

    /// Capabilities of the kernel, `MAILBOX_FLAG_CAP_*` of [`uapi`].
    pub fn flags(&self) -> u16 {
        self.flags
    }

    /// Number of commands that have been read and not been completed.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Whether the tail has moved since the last call: the kernel then wants to be told.
    pub fn take_kick(&mut self) -> bool {
        std::mem::take(&mut self.kick)
    }

    /// The buffer that `iovs` of a command of this ring describe.
    pub fn buffer<'a>(&'a self, iovs: &'a [Iov]) -> IovBuffer<'a, M> {
        IovBuffer::new(&self.mem, iovs)
    }

    /// Checks that the kernel has not emptied the ring under us.
    ///
    /// The data buffers of outstanding commands must not be touched after that: their pages may be
    /// gone. The check cannot see a reset after which the kernel has filled the ring up to where it was.
    ///
    /// # Errors
    ///
    /// [`RingError::Reset`], or [`RingError::Position`] for a head outside the ring.
    pub fn check_reset(&self) -> Result<(), RingError> {
        self.head_unless_reset().map(|_| ())
    }

    /// The kernel's head, after the check of [`Self::check_reset`].
    fn head_unless_reset(&self) -> Result<u32, RingError> {
        let head = self.position("head", uapi::MB_CMD_HEAD)?;
        // Only we move the tail, except for a reset. The head never falls behind what we have read.
        let distance = |to: u32| (to + self.cmdr_size - self.tail) % self.cmdr_size;
        if self.mem.load_acquire_u32(uapi::MB_CMD_TAIL)? != self.tail
            || distance(head) < distance(self.next)
        {
            return Err(RingError::Reset);
        }
        Ok(head)
    }

    /// Reads the next entry, `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the entry contradicts the uapi, or after a reset. The position does not move, so the same call
    /// fails again.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RingError> {
        let head = self.head_unless_reset()?;
        if head == self.next {
            return Ok(None);
        }
        let offset = self.next;
        let at = (self.cmdr_off + offset) as usize;
        let header = self.mem.read_array::<{ uapi::HDR_SIZE as usize }>(at)?;
        let len_op = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        let id = u16::from_ne_bytes([header[4], header[5]]);
        let len = uapi::entry_len(len_op);
        // An entry neither wraps nor reaches past the head.
        let room = if head > offset {
            head - offset
        } else {
            self.cmdr_size - offset
        };
        let op = match Op::of(len_op) {
            Some(op) => op,
            None => return bad_entry(offset, format!("kind {}", len_op & uapi::OP_MASK)),
        };
        let least = match op {
            Op::Pad => uapi::HDR_SIZE,
            Op::Cmd => uapi::CMD_ENTRY_SIZE,
            Op::Tmr => uapi::TMR_ENTRY_SIZE,
        };
        if len < least || len > room {
            return bad_entry(
                offset,
                format!("{op:?} of {len} bytes where {room} are left"),
            );
        }
        let entry = match op {
            Op::Pad => Entry::Pad(len),
            Op::Tmr => Entry::Tmr(self.read_tmr(offset, len)?),
            Op::Cmd => Entry::Command(self.read_command(offset, len, id)?),
        };

        // INVARIANT: The new slot starts where the last one ends.
        self.slots.push_back(Slot {
            offset,
            len,
            is_command: op == Op::Cmd,
        });
        self.next = self.advance(offset, len);
        self.give_back_without_response()?;
        Ok(Some(entry))
    }

    /// Completes an outstanding command.
    ///
    /// # Errors
    ///
    /// [`RingError::UnknownId`] if there is no such command, [`RingError::Reset`] after a reset: nothing has
    /// been written then.
    pub fn complete(&mut self, id: u16, response: &Response) -> Result<(), RingError> {
        self.check_reset()?;
        if !self.outstanding.contains(&id) {
            return Err(RingError::UnknownId(id));
        }
        let slot = match self.slots.front() {
            Some(slot) if slot.is_command => *slot,
            _ => return Err(RingError::UnknownId(id)),
        };
        let at = (self.cmdr_off + slot.offset) as usize;
        // From the start of the slot, to keep the offsets of the uapi. The header is not written as a
        // whole: its length, its kind and the kernel's flags are the kernel's.
        let mut body = [0; uapi::CMD_ENTRY_SIZE as usize];
        body[uapi::RSP_STATUS] = response.status;
        let mut uflags = 0;
        if let Some(read_len) = response.read_len {
            uflags |= uapi::UFLAG_READ_LEN;
            body[uapi::RSP_READ_LEN..uapi::RSP_READ_LEN + 4]
                .copy_from_slice(&read_len.to_ne_bytes());
        }
        if response.unknown_op {
            uflags |= uapi::UFLAG_UNKNOWN_OP;
        }
        if response.keep_buf {
            uflags |= uapi::UFLAG_KEEP_BUF;
        }
        let sense = &response.sense[..response.sense.len().min(uapi::SENSE_BUFFER_SIZE)];
        body[uapi::RSP_SENSE..uapi::RSP_SENSE + sense.len()].copy_from_slice(sense);
        // The kernel looks at the sense data of this status only.
        let end = match response.status {
            SAM_CHECK_CONDITION => body.len(),
            _ => uapi::RSP_SENSE,
        };
        self.mem
            .write_bytes(at + uapi::RSP_STATUS, &body[uapi::RSP_STATUS..end])?;
        self.mem.write_bytes(at + uapi::HDR_UFLAGS, &[uflags])?;
        self.mem
            .write_bytes(at + uapi::HDR_CMD_ID, &id.to_ne_bytes())?;

        // INVARIANT: One command slot and one id less.
        self.slots.pop_front();
        self.outstanding.remove(&id);
        self.publish_tail(self.advance(slot.offset, slot.len))?;
        self.give_back_without_response()
    }

    /// Gives back the oldest slots as far as they need no response.
    fn give_back_without_response(&mut self) -> Result<(), RingError> {
        let mut tail = self.tail;
        while let Some(slot) = self.slots.front().copied().filter(|slot| !slot.is_command) {
            self.slots.pop_front();
            tail = self.advance(slot.offset, slot.len);
        }
        // INVARIANT: The first slot, if any, is now a command's.
        if tail != self.tail {
            self.publish_tail(tail)?;
        }
        Ok(())
    }

    /// Makes everything written so far visible to the kernel as given back up to `tail`.
    fn publish_tail(&mut self, tail: u32) -> Result<(), RingError> {
        self.mem.store_release_u32(uapi::MB_CMD_TAIL, tail)?;
        self.tail = tail;
        self.kick = true;
        Ok(())
    }

    /// The position `len` bytes behind `offset`. An entry never wraps, so the sum is at most the size.
    fn advance(&self, offset: u32, len: u32) -> u32 {
        (offset + len) % self.cmdr_size
    }

    /// Reads a position from the mailbox and checks it.
    fn position(&self, what: &'static str, offset: usize) -> Result<u32, RingError> {
        let value = self.mem.load_acquire_u32(offset)?;
        if value >= self.cmdr_size || !value.is_multiple_of(uapi::OP_ALIGN) {
            return Err(RingError::Position {
                what,
                value,
                size: self.cmdr_size,
            });
        }
        Ok(value)
    }

    fn read_tmr(&self, offset: u32, len: u32) -> Result<Tmr, RingError> {
        let at = (self.cmdr_off + offset) as usize;
        let [tmr_type] = self.mem.read_array(at + uapi::TMR_TYPE)?;
        let count = self.mem.read_u32(at + uapi::TMR_CMD_CNT)?;
        if u64::from(count) * 2 > u64::from(len - uapi::TMR_ENTRY_SIZE) {
            return bad_entry(offset, format!("{count} ids in {len} bytes"));
        }
        let mut bytes = vec![0; count as usize * 2];
        self.mem.read_bytes(at + uapi::TMR_CMD_IDS, &mut bytes)?;
        let ids = bytes
            .chunks_exact(2)
            .map(|id| u16::from_ne_bytes([id[0], id[1]]))
            .collect();
        Ok(Tmr { tmr_type, ids })
    }

    /// Reads a command and makes it outstanding.
    fn read_command(&mut self, offset: u32, len: u32, id: u16) -> Result<Command, RingError> {
        let at = (self.cmdr_off + offset) as usize;
        let count = |field| self.mem.read_u32(at + field);
        let iov_cnt = count(uapi::REQ_IOV_CNT)?;
        let bidi_cnt = count(uapi::REQ_IOV_BIDI_CNT)?;
        let dif_cnt = count(uapi::REQ_IOV_DIF_CNT)?;
        let vectors = u64::from(iov_cnt) + u64::from(bidi_cnt) + u64::from(dif_cnt);
        if vectors * uapi::IOV_SIZE as u64 > u64::from(len) - uapi::REQ_IOV as u64 {
            return bad_entry(offset, format!("{vectors} I/O vectors in {len} bytes"));
        }
        let first = at + uapi::REQ_IOV;
        let iovs = self.read_iovs(offset, first, iov_cnt)?;
        let second = first + iov_cnt as usize * uapi::IOV_SIZE;
        let bidi_iovs = self.read_iovs(offset, second, bidi_cnt)?;
        let all = iovs.iter().chain(&bidi_iovs);
        if all.fold(0, |sum: usize, iov| sum.saturating_add(iov.len)) > self.mem.size() {
            return bad_entry(offset, "more data than the region holds".into());
        }
        let cdb_off = u64::from_ne_bytes(self.mem.read_array(at + uapi::REQ_CDB_OFF)?);
        let cdb = self.read_cdb(offset, cdb_off)?;
        if id == 0 {
            return bad_entry(offset, "command id 0".into());
        }
        // INVARIANT: The caller adds the slot.
        if !self.outstanding.insert(id) {
            return bad_entry(offset, format!("command id {id} is outstanding already"));
        }
        Ok(Command {
            id,
            cdb,
            iovs,
            bidi_iovs,
        })
    }

    fn read_iovs(&self, offset: u32, at: usize, count: u32) -> Result<Vec<Iov>, RingError> {
        let mut bytes = vec![0; count as usize * uapi::IOV_SIZE];
        self.mem.read_bytes(at, &mut bytes)?;
        let (words, _) = bytes.as_chunks::<8>();
        words
            .chunks_exact(2)
            .map(|iov| (u64::from_ne_bytes(iov[0]), u64::from_ne_bytes(iov[1])))
            .map(|(base, len)| {
                let place = self.mem.check(base, len)?;
                if base < u64::from(self.data_off) {
                    return bad_entry(offset, format!("I/O vector at {base:#x} is no data"));
                }
                // `check` bounds the sum by the size of the region.
                Ok(Iov {
                    base: place,
                    len: len as usize,
                })
            })
            .collect()
    }

    fn read_cdb(&self, offset: u32, cdb_off: u64) -> Result<Vec<u8>, RingError> {
        let at = self.mem.check(cdb_off, 1)?;
        let [opcode] = self.mem.read_array(at)?;
        let len = match opcode >> 5 {
            _ if opcode == VARIABLE_LENGTH_CDB => {
                self.mem.check(cdb_off, 8)?;
                let [additional] = self.mem.read_array(at + 7)?;
                8 + usize::from(additional)
            }
            0 => 6,
            3 | 5 => 12,
            4 => 16,
            // Also what the kernel assumes for the vendor specific groups 6 and 7.
            _ => 10,
        };
        let start = u64::from(self.cmdr_off);
        if cdb_off < start || cdb_off + len as u64 > u64::from(self.data_off) {
            return bad_entry(offset, format!("CDB at {cdb_off:#x} is not in the ring"));
        }
        let mut cdb = vec![opcode; len];
        // The first byte decided the length and is not read again.
        self.mem.read_bytes(at + 1, &mut cdb[1..])?;
        if opcode == VARIABLE_LENGTH_CDB {
            // Nor is the additional length believed twice.
            cdb[7] = (len - 8) as u8;
        }
        Ok(cdb)
    }
}

fn bad_entry<T>(offset: u32, reason: String) -> Result<T, RingError> {
    Err(RingError::Entry { offset, reason })
}
