// SPDX-License-Identifier: GPL-2.0

//! Rings that are closed (S8).

use kernel::prelude::*;

use super::{
    common::{
        check,
        check_eq,
        note,
        with_ring, //
    },
    ext::kunit::suite, //
};

/// The largest ring whose states are all tried.
const MOST: usize = 6;

/// Closes a ring after so many Sends, of which so many have ended, with or without a context that
/// is only held: each context that was in use is released once, in order.
fn close(contexts: usize, posted: usize, ended: usize, held: bool) {
    with_ring(contexts, |mut ends| {
        for send in 0..posted {
            // The ring is never full, for it is closed with so many at most.
            let out = send - ends.counts().1;
            if out == contexts || (out > 0 && ends.counts().1 < ended) {
                let oldest = ends.counts().1 % contexts;
                check!(ends.complete(oldest).is_ok());
            }
            check_eq!(ends.send(), Some(send % contexts));
        }
        while ends.counts().1 < ended {
            let oldest = ends.counts().1 % contexts;
            check!(ends.complete(oldest).is_ok());
        }
        check_eq!(ends.counts(), (posted, ended));
        let mut taken = posted;
        if held {
            check!(ends.consumer.get(&ends.told).is_some());
            taken += 1;
        }
        let mut released = KVec::new();
        ends.consumer
            .close(ends.producer, |ended| note(&mut released, ended));
        check!(released
            .iter()
            .copied()
            .eq((ended..taken).map(|send| send % contexts)));
    });
}

fn releases_what_is_in_use_in_every_state() {
    let mut states = 0;
    for contexts in 1..=MOST {
        // Twice around, so that each state is at each place.
        for posted in 0..=2 * contexts {
            for out in 0..=posted.min(contexts) {
                close(contexts, posted, posted - out, false);
                states += 1;
                if out < contexts {
                    close(contexts, posted, posted - out, true);
                    states += 1;
                }
            }
        }
    }
    // None was left out.
    check_eq!(states, 363);
}

fn releases_nothing_of_a_new_ring() {
    for contexts in 0..=MOST {
        with_ring(contexts, |ends| {
            let mut released = 0;
            ends.consumer.close(ends.producer, |_| released += 1);
            check_eq!(released, 0);
        });
    }
}

fn a_context_that_was_given_back_is_not_in_use() {
    with_ring(MOST, |mut ends| {
        check!(ends.send().is_some());
        let slot = ends.consumer.get(&ends.told);
        check!(slot.is_some_and(|slot| ends.consumer.unget(slot, &ends.told)));
        let mut released = KVec::new();
        ends.consumer
            .close(ends.producer, |ended| note(&mut released, ended));
        check!(*released == [0]);
    });
}

suite!(sendctx_close:
    releases_what_is_in_use_in_every_state,
    releases_nothing_of_a_new_ring,
    a_context_that_was_given_back_is_not_in_use,
);
