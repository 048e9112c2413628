// SPDX-License-Identifier: GPL-2.0

//! The queue of notifications: order, bounded memory, none lost.

use super::memory::{growths, refuse, TestMemory};
use super::rig::KINDS;
use crate::logic::alloc::NoMemory;
use crate::logic::ids::{IdList, IdTable};
use crate::logic::slots::SlotIndex;
use crate::logic::tmr_queue::{TmrKind, TmrQueue};
use proptest::prelude::*;
use std::collections::VecDeque;

/// Notifications with ids that a new queue has room for: its first page has 512 records of eight
/// bytes, half of them for others.
const AT_ONCE: usize = 256;

fn queue() -> TmrQueue<TestMemory> {
    refuse(0);
    TmrQueue::new().unwrap_or_else(|error| panic!("{error:?}"))
}

/// Lists of one id each, all different.
fn lists(count: u32) -> Vec<IdList> {
    let mut ids = IdTable::<TestMemory>::new();
    let mut lists = Vec::new();
    for number in 0..count {
        assert_eq!(ids.reserve(), Ok(()));
        let id = ids.take(SlotIndex::from_raw(number));
        let mut list = IdList::default();
        ids.list(&mut list, id);
        lists.push(list);
    }
    lists
}

fn pop(queue: &mut TmrQueue<TestMemory>) -> Option<(TmrKind, IdList)> {
    let front = queue.front();
    let popped = queue.pop();
    assert_eq!(front, popped);
    popped.map(|tmr| (tmr.kind, tmr.ids))
}

#[test]
fn order_is_kept() {
    let lists = lists(2);
    let mut queue = queue();
    assert_eq!(queue.reserve(2), Ok(()));
    assert!(queue.is_empty() && queue.pop().is_none() && queue.front().is_none());
    let none = IdList::default();
    let sent = [
        (TmrKind::AbortTask, none),
        (TmrKind::AbortTask, none),
        (TmrKind::AbortTask, lists[0]),
        (TmrKind::AbortTask, none),
        (TmrKind::LunReset, none),
        (TmrKind::LunReset, lists[1]),
        (TmrKind::AbortTask, none),
    ];
    for (kind, ids) in sent {
        queue.push(kind, ids);
    }
    assert_eq!(queue.waiting(), 7);
    for expected in sent {
        assert_eq!(pop(&mut queue), Some(expected));
    }
    assert!(queue.is_empty());
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn flood_takes_no_memory_and_loses_nothing() {
    let lists = lists(40);
    let mut queue = queue();
    assert_eq!(queue.reserve(40), Ok(()));
    let before = growths();
    let mut sent = [0u64; 9];
    for round in 0..200_000 {
        // No two in a row are equal, so runs are of no help.
        let nth = (round * 5 + round / 9) % 9;
        queue.push(KINDS[nth].0, IdList::default());
        sent[nth] += 1;
        if round % 5000 == 0 {
            queue.push(TmrKind::AbortTask, lists[round / 5000]);
        }
    }
    assert_eq!(growths(), before);
    assert_eq!(queue.waiting(), 200_040);

    let mut seen = [0u64; 9];
    let mut with_ids = Vec::new();
    while let Some((kind, ids)) = pop(&mut queue) {
        if ids.is_empty() {
            seen[KINDS
                .iter()
                .position(|&(other, _)| other == kind)
                .unwrap_or(9)] += 1;
        } else {
            with_ids.push(ids);
        }
    }
    assert_eq!(seen, sent);
    assert_eq!(with_ids, lists, "those with ids keep their order");
}

#[test]
fn queue_grows_while_it_wraps() {
    // The queue starts at every place of the array, and grows when it is about as full as it can be.
    let lists = lists(AT_ONCE as u32 + 53);
    for start in 0..520 {
        let mut queue = queue();
        let before = growths();
        assert_eq!(queue.reserve(AT_ONCE), Ok(()));
        assert_eq!(
            growths(),
            before,
            "there is room for so many in the beginning"
        );
        for _ in 0..start {
            queue.push(TmrKind::AbortTask, IdList::default());
            assert!(pop(&mut queue).is_some());
        }
        let mut expected = VecDeque::new();
        let push = |queue: &mut TmrQueue<_>, expected: &mut VecDeque<_>, tmr: (TmrKind, _)| {
            queue.push(tmr.0, tmr.1);
            expected.push_back(tmr);
        };
        for nth in 0..247 {
            push(
                &mut queue,
                &mut expected,
                (KINDS[nth % 2].0, IdList::default()),
            );
        }
        for &list in &lists[..AT_ONCE] {
            push(&mut queue, &mut expected, (TmrKind::LunReset, list));
        }
        assert_eq!(queue.reserve(lists.len()), Ok(()));
        assert_eq!(growths(), before + 1, "and not for more");
        for &list in &lists[AT_ONCE..] {
            push(&mut queue, &mut expected, (TmrKind::LunReset, list));
        }
        while let Some(tmr) = expected.pop_front() {
            assert_eq!(pop(&mut queue), Some(tmr), "start {start}");
        }
        assert!(queue.is_empty());
    }
}

#[test]
fn refused_growth_changes_nothing() {
    refuse(1);
    assert_eq!(TmrQueue::<TestMemory>::new().err(), Some(NoMemory));
    let lists = lists(3);
    let mut queue = queue();
    assert_eq!(queue.reserve(3), Ok(()));
    for &list in &lists {
        queue.push(TmrKind::AbortTask, list);
    }
    refuse(1);
    assert_eq!(queue.reserve(AT_ONCE + 1), Err(NoMemory));
    assert_eq!(
        queue.reserve(2),
        Ok(()),
        "there is room for so many already"
    );
    for list in lists {
        assert_eq!(pop(&mut queue), Some((TmrKind::AbortTask, list)));
    }
}

proptest! {
    #[test]
    fn behaves_like_queue_with_less_than_256_runs(
        start in 0..520usize,
        steps in prop::collection::vec((0..7u32, 0..9usize), 1..400),
    ) {
        let lists = lists(400);
        let mut queue = queue();
        for _ in 0..start {
            queue.push(TmrKind::AbortTask, IdList::default());
            queue.pop();
        }
        let mut expected = VecDeque::new();
        let mut reserved = AT_ONCE - 9;
        for (nth, (choice, kind)) in steps.into_iter().enumerate() {
            let kind = KINDS[kind].0;
            match choice {
                // As many without ids as with them at most: the number of runs stays low.
                0 | 1 if expected.len() < 250 => {
                    queue.push(kind, IdList::default());
                    expected.push_back((kind, IdList::default()));
                }
                2 | 3 => {
                    reserved += 1;
                    prop_assert_eq!(queue.reserve(reserved), Ok(()));
                    queue.push(kind, lists[nth]);
                    expected.push_back((kind, lists[nth]));
                }
                _ => prop_assert_eq!(pop(&mut queue), expected.pop_front()),
            }
            prop_assert_eq!(queue.waiting(), expected.len() as u64);
            prop_assert_eq!(queue.is_empty(), expected.is_empty());
        }
    }
}
