// SPDX-License-Identifier: GPL-2.0

//! Which Sends are signalled, for all sequences of Sends of whatever length.
//!
//! All that [`SendSignaling`] keeps is how much of the batch is left. So each step from each such
//! state is compared with what it should be, and what holds for one step holds for all sequences.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use crate::plain::logic::signal::SendSignaling;

/// More contexts than any batch needs.
const CONTEXTS: usize = 1 << 20;

/// Most work requests of a batch, however many there are of everything.
pub(crate) const MOST: u32 = 16;

/// A policy with `left` of `batch` left, which is no more than it may be.
pub(crate) fn with_left(batch: u32, left: u32, contexts: usize) -> SendSignaling {
    let mut signaling = SendSignaling::new(batch, contexts);
    if left < batch {
        assert!(!signaling.post(batch - left, false), "it fits");
    }
    signaling
}

/// How much is left: how many Sends of one work request are not signalled.
pub(crate) fn left(mut signaling: SendSignaling) -> u32 {
    (0..).find(|_| signaling.post(1, false)).unwrap_or(u32::MAX)
}

/// What a Send of `wrs` work requests should make of `left`, and whether it should be signalled.
pub(crate) fn expected(batch: u32, left: u32, wrs: u32, must: bool) -> (u32, bool) {
    if must || wrs > left {
        (batch, true)
    } else {
        (left - wrs, false)
    }
}

/// All of them.
pub(crate) fn every_step() {
    for batch in 0..=MOST {
        for before in 0..=batch {
            for wrs in (1..=batch + 1).chain([u32::MAX - 1, u32::MAX]) {
                for must in [false, true] {
                    let mut signaling = with_left(batch, before, CONTEXTS);
                    let (after, signalled) = expected(batch, before, wrs, must);
                    let step = format!("{before} of {batch} left, {wrs} requests, must: {must}");
                    assert_eq!(signaling.post(wrs, must), signalled, "{step}");
                    assert_eq!(left(signaling), after, "{step}");
                }
            }
        }
    }
}

#[test]
fn every_step_from_every_state() {
    every_step();
}

/// S6: what is not signalled in between is counted apart, over all states that any sequence leads
/// to.
#[test]
fn at_most_a_batch_between_signalled_sends() {
    for batch in 0..=MOST {
        let mut seen = HashSet::from([(batch, 0)]);
        let mut queue = VecDeque::from([(batch, 0)]);
        while let Some((before, gap)) = queue.pop_front() {
            for wrs in 1..=5 {
                for must in [false, true] {
                    let mut signaling = with_left(batch, before, CONTEXTS);
                    let signalled = signaling.post(wrs, must);
                    let gap = if signalled { 0 } else { gap + wrs };
                    assert!(gap <= batch, "S6: {gap} work requests, a batch is {batch}");
                    assert!(signalled || !must, "it must be");
                    assert!(
                        !signalled || must || before < wrs,
                        "it fits into the batch, of which {before} are left"
                    );
                    let state = (left(signaling), gap);
                    if seen.insert(state) {
                        queue.push_back(state);
                    }
                }
            }
        }
        // The two say the same, so there are no others.
        assert!(seen.iter().all(|(left, gap)| left + gap == batch));
        assert_eq!(seen.len(), batch as usize + 1);
    }
}

/// The fewest Sends that any sequence has from one that is signalled to the next, which is counted,
/// if none must be and each has at most `wrs` work requests.
fn shortest_period(batch: u32, wrs: u32) -> usize {
    let mut seen = HashSet::from([batch]);
    let mut queue = VecDeque::from([(batch, 1)]);
    while let Some((before, sends)) = queue.pop_front() {
        for wrs in 1..=wrs {
            let mut signaling = with_left(batch, before, CONTEXTS);
            if signaling.post(wrs, false) {
                return sends;
            }
            let after = left(signaling);
            if seen.insert(after) {
                queue.push_back((after, sends + 1));
            }
        }
    }
    unreachable!("the batch is used up at some time");
}

/// What share of Sends of `wrs` work requests are signalled once the first batch is over.
fn share(mut post: impl FnMut(u32) -> bool, wrs: u32) -> f64 {
    const SENDS: usize = 16 * 17 * 9 * 6;
    for _ in 0..64 {
        post(wrs);
    }
    let signalled = (0..SENDS).filter(|_| post(wrs)).count();
    signalled as f64 / SENDS as f64
}

/// The policy of `frwr_send()`: what is loaded is the excess, and the difference is unsigned.
struct CSignaling {
    batch: u32,
    count: u32,
}

impl CSignaling {
    fn c_post(&mut self, wrs: u32, must: bool) -> bool {
        let signalled = must || wrs > self.count;
        if signalled {
            self.count = self.batch.min(wrs.wrapping_sub(self.count));
        } else {
            self.count -= wrs;
        }
        signalled
    }
}

#[test]
fn share_of_signalled_sends_beside_c() {
    for (wrs, most, of_c) in [(1, 0.0625, 0.5), (2, 0.125, 0.5), (3, 0.167, 1.0)] {
        let mut signaling = SendSignaling::new(16, 129);
        let here = share(|wrs| signaling.post(wrs, false), wrs);
        let mut c_signaling = CSignaling {
            batch: 16,
            count: 16,
        };
        let in_c = share(|wrs| c_signaling.c_post(wrs, false), wrs);
        println!("Sends of {wrs} work requests: {here:.4} are signalled, in C {in_c:.4}");
        assert!(here <= most, "{here}");
        assert!((in_c - of_c).abs() < 1e-9, "{in_c}");
        // However Sends of so many and fewer work requests are mixed.
        assert!(1.0 / shortest_period(16, wrs) as f64 <= most);
    }
}

/// A ring cannot be full of Sends none of which is signalled.
pub(crate) fn ring_limits_the_batch() {
    for batch in 0..=32 {
        for contexts in 1..=40 {
            let most = batch.min(contexts as u32 - 1).min(MOST);
            let batch = left(SendSignaling::new(batch, contexts));
            assert_eq!(batch, most, "a batch in a ring of {contexts}");
        }
    }
    assert_eq!(left(SendSignaling::new(16, 0)), 0);
}

#[test]
fn batch_is_smaller_than_the_ring() {
    ring_limits_the_batch();
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// With numbers of any size.
    #[test]
    fn any_batch_and_any_sends(
        batch in any::<u32>(),
        contexts in any::<usize>(),
        sends in proptest::collection::vec(
            (prop_oneof![1..9u32, any::<u32>()], any::<bool>()),
            0..99,
        ),
    ) {
        let mut signaling = SendSignaling::new(batch, contexts);
        let mut gap = 0u64;
        for (wrs, must) in sends {
            let signalled = signaling.post(wrs, must);
            prop_assert!(signalled || !must);
            gap = if signalled { 0 } else { gap + u64::from(wrs.max(1)) };
            prop_assert!(gap <= u64::from(batch.min(MOST)));
            prop_assert!(gap < contexts.max(1) as u64);
        }
    }
}
