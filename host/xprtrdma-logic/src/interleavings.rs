// SPDX-License-Identifier: GPL-2.0

//! The two ends of a ring at the same time: nothing is lost, handed out twice or released twice.
//!
//! How many interleavings that are is printed:
//!
//! ```text
//! cargo test -p xprtrdma-logic interleavings -- --nocapture
//! ```

use crate::races::{counts, made_up_completions, Findings, Traffic};

const ALL: &[bool] = &[true; 8];

fn traffic(name: &str, traffic: Traffic) -> Findings {
    let findings = traffic.explore();
    println!(
        "{name}: {} interleavings, {} of them with a sender that waits, {} with a lost wake-up",
        findings.interleavings, findings.waits, findings.lost
    );
    assert_eq!(findings.lost, 0, "S7");
    findings
}

/// The shortest way to a lost wake-up in C, see `c_order.rs`.
#[test]
fn sender_of_a_full_ring_is_woken() {
    let findings = traffic(
        "one context, taken",
        Traffic {
            contexts: 1,
            signalled: &ALL[..2],
            before: 1,
            looks: 1,
        },
    );
    assert!(findings.waits > 0 && findings.complete > 0, "{findings:?}");
}

#[test]
fn sender_of_a_ring_that_one_completion_empties_is_woken() {
    let findings = traffic(
        "three contexts, taken, of which the last is signalled",
        Traffic {
            contexts: 3,
            signalled: &[false, false, true, true],
            before: 3,
            looks: 1,
        },
    );
    assert!(findings.waits > 0 && findings.complete > 0, "{findings:?}");
}

#[test]
fn contexts_go_round() {
    let findings = traffic(
        "one context, used three times",
        Traffic {
            contexts: 1,
            signalled: &ALL[..3],
            before: 1,
            looks: 2,
        },
    );
    assert!(findings.waits > 0 && findings.complete > 0, "{findings:?}");
    let findings = traffic(
        "two contexts, three Sends",
        Traffic {
            contexts: 2,
            signalled: &[true, false, true],
            before: 1,
            looks: 2,
        },
    );
    assert!(findings.waits > 0 && findings.complete > 0, "{findings:?}");
}

#[test]
fn completion_speaks_for_those_before_it() {
    let findings = traffic(
        "three contexts, a batch of two",
        Traffic {
            contexts: 3,
            signalled: &[false, true, false, true],
            before: 1,
            looks: 2,
        },
    );
    assert!(findings.waits > 0 && findings.complete > 0, "{findings:?}");
}

#[test]
fn made_up_completions_release_what_was_posted_or_nothing() {
    for contexts in [1, 2] {
        let found = made_up_completions(contexts).interleavings;
        println!("made-up completions, {contexts} contexts: {found} interleavings");
        assert!(found > 1);
    }
}

#[test]
fn counts_are_of_one_time() {
    let found = counts().interleavings;
    println!("counts: {found} interleavings");
    assert!(found > 1);
}
