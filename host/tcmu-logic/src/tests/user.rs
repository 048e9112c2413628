// SPDX-License-Identifier: GPL-2.0

//! A user space that knows nothing but `include/uapi/linux/target_core_user.h`.
//!
//! All offsets are literal numbers: nothing is taken from the code under test.

use super::command::Token;
use super::host::TestHost;
use std::collections::VecDeque;

/// Size of `struct tcmu_mailbox`.
const MAILBOX: u64 = 128;

/// A part of the data area, as an iovec describes it: offset in the area and length in bytes.
pub(crate) type Run = (u64, u64);

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pad,
    Command(Held),
    Tmr { kind: u8, ids: Vec<u16> },
}

/// An entry of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) kind: Kind,
}

/// A command that user space has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) id: u16,
    pub(crate) token: Token,
    pub(crate) cdb: Vec<u8>,
    pub(crate) data: Vec<Run>,
    pub(crate) bidi: Vec<Run>,
}

/// How user space completes a command.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) status: u8,
    pub(crate) keep_buf: bool,
    pub(crate) read_len: Option<u32>,
    pub(crate) unknown_op: bool,
}

/// What the kernel finds in a command entry that was given back.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) id: u16,
    pub(crate) unknown_op: bool,
    pub(crate) has_read_len: bool,
    pub(crate) keep_buf: bool,
    pub(crate) status: u8,
    pub(crate) read_len: u32,
    pub(crate) sense: Vec<u8>,
}

impl Response {
    /// Reads the response in the entry at `offset`.
    pub(crate) fn read(host: &TestHost, offset: u32) -> Self {
        let uflags = host.bytes::<1>(offset + 7)[0];
        Self {
            id: u16::from_ne_bytes(host.bytes(offset + 4)),
            unknown_op: uflags & 1 != 0,
            has_read_len: uflags & 2 != 0,
            keep_buf: uflags & 4 != 0,
            status: host.bytes::<1>(offset + 8)[0],
            read_len: u32::from_ne_bytes(host.bytes(offset + 12)),
            sense: host.bytes::<96>(offset + 16).to_vec(),
        }
    }
}

/// The user space.
#[derive(Default)]
pub(crate) struct User {
    /// How far the ring has been read.
    at: u32,
    /// Number of entries that have been read since the last reset.
    read: u64,
    /// Entries that have been read but not given back.
    entries: VecDeque<Entry>,
    /// Commands that have been read but not completed.
    pub(crate) held: Vec<Held>,
}

impl User {
    /// Reads new entries up to the head.
    pub(crate) fn poll(&mut self, host: &TestHost) -> Vec<Entry> {
        let mut entries = Vec::new();
        while self.at != host.head() {
            let entry = read_entry(host, self.at);
            self.at = (self.at + entry.length) % host.size();
            if let Kind::Command(held) = &entry.kind {
                self.held.push(held.clone());
            }
            self.entries.push_back(entry.clone());
            self.read += 1;
            entries.push(entry);
        }
        entries
    }

    /// Gives entries back that are no commands, up to the next command.
    pub(crate) fn skip(&mut self, host: &mut TestHost) {
        while let Some(Entry {
            kind: Kind::Pad | Kind::Tmr { .. },
            ..
        }) = self.entries.front()
        {
            self.give_back(host);
        }
    }

    fn give_back(&mut self, host: &mut TestHost) {
        if let Some(entry) = self.entries.pop_front() {
            host.set_tail((entry.offset + entry.length) % host.size());
        }
    }

    /// Completes the `nth` command that is held.
    pub(crate) fn complete(&mut self, host: &mut TestHost, nth: usize, completion: &Completion) {
        let held = self.held.remove(nth);
        for (at, byte) in (0..).zip(held.data.iter().chain(&held.bidi).flat_map(bytes_of)) {
            host.set_data(byte, (held.token * 13 + at * 5 + 2) as u8);
        }
        self.respond(host, held.id, completion);
    }

    /// Gives the next command entry back, saying that it completes `id`.
    pub(crate) fn respond(&mut self, host: &mut TestHost, id: u16, completion: &Completion) {
        self.skip(host);
        let Some(offset) = self.entries.front().map(|entry| entry.offset) else {
            return;
        };
        let uflags = u8::from(completion.unknown_op)
            | u8::from(completion.read_len.is_some()) << 1
            | u8::from(completion.keep_buf) << 2;
        host.set_bytes(offset + 4, &id.to_ne_bytes());
        host.set_bytes(offset + 7, &[uflags]);
        host.set_bytes(offset + 8, &[completion.status]);
        let read_len = completion.read_len.unwrap_or(0);
        host.set_bytes(offset + 12, &read_len.to_ne_bytes());
        let sense: Vec<u8> = (0..96).map(|byte| byte ^ id as u8).collect();
        host.set_bytes(offset + 16, &sense);
        self.give_back(host);
    }

    /// Whether a command entry is left in which a completion can be written.
    pub(crate) fn has_command_entry(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry.kind, Kind::Command(_)))
    }

    /// Overwrites all entries that have not been given back.
    pub(crate) fn scribble(&mut self, host: &mut TestHost, mut seed: u64) {
        for entry in &self.entries {
            for word in (entry.offset..entry.offset + entry.length).step_by(8) {
                // The constants of Knuth's linear congruential generator MMIX.
                seed = seed
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                host.set_bytes(word, &seed.to_ne_bytes());
            }
        }
    }

    /// Writes any `cmd_tail`. If it is the start of an entry, what is before it counts as given back.
    pub(crate) fn jump(&mut self, host: &mut TestHost, tail: u32) {
        host.set_tail(tail);
        if tail == host.head() {
            self.entries.clear();
        } else if self.entries.iter().any(|entry| entry.offset == tail) {
            while self
                .entries
                .front()
                .is_some_and(|entry| entry.offset != tail)
            {
                self.entries.pop_front();
            }
        }
    }

    /// Start of one of the entries that have not been given back.
    pub(crate) fn entry(&self, nth: usize) -> Option<u32> {
        let nth = nth.checked_rem(self.entries.len())?;
        Some(self.entries[nth].offset)
    }

    /// The kernel has taken the first `released` entries since the last reset off the ring, maybe
    /// some that were not meant to be given back: a bad `cmd_tail` can become a good one.
    pub(crate) fn drop_released(&mut self, released: u64) {
        while self.read - (self.entries.len() as u64) < released {
            self.entries.pop_front();
        }
    }

    /// Writes the `cmd_tail` that says what has been given back.
    pub(crate) fn publish(&self, host: &mut TestHost) {
        host.set_tail(self.entry(0).unwrap_or(self.at));
    }

    /// How far the ring has been read, and the starts of the entries that have not been given back.
    pub(crate) fn positions(&self) -> (u32, Vec<u32>) {
        let starts = self.entries.iter().map(|entry| entry.offset);
        (self.at, starts.collect())
    }

    /// The kernel has reset the ring.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Offsets of all bytes of a run.
fn bytes_of(&(offset, length): &Run) -> impl Iterator<Item = u64> + use<> {
    offset..offset + length
}

fn read_entry(host: &TestHost, offset: u32) -> Entry {
    assert_eq!(offset % 8, 0);
    let len_op = u32::from_ne_bytes(host.bytes(offset));
    let (length, op) = (len_op & !7, len_op & 7);
    assert!(length >= 8 && offset + length <= host.size());
    let id = u16::from_ne_bytes(host.bytes(offset + 4));
    assert_eq!(host.bytes(offset + 6), [0, 0], "kflags and uflags");
    let kind = match op {
        0 => {
            assert_eq!(id, 0);
            assert_eq!(offset + length, host.size(), "padding ends the ring");
            Kind::Pad
        }
        1 => Kind::Command(read_command(host, offset, length, id)),
        2 => {
            assert_eq!(id, 0);
            Kind::Tmr {
                kind: host.bytes::<1>(offset + 8)[0],
                ids: read_ids(host, offset, length),
            }
        }
        _ => panic!("unknown operation {op} at {offset}"),
    };
    Entry {
        offset,
        length,
        kind,
    }
}

fn read_ids(host: &TestHost, offset: u32, length: u32) -> Vec<u16> {
    let count = u32::from_ne_bytes(host.bytes(offset + 12));
    assert_eq!(host.bytes(offset + 9), [0; 3]);
    assert_eq!(host.bytes(offset + 16), [0; 16]);
    assert_eq!(length, (32 + 2 * count).div_ceil(8) * 8);
    (0..count)
        .map(|nth| u16::from_ne_bytes(host.bytes(offset + 32 + 2 * nth)))
        .collect()
}

fn read_command(host: &TestHost, offset: u32, length: u32, id: u16) -> Held {
    assert_ne!(id, 0);
    let iovs = u32::from_ne_bytes(host.bytes(offset + 8));
    let bidi_iovs = u32::from_ne_bytes(host.bytes(offset + 12));
    assert_eq!(host.bytes(offset + 16), [0; 4], "iov_dif_cnt");
    let data_area = MAILBOX + u64::from(host.size());
    let runs = |from: u32, count: u32| -> Vec<Run> {
        (from..from + count)
            .map(|nth| {
                let base = u64::from_ne_bytes(host.bytes(offset + 48 + 16 * nth));
                let bytes = u64::from_ne_bytes(host.bytes(offset + 56 + 16 * nth));
                assert!(base >= data_area && bytes > 0);
                (base - data_area, bytes)
            })
            .collect()
    };
    let (data, bidi) = (runs(0, iovs), runs(iovs, bidi_iovs));

    // The response must not hit the CDB, nor anything the next entry.
    let cdb_off = u64::from_ne_bytes(host.bytes(offset + 24));
    let cdb_at = u32::try_from(cdb_off - MAILBOX).unwrap_or(u32::MAX);
    assert!(cdb_at >= offset + 112 && cdb_at >= offset + 48 + 16 * (iovs + bidi_iovs));
    let room = offset + length - cdb_at;
    let cdb: Vec<u8> = (cdb_at..cdb_at + room)
        .map(|at| host.bytes::<1>(at)[0])
        .collect();
    let token = u32::from_be_bytes([cdb[1], cdb[2], cdb[3], cdb[4]]) as Token;
    Held {
        id,
        token,
        cdb,
        data,
        bidi,
    }
}
