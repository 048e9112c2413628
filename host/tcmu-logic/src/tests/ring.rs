// SPDX-License-Identifier: GPL-2.0

//! The ring's book-keeping against one that marks every byte.

use super::memory::{refuse, TestMemory};
use crate::logic::alloc::NoMemory;
use crate::logic::ring::{Broken, Place, Ring};
use crate::logic::uapi::EntryKind;
use proptest::prelude::*;
use std::collections::VecDeque;

fn ring(size: u32) -> Ring<TestMemory> {
    refuse(0);
    Ring::new(size).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Adds an entry, which must fit, and returns where it is.
fn add(ring: &mut Ring<TestMemory>, len: u32, kind: EntryKind) -> Place {
    let Some(place) = ring.place(len) else {
        panic!("{len} bytes do not fit");
    };
    ring.commit(place, len, kind);
    place
}

/// Entries as they would be marked in memory.
struct Bytes {
    used: Vec<bool>,
    head: u32,
    entries: VecDeque<(u32, u32, bool)>,
}

impl Bytes {
    fn new(size: u32) -> Self {
        Self {
            used: vec![false; size as usize],
            head: 0,
            entries: VecDeque::new(),
        }
    }

    fn size(&self) -> u32 {
        self.used.len() as u32
    }

    fn is_free(&self, from: u32, len: u32) -> bool {
        self.used[from as usize..(from + len) as usize]
            .iter()
            .all(|&used| !used)
    }

    fn mark(&mut self, from: u32, len: u32, used: bool) {
        self.used[from as usize..(from + len) as usize].fill(used);
    }

    /// At least one byte stays free, else a full ring would look like an empty one.
    fn place(&self, len: u32) -> Option<Place> {
        let to_end = self.size() - self.head;
        let free = self.used.iter().filter(|&&used| !used).count() as u32;
        let (pad, offset, all) = if len <= to_end {
            (None, self.head, len)
        } else {
            (Some(self.head), 0, to_end + len)
        };
        let is_free = len <= self.size()
            && self.is_free(offset, len)
            && pad.is_none_or(|pad| self.is_free(pad, to_end));
        (is_free && free > all).then_some(Place { pad, offset })
    }

    fn commit(&mut self, place: Place, len: u32, is_command: bool) {
        if let Some(pad) = place.pad {
            let to_end = self.size() - pad;
            self.mark(pad, to_end, true);
            self.entries.push_back((pad, to_end, false));
        }
        self.mark(place.offset, len, true);
        self.entries.push_back((place.offset, len, is_command));
        self.head = (place.offset + len) % self.size();
    }

    fn release(&mut self) {
        if let Some((offset, len, _)) = self.entries.pop_front() {
            self.mark(offset, len, false);
        }
    }

    fn is_tail(&self, tail: u32) -> bool {
        tail == self.head || self.entries.iter().any(|&(offset, _, _)| offset == tail)
    }
}

fn compare(ring: &Ring<TestMemory>, bytes: &Bytes) {
    assert_eq!(ring.head(), bytes.head);
    let used = bytes.used.iter().filter(|&&used| used).count();
    assert_eq!(ring.used(), used as u32);
    for tail in (0..bytes.size() + 24).chain([u32::MAX, u32::MAX - 7, 1 << 31]) {
        let expected = if bytes.is_tail(tail) {
            Ok(())
        } else {
            Err(Broken::Tail(tail))
        };
        assert_eq!(ring.check_tail(tail), expected, "tail {tail}");
    }
    let oldest = ring.oldest(ring.head());
    assert_eq!(
        oldest.map(|entry| (entry.offset, entry.is_command)),
        bytes.entries.front().map(|entry| (entry.0, entry.2))
    );
    if let Some(entry) = oldest {
        assert_eq!(ring.oldest(entry.offset), None);
    }
}

proptest! {
    #[test]
    fn behaves_like_marked_bytes(
        words in 4..150u32,
        steps in prop::collection::vec((0..4u32, 1..40u32), 1..100),
    ) {
        let size = words * 8;
        let mut ring = ring(size);
        let mut bytes = Bytes::new(size);
        for (choice, words) in steps {
            if choice < 3 {
                let len = words * 8;
                let place = ring.place(len);
                prop_assert_eq!(place, bytes.place(len));
                if let Some(place) = place {
                    let kind = [EntryKind::Command, EntryKind::Tmr][choice as usize % 2];
                    ring.commit(place, len, kind);
                    bytes.commit(place, len, kind == EntryKind::Command);
                }
            } else {
                for _ in 0..words % 4 {
                    if ring.oldest(ring.head()).is_some() {
                        ring.release_oldest();
                        bytes.release();
                    }
                }
            }
            compare(&ring, &bytes);
        }
        ring.reset();
        compare(&ring, &Bytes::new(size));
    }
}

#[test]
fn entry_may_end_with_the_ring() {
    let mut ring = ring(256);
    add(&mut ring, 128, EntryKind::Command);
    // Head and consumer position would be equal: a full ring must not look empty.
    assert_eq!(ring.place(128), None);
    ring.release_oldest();
    let place = add(&mut ring, 128, EntryKind::Command);
    assert_eq!((place.pad, place.offset), (None, 128));
    assert_eq!((ring.head(), ring.used()), (0, 128));
}

#[test]
fn padding_fills_the_end() {
    let mut ring = ring(256);
    add(&mut ring, 120, EntryKind::Command);
    add(&mut ring, 80, EntryKind::Tmr);
    assert_eq!(ring.place(112), None, "the first entry is in the way");
    ring.release_oldest();
    assert_eq!(ring.place(120), None, "one byte must stay unused");
    let place = add(&mut ring, 112, EntryKind::Command);
    assert_eq!((place.pad, place.offset), (Some(200), 0));
    assert_eq!(ring.pad_length(200), 56);
    assert_eq!(ring.used(), 80 + 56 + 112);

    let mut kinds = Vec::new();
    while let Some(entry) = ring.oldest(ring.head()) {
        kinds.push((entry.offset, entry.is_command));
        ring.release_oldest();
    }
    assert_eq!(kinds, [(120, false), (200, false), (0, true)]);
    assert_eq!(ring.used(), 0);
}

#[test]
fn one_word_stays_unused() {
    let mut ring = ring(64);
    assert_eq!(ring.place(64), None);
    add(&mut ring, 56, EntryKind::Tmr);
    assert_eq!(ring.place(8), None);
    ring.release_oldest();
    // The ring is empty, but the largest entry fits only once the head is back at 0.
    assert_eq!(ring.place(56), None);
    add(&mut ring, 8, EntryKind::Tmr);
    ring.release_oldest();
    assert!(ring.place(56).is_some());
}

#[test]
fn size_is_rounded_down() {
    let ring = ring(8 * 1024 * 1024 - 128);
    assert_eq!(ring.size(), 8 * 1024 * 1024 - 128);
    assert_eq!(super::ring::ring(71).size(), 64);
}

#[test]
fn refused_memory_is_an_error() {
    for nth in 1..=2 {
        refuse(nth);
        assert_eq!(Ring::<TestMemory>::new(64).err(), Some(NoMemory));
    }
    refuse(3);
    assert!(Ring::<TestMemory>::new(64).is_ok());
    refuse(0);
}
