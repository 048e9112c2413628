// SPDX-License-Identifier: GPL-2.0
//! The kernel's half of the contract, written from the uapi header.
//!
//! Like the real one it keeps everything it believes in private memory and panics, which fails the test,
//! where user space breaks the protocol.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use tcmu::shm::{BadAccess, SharedMemory};
use tcmu::uapi;

/// Bytes in a block of the data area. Small, so that buffers have several pieces.
pub const BLOCK: usize = 256;

/// A region that both sides hold.
#[derive(Clone, Debug)]
pub struct Heap(Rc<RefCell<Vec<u8>>>);

impl Heap {
    pub fn new(size: usize) -> Self {
        Self(Rc::new(RefCell::new(vec![0; size])))
    }

    pub fn put<const N: usize>(&self, offset: usize, bytes: [u8; N]) {
        self.write_bytes(offset, &bytes).unwrap();
    }
}

impl SharedMemory for Heap {
    fn size(&self) -> usize {
        self.0.borrow().len()
    }

    fn load_acquire_u32(&self, offset: usize) -> Result<u32, BadAccess> {
        self.read_array(offset).map(u32::from_ne_bytes)
    }

    fn store_release_u32(&self, offset: usize, value: u32) -> Result<(), BadAccess> {
        self.write_bytes(offset, &value.to_ne_bytes())
    }

    fn read_bytes(&self, offset: usize, buf: &mut [u8]) -> Result<(), BadAccess> {
        let offset = self.check(offset as u64, buf.len() as u64)?;
        buf.copy_from_slice(&self.0.borrow()[offset..offset + buf.len()]);
        Ok(())
    }

    fn write_bytes(&self, offset: usize, buf: &[u8]) -> Result<(), BadAccess> {
        let offset = self.check(offset as u64, buf.len() as u64)?;
        self.0.borrow_mut()[offset..offset + buf.len()].copy_from_slice(buf);
        Ok(())
    }
}

/// What user space answered to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub id: u16,
    pub status: u8,
    pub uflags: u8,
    pub read_len: u32,
    pub sense: Vec<u8>,
    /// The command's whole buffer at that moment.
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    offset: usize,
    len: usize,
    is_command: bool,
}

/// The kernel side of one device.
#[derive(Debug)]
pub struct Kernel {
    pub mem: Heap,
    cmdr_size: usize,
    head: usize,
    /// Everything before it has been given back and looked at.
    cleaned: usize,
    slots: VecDeque<Slot>,
    /// Data blocks of each command on the ring, and its length in bytes.
    commands: BTreeMap<u16, (Vec<usize>, usize)>,
    free_blocks: BTreeSet<usize>,
}

impl Kernel {
    /// A device with a ring of `cmdr_size` bytes and `blocks` data blocks.
    pub fn new(cmdr_size: usize, blocks: usize) -> Self {
        let mem = Heap::new(uapi::MAILBOX_SIZE + cmdr_size + blocks * BLOCK);
        mem.put(uapi::MB_VERSION, 2u16.to_ne_bytes());
        mem.put(uapi::MB_FLAGS, 0xfu16.to_ne_bytes());
        mem.put(uapi::MB_CMDR_OFF, (uapi::MAILBOX_SIZE as u32).to_ne_bytes());
        mem.put(uapi::MB_CMDR_SIZE, (cmdr_size as u32).to_ne_bytes());
        Self {
            mem,
            cmdr_size,
            head: 0,
            cleaned: 0,
            slots: VecDeque::new(),
            commands: BTreeMap::new(),
            free_blocks: (0..blocks).collect(),
        }
    }

    /// Offset in the region of a position in the ring.
    pub fn at(&self, position: usize) -> usize {
        uapi::MAILBOX_SIZE + position
    }

    pub fn head(&self) -> usize {
        self.head
    }

    /// Ids on the ring.
    pub fn ids(&self) -> Vec<u16> {
        self.commands.keys().copied().collect()
    }

    /// Room for an entry of `len` bytes at a position, a PAD before it if need be. `None`: ring full.
    fn reserve(&mut self, len: usize) -> Option<usize> {
        let to_end = self.cmdr_size - self.head;
        let pad = if to_end < len { to_end } else { 0 };
        let used = (self.head + self.cmdr_size - self.cleaned) % self.cmdr_size;
        if pad + len > self.cmdr_size - used - 1 {
            return None;
        }
        if pad > 0 {
            self.publish(pad, uapi::Op::Pad, 0, &[]);
        }
        Some(self.head)
    }

    /// Writes an entry at the head: the header, and `body` behind it.
    fn publish(&mut self, len: usize, op: uapi::Op, id: u16, body: &[u8]) {
        let at = self.at(self.head);
        self.mem.put(at, (len as u32 | op as u32).to_ne_bytes());
        self.mem.put(at + uapi::HDR_CMD_ID, id.to_ne_bytes());
        self.mem.put(at + uapi::HDR_KFLAGS, [0, 0]);
        self.mem.write_bytes(at + 8, body).unwrap();
        self.slots.push_back(Slot {
            offset: self.head,
            len,
            is_command: op == uapi::Op::Cmd,
        });
        self.head = (self.head + len) % self.cmdr_size;
        self.store_head();
    }

    fn store_head(&self) {
        let head = self.head as u32;
        self.mem.store_release_u32(uapi::MB_CMD_HEAD, head).unwrap();
    }

    /// Puts a command on the ring whose buffer starts with `data` and has `len` bytes. `None` if the ring
    /// or the data area is full.
    pub fn submit(&mut self, cdb: &[u8], data: &[u8], len: usize) -> Option<u16> {
        let needed = len.div_ceil(BLOCK);
        // From both ends in turn, so that buffers are scattered.
        let mut blocks = Vec::new();
        while blocks.len() < needed && !self.free_blocks.is_empty() {
            let block = match blocks.len() % 3 {
                2 => self.free_blocks.pop_last(),
                _ => self.free_blocks.pop_first(),
            };
            blocks.extend(block);
        }
        let entry = self
            .layout(cdb, &blocks, len)
            .filter(|_| blocks.len() == needed);
        let Some((body, base_len, entry_len)) = entry else {
            self.free_blocks.extend(blocks);
            return None;
        };
        let Some(position) = self.reserve(entry_len) else {
            self.free_blocks.extend(blocks);
            return None;
        };
        let mut body = body;
        let cdb_off = self.at(position) + base_len;
        body[uapi::REQ_CDB_OFF - 8..uapi::REQ_CDB_OFF]
            .copy_from_slice(&(cdb_off as u64).to_ne_bytes());
        for (n, chunk) in data[..data.len().min(len)].chunks(BLOCK).enumerate() {
            self.mem.write_bytes(self.block(blocks[n]), chunk).unwrap();
        }
        let id = (1..).find(|id| !self.commands.contains_key(id)).unwrap();
        self.commands.insert(id, (blocks, len));
        self.publish(entry_len, uapi::Op::Cmd, id, &body);
        Some(id)
    }

    fn block(&self, number: usize) -> usize {
        self.at(self.cmdr_size) + number * BLOCK
    }

    /// Body of a command entry behind the header, its length without CDB and with it, header included.
    fn layout(&self, cdb: &[u8], blocks: &[usize], len: usize) -> Option<(Vec<u8>, usize, usize)> {
        let mut iovs: Vec<(usize, usize)> = Vec::new();
        let mut left = len;
        for block in blocks {
            let piece = left.min(BLOCK);
            match iovs.last_mut() {
                Some((base, piece_len)) if *base + *piece_len == self.block(*block) => {
                    *piece_len += piece
                }
                _ => iovs.push((self.block(*block), piece)),
            }
            left -= piece;
        }
        let base_len =
            (uapi::REQ_IOV + iovs.len() * uapi::IOV_SIZE).max(uapi::CMD_ENTRY_SIZE as usize);
        let entry_len = base_len + cdb.len().next_multiple_of(8);
        let mut body = vec![0; entry_len - 8];
        body[..4].copy_from_slice(&(iovs.len() as u32).to_ne_bytes());
        for (n, (base, piece)) in iovs.iter().enumerate() {
            let at = uapi::REQ_IOV - 8 + n * uapi::IOV_SIZE;
            body[at..at + 8].copy_from_slice(&(*base as u64).to_ne_bytes());
            body[at + 8..at + 16].copy_from_slice(&(*piece as u64).to_ne_bytes());
        }
        body[base_len - 8..base_len - 8 + cdb.len()].copy_from_slice(cdb);
        Some((body, base_len, entry_len)).filter(|_| entry_len < self.cmdr_size / 2)
    }

    /// Puts a task management notification on the ring. `false`: ring full.
    pub fn tmr(&mut self, tmr_type: u8, ids: &[u16]) -> bool {
        let len = (uapi::TMR_ENTRY_SIZE as usize + ids.len() * 2).next_multiple_of(8);
        if self.reserve(len).is_none() {
            return false;
        }
        let mut body = vec![0; len - 8];
        body[0] = tmr_type;
        body[4..8].copy_from_slice(&(ids.len() as u32).to_ne_bytes());
        for (n, id) in ids.iter().enumerate() {
            let at = uapi::TMR_CMD_IDS - 8 + n * 2;
            body[at..at + 2].copy_from_slice(&id.to_ne_bytes());
        }
        self.publish(len, uapi::Op::Tmr, 0, &body);
        true
    }

    /// What user space has given back since the last call.
    ///
    /// # Panics
    ///
    /// If the tail is not at the end of an entry, or an id is not on the ring.
    pub fn completions(&mut self) -> Vec<Completion> {
        let tail = self.mem.load_acquire_u32(uapi::MB_CMD_TAIL).unwrap() as usize;
        let mut completions = Vec::new();
        while self.cleaned != tail {
            let slot = self
                .slots
                .pop_front()
                .expect("tail is no boundary of an entry");
            assert_eq!(slot.offset, self.cleaned);
            self.cleaned = (slot.offset + slot.len) % self.cmdr_size;
            if slot.is_command {
                completions.push(self.complete(slot.offset));
            }
        }
        completions
    }

    fn complete(&mut self, position: usize) -> Completion {
        let at = self.at(position);
        let id = self.mem.read_u16(at + uapi::HDR_CMD_ID).unwrap();
        let (blocks, len) = self.commands.remove(&id).expect("id is not on the ring");
        let mut data = Vec::new();
        for block in &blocks {
            data.extend(self.mem.read_array::<BLOCK>(self.block(*block)).unwrap());
        }
        data.truncate(len);
        self.free_blocks.extend(blocks);
        let [uflags] = self.mem.read_array(at + uapi::HDR_UFLAGS).unwrap();
        let [status] = self.mem.read_array(at + uapi::RSP_STATUS).unwrap();
        let mut sense = vec![0; uapi::SENSE_BUFFER_SIZE];
        self.mem
            .read_bytes(at + uapi::RSP_SENSE, &mut sense)
            .unwrap();
        Completion {
            id,
            status,
            uflags,
            read_len: self.mem.read_u32(at + uapi::RSP_READ_LEN).unwrap(),
            sense,
            data,
        }
    }

    /// What writing to `reset_ring` does.
    pub fn reset(&mut self) {
        for (_, (blocks, _)) in std::mem::take(&mut self.commands) {
            self.free_blocks.extend(blocks);
        }
        self.slots.clear();
        self.head = 0;
        self.cleaned = 0;
        self.mem.store_release_u32(uapi::MB_CMD_TAIL, 0).unwrap();
        self.store_head();
    }
}
