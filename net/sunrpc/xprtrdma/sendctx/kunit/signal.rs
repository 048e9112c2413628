// SPDX-License-Identifier: GPL-2.0

//! Which Sends are signalled.

use super::{
    common::{
        check,
        check_eq,
        with_ring, //
    },
    ext::kunit::suite,
    logic::signal::SendSignaling, //
};

/// Work requests of a batch, as with the usual number of slots, 128.
const BATCH: u32 = 16;

/// More contexts than matter.
const CONTEXTS: usize = 159;

const SENDS: u32 = 10_000;

/// How many of [`SENDS`] Sends with so many work requests each are signalled.
fn signaled(wrs: u32) -> u32 {
    let mut signaling = SendSignaling::new(BATCH, CONTEXTS);
    let mut signaled = 0;
    for _ in 0..SENDS {
        signaled += u32::from(signaling.post(wrs, false));
    }
    signaled
}

fn one_send_of_a_batch_is_signalled() {
    for wrs in 1..=BATCH + 2 {
        // It comes in place of the first Send that does not fit into the batch.
        check_eq!(signaled(wrs), SENDS / (BATCH / wrs + 1));
    }
    check!(signaled(1) * 16 <= SENDS);
    check!(signaled(3) * 6 <= SENDS);
}

fn no_batch_is_without_a_signalled_send() {
    // Numbers in no order, the same ones each time.
    let mut random: u32 = 1;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 16
    };
    for batch in [0, 1, 2, BATCH - 1, BATCH] {
        let mut signaling = SendSignaling::new(batch, usize::MAX);
        let mut gap = 0;
        for _ in 0..SENDS {
            let wrs = 1 + next() % 20;
            if signaling.post(wrs, next() % 50 == 0) {
                gap = 0;
            } else {
                gap += wrs;
            }
            check!(gap <= batch);
        }
    }
}

fn one_that_must_be_is_signalled_and_begins_a_batch() {
    let mut signaling = SendSignaling::new(BATCH, CONTEXTS);
    for before in 0..BATCH {
        for _ in 0..before {
            check!(!signaling.post(1, false));
        }
        check!(signaling.post(1, true));
    }
    for _ in 0..BATCH {
        check!(!signaling.post(1, false));
    }
    check!(signaling.post(1, false));
}

fn no_batch_is_larger_than_16() {
    for batch in [BATCH + 1, 1_000, u32::MAX] {
        let mut signaling = SendSignaling::new(batch, usize::MAX);
        for _ in 0..BATCH {
            check!(!signaling.post(1, false));
        }
        check!(signaling.post(1, false));
    }
}

fn any_number_of_work_requests_will_do() {
    let mut signaling = SendSignaling::new(BATCH, CONTEXTS);
    check!(signaling.post(u32::MAX, false));
    check!(signaling.post(u32::MAX, true));
    // A Send is a work request itself.
    let mut signaling = SendSignaling::new(1, CONTEXTS);
    check!(!signaling.post(0, false));
    check!(signaling.post(0, false));
}

fn a_full_ring_has_a_signalled_send() {
    for contexts in 1..=20 {
        with_ring(contexts, |mut ends| {
            let mut signaling = SendSignaling::new(BATCH, contexts);
            // The last signalled Send, which is all that the device reports.
            let mut last = None;
            let mut sends = 0;
            while sends < 1_000 {
                match ends.send() {
                    Some(place) => {
                        if signaling.post(1, false) {
                            last = Some(place);
                        }
                        sends += 1;
                    }
                    None => {
                        let done = last.take().map(|place| ends.complete(place).is_ok());
                        check_eq!(done, Some(true));
                        if done != Some(true) {
                            return;
                        }
                    }
                }
            }
        });
    }
}

suite!(sendctx_signal:
    one_send_of_a_batch_is_signalled,
    no_batch_is_without_a_signalled_send,
    one_that_must_be_is_signalled_and_begins_a_batch,
    no_batch_is_larger_than_16,
    any_number_of_work_requests_will_do,
    a_full_ring_has_a_signalled_send,
);
