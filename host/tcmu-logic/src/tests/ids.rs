// SPDX-License-Identifier: GPL-2.0

//! Command ids: reuse as late as possible, and never while a notification lists them.

use super::memory::{refuse, TestMemory};
use crate::logic::ids::{IdError, IdList, IdTable};
use crate::logic::slots::SlotIndex;
use proptest::prelude::*;
use std::collections::VecDeque;

fn table() -> IdTable<TestMemory> {
    refuse(0);
    IdTable::new()
}

fn slot(number: u32) -> SlotIndex {
    SlotIndex::from_raw(number)
}

fn take(ids: &mut IdTable<TestMemory>, number: u32) -> u16 {
    assert_eq!(ids.reserve(), Ok(()));
    ids.take(slot(number))
}

fn unlist(ids: &mut IdTable<TestMemory>, list: IdList) -> Vec<u16> {
    let mut visited = Vec::new();
    ids.unlist(list, |id| visited.push(id));
    visited
}

#[test]
fn empty_table_knows_nothing() {
    let ids = table();
    assert_eq!(ids.capacity(), 0);
    assert_eq!(ids.taken(), 0);
    assert_eq!(ids.find(0), None);
    assert_eq!(ids.find(1), None);
    assert_eq!(ids.find(u16::MAX), None);
    assert_eq!(ids.next_command(1), None);
}

#[test]
fn id_is_reused_last() {
    let mut ids = table();
    let first: Vec<u16> = (0..63).map(|number| take(&mut ids, number)).collect();
    assert_eq!(first, (1..64).collect::<Vec<_>>());
    for id in [7, 3, 60] {
        ids.release(id);
    }
    assert_eq!(ids.capacity(), 63, "nothing grows while an id is free");
    assert_eq!([take(&mut ids, 0), take(&mut ids, 0)], [7, 3]);
    ids.release(1);
    assert_eq!([take(&mut ids, 0), take(&mut ids, 0)], [60, 1]);
    assert_eq!(take(&mut ids, 0), 64, "the table grows");
}

#[test]
fn id_finds_its_slot() {
    let mut ids = table();
    let id = take(&mut ids, 77);
    assert_eq!(ids.find(id), Some(slot(77)));
    assert_eq!(ids.find(id + 1), None);
    assert_eq!(ids.find(0), None);
    assert_eq!(ids.next_command(0), Some((id, slot(77))));
    assert_eq!(ids.next_command(id), Some((id, slot(77))));
    assert_eq!(ids.next_command(id + 1), None);
    ids.release(id);
    assert_eq!(ids.find(id), None);
}

#[test]
fn listed_id_is_not_reused() {
    let mut ids = table();
    let (first, second) = (take(&mut ids, 1), take(&mut ids, 2));
    let mut list = IdList::default();
    ids.list(&mut list, second);
    ids.list(&mut list, first);
    ids.list(&mut list, second);
    assert_eq!(list.len(), 2, "an id is listed once");
    ids.release(first);
    assert_eq!(ids.find(first), None, "its command has ended");
    assert_eq!(ids.find(second), Some(slot(2)));
    for _ in 0..500 {
        assert!(![first, second].contains(&take(&mut ids, 9)));
    }
    assert_eq!(unlist(&mut ids, list), [second, first]);
    // The command of one has ended, so that id comes last of the free ones.
    let capacity = ids.capacity();
    let others: Vec<u16> = (502..capacity + 1).map(|_| take(&mut ids, 9)).collect();
    assert_eq!(others.last(), Some(&first));
    assert!(!others.contains(&second));
    assert_eq!(ids.capacity(), capacity);
}

#[test]
fn listed_again_after_its_notification() {
    let mut ids = table();
    let id = take(&mut ids, 1);
    let (mut first, mut second, mut third) = Default::default();
    ids.list(&mut first, id);
    ids.list(&mut second, id);
    assert!(second.is_empty() && !first.is_empty());
    assert_eq!(unlist(&mut ids, first), [id]);
    ids.list(&mut third, id);
    assert_eq!(unlist(&mut ids, third), [id]);
    assert_eq!(ids.find(id), Some(slot(1)));
}

#[test]
fn all_ids_can_be_taken() {
    let mut ids = table();
    let taken: Vec<u16> = (0..65535).map(|number| take(&mut ids, number)).collect();
    assert_eq!(taken, (1..=u16::MAX).collect::<Vec<_>>());
    assert_eq!(ids.capacity(), 65535);
    assert_eq!(ids.reserve(), Err(IdError::Exhausted));
    assert_eq!(ids.find(u16::MAX), Some(slot(65534)));
    assert_eq!(ids.next_command(u16::MAX), Some((u16::MAX, slot(65534))));

    // All of them in one list, which is also what a LUN reset can at most name.
    let mut list = IdList::default();
    for &id in &taken {
        ids.list(&mut list, id);
        ids.release(id);
    }
    assert_eq!(list.len(), 65535);
    assert_eq!(ids.reserve(), Err(IdError::Exhausted));
    assert_eq!(unlist(&mut ids, list), taken);
    assert_eq!(take(&mut ids, 0), 1);
}

#[test]
fn refused_growth_changes_nothing() {
    let mut ids = table();
    refuse(1);
    assert_eq!(ids.reserve(), Err(IdError::NoMemory));
    assert_eq!(ids.capacity(), 0);
    for number in 0..63 {
        take(&mut ids, number);
    }
    refuse(1);
    assert_eq!(ids.reserve(), Err(IdError::NoMemory));
    assert_eq!(ids.capacity(), 63);
    assert_eq!(ids.find(63), Some(slot(62)));
    assert_eq!(take(&mut ids, 63), 64);
}

proptest! {
    #[test]
    fn behaves_like_queue_of_free_ids(
        steps in prop::collection::vec((0..8u32, any::<usize>()), 1..400),
    ) {
        let mut ids = table();
        let mut free: VecDeque<u16> = VecDeque::new();
        let mut taken: Vec<u16> = Vec::new();
        let mut lists: VecDeque<(IdList, Vec<u16>)> = VecDeque::new();
        let mut capacity = 0;
        for (step, (choice, pick)) in steps.into_iter().enumerate() {
            match choice {
                0..=3 => {
                    let id = take(&mut ids, step as u32);
                    if free.is_empty() {
                        let grown = (2 * (capacity + 1)).max(64) - 1;
                        free.extend(capacity as u16 + 1..=grown as u16);
                        capacity = grown;
                    }
                    prop_assert_eq!(Some(id), free.pop_front());
                    prop_assert_eq!(ids.find(id), Some(slot(step as u32)));
                    taken.push(id);
                }
                4 | 5 if !taken.is_empty() => {
                    let id = taken.swap_remove(pick % taken.len());
                    ids.release(id);
                    if !lists.iter().any(|(_, listed)| listed.contains(&id)) {
                        free.push_back(id);
                    }
                }
                6 => {
                    let mut list = IdList::default();
                    let mut expected = Vec::new();
                    for &id in taken.iter().skip(pick % 5).step_by(pick % 3 + 1) {
                        ids.list(&mut list, id);
                        if !lists.iter().any(|(_, listed)| listed.contains(&id)) {
                            expected.push(id);
                        }
                    }
                    prop_assert_eq!(list.len() as usize, expected.len());
                    lists.push_back((list, expected));
                }
                7 => {
                    if let Some((list, expected)) = lists.pop_front() {
                        prop_assert_eq!(&unlist(&mut ids, list), &expected);
                        free.extend(expected.iter().filter(|&id| !taken.contains(id)));
                    }
                }
                _ => {}
            }
            prop_assert_eq!(ids.capacity(), capacity);
            prop_assert_eq!(ids.taken() + free.len(), capacity);
            let mut commands = Vec::new();
            let mut from = 0;
            while let Some((id, _)) = ids.next_command(from) {
                commands.push(id);
                from = id + 1;
            }
            let mut expected = taken.clone();
            expected.sort_unstable();
            prop_assert_eq!(commands, expected);
        }
    }
}
