// SPDX-License-Identifier: GPL-2.0

//! Command ids.

use super::logic::{
    ids::{
        IdError,
        IdList,
        IdTable, //
    },
    slots::SlotIndex, //
};
use super::suite::{
    check,
    check_eq,
    suite, //
};
use super::table::Kernel;

fn take(ids: &mut IdTable<Kernel>, slot: u32) -> u16 {
    check!(ids.reserve().is_ok());
    ids.take(SlotIndex::from_raw(slot))
}

fn gives_each_id_once_up_to_the_last() {
    let mut ids = IdTable::<Kernel>::new();
    for slot in 0..u32::from(u16::MAX) {
        let id = take(&mut ids, slot);
        check_eq!(u32::from(id), slot + 1);
    }
    check_eq!(ids.taken(), usize::from(u16::MAX));
    check_eq!(ids.reserve(), Err(IdError::Exhausted));
    for id in 1..=u16::MAX {
        check_eq!(ids.find(id), Some(SlotIndex::from_raw(u32::from(id) - 1)));
    }
    check_eq!(ids.find(0), None);
    for id in 1..=u16::MAX {
        ids.release(id);
        check_eq!(ids.find(id), None);
    }
    check_eq!(ids.taken(), 0);
}

fn uses_the_longest_free_id_first() {
    let mut ids = IdTable::<Kernel>::new();
    let first = take(&mut ids, 0);
    ids.release(first);
    // All others are taken before it comes again.
    let mut steps = 1;
    while take(&mut ids, steps) != first {
        steps += 1;
    }
    check!(steps > 32);
}

fn keeps_a_listed_id_until_its_list_is_done() {
    let mut ids = IdTable::<Kernel>::new();
    let (one, two) = (take(&mut ids, 1), take(&mut ids, 2));
    let mut list = IdList::default();
    ids.list(&mut list, two);
    ids.list(&mut list, one);
    // Listed already.
    ids.list(&mut list, two);
    check_eq!(list.len(), 2);
    ids.release(one);
    ids.release(two);
    // P4: nobody gets them.
    for slot in 0..1_000 {
        let id = take(&mut ids, slot);
        check!(id != one && id != two);
    }
    let mut visited = [0; 2];
    let mut count = 0;
    ids.unlist(list, |id| {
        visited[count] = id;
        count += 1;
    });
    check_eq!(visited, [two, one]);
    check_eq!(ids.taken(), 1_000);
}

suite!(tcmu_ids:
    gives_each_id_once_up_to_the_last,
    uses_the_longest_free_id_first,
    keeps_a_listed_id_until_its_list_is_done,
);
