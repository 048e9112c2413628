// SPDX-License-Identifier: GPL-2.0

//! Slots and the queues through them.

use super::memory::{refuse, TestMemory};
use crate::logic::alloc::NoMemory;
use crate::logic::slots::{Queue, SlotIndex, Slots, State};
use crate::logic::timeouts::Deadline;
use proptest::prelude::*;

type TestSlots = Slots<u32, TestMemory>;

fn slots() -> TestSlots {
    refuse(0);
    Slots::new()
}

fn waiting(command: u32) -> State<u32> {
    State::Qfull {
        command,
        deadline: Deadline::NEVER,
    }
}

fn add(slots: &mut TestSlots, command: u32) -> SlotIndex {
    assert_eq!(slots.reserve(), Ok(()));
    let next = slots.vacant();
    let slot = slots.fill(waiting(command));
    assert_eq!(slot, next);
    slot
}

fn command(slots: &TestSlots, slot: SlotIndex) -> Option<u32> {
    match slots.get(slot) {
        State::Qfull { command, .. } => Some(*command),
        _ => None,
    }
}

fn members(slots: &TestSlots, queue: &Queue) -> Vec<SlotIndex> {
    let mut members = Vec::new();
    let mut next = queue.first();
    while let Some(slot) = next {
        members.push(slot);
        assert!(members.len() < 1000, "the list is a circle");
        next = slots.next(slot);
    }
    members
}

#[test]
fn numbers_come_back() {
    let mut slots = slots();
    let slot = add(&mut slots, 5);
    assert_eq!(SlotIndex::from_raw(slot.into_raw()), slot);
    assert_eq!(command(&slots, slot), Some(5));
    assert!(matches!(
        slots.get(SlotIndex::from_raw(12345)),
        State::Vacant
    ));
    let old = slots.replace(slot, waiting(6));
    assert!(matches!(old, State::Qfull { command: 5, .. }));
    assert!(matches!(slots.take(slot), State::Qfull { command: 6, .. }));
    assert!(matches!(slots.get(slot), State::Vacant));
}

#[test]
fn refused_growth_changes_nothing() {
    let mut slots = slots();
    refuse(1);
    assert_eq!(slots.reserve(), Err(NoMemory));
    refuse(0);
    let mut all: Vec<_> = (0..8).map(|nth| add(&mut slots, nth)).collect();
    refuse(1);
    while slots.reserve().is_ok() {
        all.push(slots.fill(waiting(all.len() as u32)));
    }
    for (nth, &slot) in (0..).zip(&all) {
        assert_eq!(command(&slots, slot), Some(nth));
    }
    slots.take(all[7]);
    refuse(1);
    assert_eq!(slots.reserve(), Ok(()), "a vacant slot needs no memory");
    assert_eq!(slots.fill(waiting(99)), all[7]);
}

proptest! {
    #[test]
    fn behaves_like_vectors(
        steps in prop::collection::vec((0..6u32, any::<usize>()), 1..300),
    ) {
        let mut slots = slots();
        let mut queues = [Queue::new(), Queue::new()];
        let mut expected: [Vec<(u32, SlotIndex)>; 2] = Default::default();
        for (step, (choice, pick)) in (0..).zip(steps) {
            let from = pick % 2;
            match choice {
                0..=2 => {
                    let slot = add(&mut slots, step);
                    slots.push_back(&mut queues[from], slot);
                    expected[from].push((step, slot));
                }
                _ if expected[from].is_empty() => {}
                3 => {
                    // From one queue to the other.
                    let nth = pick / 2 % expected[from].len();
                    let (name, slot) = expected[from].remove(nth);
                    slots.unlink(&mut queues[from], slot);
                    slots.push_back(&mut queues[1 - from], slot);
                    expected[1 - from].push((name, slot));
                }
                _ => {
                    let nth = pick / 2 % expected[from].len();
                    let (_, slot) = expected[from].remove(nth);
                    slots.unlink(&mut queues[from], slot);
                    slots.take(slot);
                }
            }
            for (queue, expected) in queues.iter().zip(&expected) {
                prop_assert_eq!(queue.is_empty(), expected.is_empty());
                let members = members(&slots, queue);
                prop_assert_eq!(members.len(), expected.len());
                for (slot, (name, own)) in members.into_iter().zip(expected) {
                    prop_assert_eq!(slot, *own);
                    prop_assert_eq!(command(&slots, slot), Some(*name));
                }
            }
        }
    }
}
