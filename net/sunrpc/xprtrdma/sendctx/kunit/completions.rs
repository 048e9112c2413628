// SPDX-License-Identifier: GPL-2.0

//! Completions of Sends that are not with the device.

use super::{
    common::{
        check,
        check_eq,
        with_ring,
        Ends, //
    },
    ext::kunit::suite,
    logic::ring::NotPosted, //
};

const CONTEXTS: usize = 5;

/// A completion of what is at `place`, which must be refused: nothing is released, nobody is told,
/// and no more contexts are looked at than are with the device.
fn refuse(ends: &mut Ends, place: usize) {
    let before = ends.counts();
    let wakes = ends.told.wake.get();
    let (mut looked, mut released) = (0, 0);
    let done = ends.producer.put(
        |(), slot| {
            looked += 1;
            slot.index() == place
        },
        |_| released += 1,
        &ends.told,
    );
    check_eq!(done, Err(NotPosted));
    check_eq!(released, 0);
    check_eq!(looked, before.0 - before.1);
    check_eq!(ends.counts(), before);
    check_eq!(ends.told.wake.get(), wakes);
}

/// Runs `test` on rings whose first context is at each place.
fn anywhere(test: impl Fn(&mut Ends, usize)) {
    for first in 0..CONTEXTS {
        with_ring(CONTEXTS, |mut ends| {
            for send in 0..first {
                check_eq!(ends.send(), Some(send));
                check!(ends.complete(send).is_ok());
            }
            test(&mut ends, first);
        });
    }
}

/// The place of the context so many after the first.
fn at(first: usize, number: usize) -> usize {
    (first + number) % CONTEXTS
}

fn a_duplicate_releases_nothing() {
    anywhere(|ends, first| {
        for _ in 0..4 {
            check!(ends.send().is_some());
        }
        check!(ends.complete(at(first, 1)).is_ok());
        refuse(ends, at(first, 1));
        // What is still with the device ends as ever.
        check!(ends
            .complete(at(first, 3))
            .is_ok_and(|released| *released == [at(first, 2), at(first, 3)]));
        refuse(ends, at(first, 3));
    });
}

fn a_stale_one_releases_nothing() {
    anywhere(|ends, first| {
        for _ in 0..3 {
            check!(ends.send().is_some());
        }
        check!(ends.complete(at(first, 2)).is_ok());
        check!(ends.send().is_some());
        // Of Sends that have ended with the one after them, or before that.
        for number in 0..3 {
            refuse(ends, at(first, number));
        }
        check!(ends
            .complete(at(first, 3))
            .is_ok_and(|released| *released == [at(first, 3)]));
    });
}

fn one_of_a_context_that_was_never_posted_releases_nothing() {
    anywhere(|ends, first| {
        for number in 0..CONTEXTS {
            refuse(ends, number);
        }
        check!(ends.send().is_some());
        for number in 1..CONTEXTS {
            refuse(ends, at(first, number));
        }
        // None of this ring.
        refuse(ends, CONTEXTS);
        refuse(ends, usize::MAX);
        check!(ends.complete(first).is_ok());
    });
}

fn one_of_a_context_that_is_only_held_releases_nothing() {
    anywhere(|ends, first| {
        check!(ends.send().is_some());
        let held = ends.consumer.get(&ends.told);
        check_eq!(held.map(|slot| slot.index()), Some(at(first, 1)));
        refuse(ends, at(first, 1));
        // It is the sender's as before: given back, or posted.
        check!(held.is_some_and(|slot| ends.consumer.unget(slot, &ends.told)));
        check_eq!(ends.send(), Some(at(first, 1)));
        check!(ends
            .complete(at(first, 1))
            .is_ok_and(|released| *released == [first, at(first, 1)]));
    });
}

fn a_full_ring_stays_full() {
    with_ring(CONTEXTS, |mut ends| {
        for _ in 0..CONTEXTS {
            check!(ends.send().is_some());
        }
        check_eq!(ends.send(), None);
        for _ in 0..1_000 {
            refuse(&mut ends, CONTEXTS);
        }
        check_eq!(ends.send(), None);
        check!(ends.complete(CONTEXTS - 1).is_ok());
        check!(ends.send().is_some());
    });
}

suite!(sendctx_completions:
    a_duplicate_releases_nothing,
    a_stale_one_releases_nothing,
    one_of_a_context_that_was_never_posted_releases_nothing,
    one_of_a_context_that_is_only_held_releases_nothing,
    a_full_ring_stays_full,
);
