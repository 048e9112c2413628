// SPDX-License-Identifier: GPL-2.0

//! The ring, in order.

use core::cell::{
    Cell,
    RefCell, //
};

use kernel::sync::Arc;

use super::{
    common::{
        check,
        check_eq,
        place,
        with_ring,
        Ends, //
    },
    ext::kunit::suite,
    logic::ring::{
        BufferSpace,
        Producer,
        Ring, //
    }, //
};

/// Contexts of a ring whose size is no power of two.
const CONTEXTS: usize = 5;

fn gives_contexts_in_turn_and_releases_them_in_order() {
    with_ring(CONTEXTS, |mut ends| {
        let mut next = 0;
        for round in 0..1_000 {
            // One to all of them, and one completion for all.
            let number = round % CONTEXTS + 1;
            let first = next;
            for _ in 0..number {
                check_eq!(ends.send(), Some(next % CONTEXTS));
                next += 1;
            }
            check_eq!(ends.counts(), (next, first));
            let released = ends.complete((next - 1) % CONTEXTS).unwrap_or_default();
            check!(released
                .iter()
                .copied()
                .eq((first..next).map(|send| send % CONTEXTS)));
            check_eq!(ends.counts(), (next, next));
            check_eq!(ends.told.wake.get() as usize, round + 1);
        }
        check_eq!(ends.told.wait.get(), 0);
    });
}

fn releases_no_more_than_has_ended() {
    with_ring(CONTEXTS, |mut ends| {
        for _ in 0..CONTEXTS {
            check!(ends.send().is_some());
        }
        check!(ends.complete(1).is_ok_and(|released| *released == [0, 1]));
        check!(ends.complete(2).is_ok_and(|released| *released == [2]));
        check!(ends.complete(4).is_ok_and(|released| *released == [3, 4]));
    });
}

fn takes_back_the_last_one_unless_it_was_posted() {
    with_ring(CONTEXTS, |mut ends| {
        let Ends { consumer, told, .. } = &mut ends;
        let (Some(first), Some(second)) = (consumer.get(told), consumer.get(told)) else {
            check!(false);
            return;
        };
        // Not the one that was taken last.
        check!(!consumer.unget(first, told));
        check!(consumer.unget(second, told));
        check_eq!(told.wake.get(), 1);
        check!(!consumer.unget(second, told));
        // The same again, and the one before it once that was given back as well.
        check_eq!(consumer.get(told), Some(second));
        check!(consumer.unget(second, told));
        check!(consumer.unget(first, told));
        check_eq!(consumer.get(told), Some(first));
        consumer.post();
        check!(!consumer.unget(first, told));
        check_eq!(told.wake.get(), 3);
        check_eq!(ends.counts(), (1, 0));
    });
}

fn a_full_ring_tells_the_sender_to_wait() {
    for contexts in 1..=CONTEXTS {
        with_ring(contexts, |mut ends| {
            for send in 0..contexts {
                check_eq!(ends.send(), Some(send));
            }
            check_eq!(ends.told.wait.get(), 0);
            for attempt in 1..=3 {
                check_eq!(ends.send(), None);
                check_eq!(ends.told.wait.get(), attempt);
            }
            // Nobody wakes it before there is room.
            check_eq!(ends.told.wake.get(), 0);
            check!(ends.complete(0).is_ok());
            check_eq!(ends.told.wake.get(), 1);
            check_eq!(ends.send(), Some(0));
            check_eq!(ends.send(), None);
        });
    }
}

fn a_context_that_is_given_back_makes_room() {
    with_ring(1, |mut ends| {
        let Ends { consumer, told, .. } = &mut ends;
        let slot = consumer.get(told);
        check_eq!(place(consumer.get(told)), None);
        check_eq!((told.wait.get(), told.wake.get()), (1, 0));
        check!(slot.is_some_and(|slot| consumer.unget(slot, told)));
        check_eq!(told.wake.get(), 1);
        check_eq!(place(consumer.get(told)), Some(0));
    });
}

/// A sender that waits just when a Send ends, whose completion does not see it wait yet.
struct JustNow {
    producer: RefCell<Producer<Arc<Ring<()>>>>,
    wakes: Cell<u32>,
}

impl BufferSpace for JustNow {
    fn wait(&self) {
        // The completion's own wake-up comes to nobody.
        struct Nobody;
        impl BufferSpace for Nobody {
            fn wait(&self) {}
            fn wake(&self) {}
        }
        let done = self
            .producer
            .borrow_mut()
            .put(|(), slot| slot.index() == 0, |_| {}, &Nobody);
        check!(done.is_ok());
    }

    fn wake(&self) {
        self.wakes.set(self.wakes.get() + 1);
    }
}

fn a_sender_that_has_just_missed_a_completion_is_woken() {
    with_ring(2, |mut ends| {
        check!(ends.send().is_some() && ends.send().is_some());
        let space = JustNow {
            producer: RefCell::new(ends.producer),
            wakes: Cell::new(0),
        };
        check_eq!(place(ends.consumer.get(&space)), None);
        check_eq!(space.wakes.get(), 1);
        check_eq!(place(ends.consumer.get(&space)), Some(0));
    });
}

suite!(sendctx_ring:
    gives_contexts_in_turn_and_releases_them_in_order,
    releases_no_more_than_has_ended,
    takes_back_the_last_one_unless_it_was_posted,
    a_full_ring_tells_the_sender_to_wait,
    a_context_that_is_given_back_makes_room,
    a_sender_that_has_just_missed_a_completion_is_woken,
);
