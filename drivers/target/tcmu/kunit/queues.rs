// SPDX-License-Identifier: GPL-2.0

//! Queues of commands and of notifications.

use super::logic::{
    ids::{
        IdList,
        IdTable, //
    },
    slots::{
        Queue,
        SlotIndex,
        Slots,
        State, //
    },
    timeouts::Deadline,
    tmr_queue::{
        TmrKind,
        TmrQueue, //
    },
};
use super::suite::{
    check,
    check_eq,
    suite, //
};
use super::table::Kernel;

/// Commands that a queue can hold.
const MANY: u32 = 20_000;

fn waiting(command: u32) -> State<u32> {
    State::Qfull {
        command,
        deadline: Deadline::NEVER,
    }
}

fn keeps_commands_in_order_whoever_leaves() {
    let mut slots = Slots::<u32, Kernel>::new();
    let mut queue = Queue::new();
    for command in 0..MANY {
        check!(slots.reserve().is_ok());
        let slot = slots.fill(waiting(command));
        slots.push_back(&mut queue, slot);
    }
    // Two of three leave from anywhere.
    for raw in (0..MANY).rev().filter(|raw| raw % 3 != 1) {
        let slot = SlotIndex::from_raw(raw);
        slots.unlink(&mut queue, slot);
        check!(matches!(slots.take(slot), State::Qfull { command, .. } if command == raw));
    }
    let mut expected = 1;
    let mut cursor = queue.first();
    while let Some(slot) = cursor {
        check!(matches!(slots.get(slot), State::Qfull { command, .. } if *command == expected));
        expected += 3;
        cursor = slots.next(slot);
    }
    check_eq!(
        expected,
        MANY.next_multiple_of(3) - 2 + 3 * u32::from(MANY % 3 == 2)
    );
}

fn uses_vacant_slots_again() {
    let mut slots = Slots::<u32, Kernel>::new();
    check!(slots.reserve().is_ok());
    let first = slots.fill(waiting(1));
    check!(matches!(slots.take(first), State::Qfull { command: 1, .. }));
    check!(matches!(slots.get(first), State::Vacant));
    check!(slots.reserve().is_ok());
    check_eq!(slots.fill(waiting(2)), first);
}

fn with_tmrs(test: impl FnOnce(TmrQueue<Kernel>)) {
    let tmrs = TmrQueue::new();
    check!(tmrs.is_ok());
    if let Ok(tmrs) = tmrs {
        test(tmrs);
    }
}

fn keeps_notifications_in_order() {
    with_tmrs(|mut tmrs| {
        let mut ids = IdTable::<Kernel>::new();
        for nth in 0..1_000 {
            check!(ids.reserve().is_ok());
            check!(tmrs.reserve(ids.taken() + 1).is_ok());
            let id = ids.take(SlotIndex::from_raw(nth));
            let mut list = IdList::default();
            ids.list(&mut list, id);
            tmrs.push(TmrKind::AbortTask, list);
        }
        check_eq!(tmrs.waiting(), 1_000);
        for nth in 0..1_000u16 {
            let tmr = tmrs.pop();
            check!(tmr.is_some_and(|tmr| tmr.ids.len() == 1));
            if let Some(tmr) = tmr {
                ids.unlist(tmr.ids, |id| check_eq!(id, nth + 1));
            }
        }
        check!(tmrs.is_empty());
    });
}

fn bounds_a_flood_and_loses_none() {
    with_tmrs(|mut tmrs| {
        // P8: no memory is asked for.
        for nth in 0..300_000 {
            let kind = if nth % 2 == 0 {
                TmrKind::AbortTask
            } else {
                TmrKind::LunReset
            };
            tmrs.push(kind, IdList::default());
        }
        check_eq!(tmrs.waiting(), 300_000);
        let mut aborts = 0;
        while let Some(tmr) = tmrs.pop() {
            aborts += u32::from(tmr.kind == TmrKind::AbortTask);
        }
        check_eq!(aborts, 150_000);
    });
}

suite!(tcmu_queues:
    keeps_commands_in_order_whoever_leaves,
    uses_vacant_slots_again,
    keeps_notifications_in_order,
    bounds_a_flood_and_loses_none,
);
