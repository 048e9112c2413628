// SPDX-License-Identifier: GPL-2.0

//! The length of tables: what the allocator gives is used, and growth is not for nothing, whatever
//! the size of a page.

use super::memory::{refuse, TestMemory};
use crate::logic::data_area::DataArea;
use crate::logic::growth::grown;
use crate::logic::ids::{IdError, IdList, IdTable};
use crate::logic::slots::{SlotIndex, Slots, State};
use crate::logic::tmr_queue::{TmrKind, TmrQueue};

/// Lengths that a table of `T` goes through up to `end` elements.
fn lengths<T, const PAGE: usize>(end: usize) -> Vec<usize> {
    let grown = grown::<TestMemory<PAGE>, T>;
    let mut lengths = vec![grown(0, 1)];
    while let Some(&last) = lengths.last().filter(|&&last| last < end) {
        lengths.push(grown(last, last + 1));
    }
    lengths
}

fn check<T, const PAGE: usize>() {
    let size = size_of::<T>();
    for pair in lengths::<T, PAGE>(1 << 20).windows(2) {
        let (old, new) = (pair[0] * size, pair[1] * size);
        assert!(pair[1] > pair[0]);
        let given = if new <= PAGE {
            new.next_power_of_two()
        } else {
            new.next_multiple_of(PAGE)
        };
        assert!(given - new < size, "{new} bytes leave {given} unused");
        if old > PAGE {
            assert!(new <= old + old / 8 + 2 * PAGE, "from {old} to {new} bytes");
        }
    }
}

fn check_all<const PAGE: usize>() {
    check::<u32, PAGE>();
    check::<u64, PAGE>();
    check::<[u64; 3], PAGE>();
    check::<[u64; 6], PAGE>();
    check::<[u8; 300], PAGE>();
}

#[test]
fn tables_fill_what_they_are_given() {
    check_all::<4096>();
    check_all::<16384>();
    check_all::<65536>();
}

#[test]
fn growth_is_a_part_of_the_whole() {
    // A million elements are not copied more than nine times each.
    for lengths in [
        lengths::<u64, 4096>(1 << 20),
        lengths::<u64, 16384>(1 << 20),
        lengths::<u64, 65536>(1 << 20),
    ] {
        let copied: usize = lengths.iter().sum();
        assert!(copied < 10 << 20, "{copied}");
    }
}

#[test]
fn what_is_needed_at_once_is_there() {
    assert_eq!(grown::<TestMemory, u32>(0, 1), 64);
    assert_eq!(grown::<TestMemory, u64>(512, 5000), 5120);
    assert_eq!(grown::<TestMemory, [u8; 5000]>(0, 1), 1);
    assert!(grown::<TestMemory, u64>(1 << 20, (1 << 20) + 1) >= (1 << 20) + (1 << 17));
    assert_eq!(grown::<TestMemory<65536>, u64>(512, 5000), 8192);
    assert_eq!(grown::<TestMemory<65536>, u64>(8192, 8193), 16384);
}

/// Every table of a device, as far as it can grow.
fn fill<const PAGE: usize>() {
    refuse(0);
    let mut ids = IdTable::<TestMemory<PAGE>>::new();
    let mut slots = Slots::<u32, TestMemory<PAGE>>::new();
    let mut tmrs = TmrQueue::<TestMemory<PAGE>>::new().expect("there is memory");
    for nth in 0..u32::from(u16::MAX) {
        assert_eq!(slots.reserve(), Ok(()));
        assert_eq!(ids.reserve(), Ok(()));
        assert_eq!(tmrs.reserve(ids.taken() + 1), Ok(()));
        let slot = slots.fill(State::Vacant);
        assert_eq!(slot, SlotIndex::from_raw(nth));
        let id = ids.take(slot);
        assert_eq!(u32::from(id), nth + 1);
        let mut list = IdList::default();
        ids.list(&mut list, id);
        tmrs.push(TmrKind::AbortTask, list);
    }
    assert_eq!(ids.reserve(), Err(IdError::Exhausted));
    assert_eq!(tmrs.waiting(), u16::MAX.into());
    for id in 1..=u16::MAX {
        let tmr = tmrs.pop().expect("one waits");
        ids.unlist(tmr.ids, |listed| assert_eq!(listed, id));
    }

    let mut area = DataArea::<TestMemory<PAGE>>::new(1 << 18, PAGE as u32).expect("memory");
    let most = u32::MAX / PAGE as u32;
    let list = area.allocate(most.min(1 << 18) * PAGE as u32, |_, _| Ok(()));
    let list = list.expect("there is memory");
    assert!(area.iter(list.blocks).eq(0..most.min(1 << 18)));
    assert_eq!(list.runs, 1);
}

#[test]
fn tables_grow_to_their_end() {
    fill::<4096>();
    fill::<16384>();
    fill::<65536>();
}
