// SPDX-License-Identifier: GPL-2.0

//! One barrier, or the order of one access, is missing.

use crate::races::{counts, made_up_completions, Traffic};
use crate::rules::{set, Rule};

const ALL: &[bool] = &[true; 8];

fn full_ring() -> Traffic {
    Traffic {
        contexts: 1,
        signalled: &ALL[..2],
        before: 1,
        looks: 1,
    }
}

fn wrapping_ring() -> Traffic {
    Traffic {
        contexts: 1,
        signalled: &ALL[..3],
        before: 0,
        looks: 2,
    }
}

/// A sender sleeps for ever in some interleavings, and in others it does not.
fn loses_wake_ups(rule: Rule) {
    set(rule);
    let findings = full_ring().explore();
    println!(
        "{rule:?}: {} of {} interleavings lose the wake-up",
        findings.lost, findings.interleavings
    );
    assert!(0 < findings.lost && findings.lost < findings.interleavings);
}

#[test]
fn completion_needs_its_barrier() {
    loses_wake_ups(Rule::PutWithoutBarrier);
}

#[test]
fn sender_needs_its_barrier() {
    loses_wake_ups(Rule::WaitWithoutBarrier);
}

#[test]
fn sender_has_to_look_again() {
    loses_wake_ups(Rule::WaitWithoutLook);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn released_is_released() {
    set(Rule::ReleasedIsNotReleased);
    wrapping_ring().explore();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn released_is_acquired() {
    set(Rule::ReleasedIsNotAcquired);
    wrapping_ring().explore();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn posted_is_released() {
    set(Rule::PostedIsNotReleased);
    made_up_completions(2);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn posted_is_acquired() {
    set(Rule::PostedIsNotAcquired);
    made_up_completions(2);
}

#[test]
#[should_panic(expected = "Sends are outstanding")]
fn counts_are_acquired() {
    set(Rule::CountsAreNotAcquired);
    counts();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn contexts_are_released_before_they_are_counted() {
    set(Rule::PublishedTooEarly);
    wrapping_ring().explore();
}
