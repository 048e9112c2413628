// SPDX-License-Identifier: GPL-2.0

//! No command is stranded, executed after its abort was answered, released twice or never, and no
//! queue is used after its last reference, whatever threads do at the same time.
//!
//! How many interleavings that are is printed:
//!
//! ```text
//! cargo test -p nvmet-fc-logic interleavings -- --nocapture
//! ```

use crate::races::Actor::{Abort, Delete, Finish, Receive};
use crate::races::{Actor, Findings, Race};

fn race(jobs: usize, slots: usize, waiting: usize, actors: &'static [Actor]) -> Findings {
    let race = Race {
        jobs,
        slots,
        waiting,
        actors,
    };
    let findings = race.explore();
    println!("{race:?}: {findings:?}");
    assert!(findings.interleavings > 1);
    findings
}

#[test]
fn command_is_received_while_another_one_ends() {
    let findings = race(1, 1, 0, &[Receive(1), Finish(0)]);
    assert!(0 < findings.promoted && findings.promoted < findings.interleavings);
}

#[test]
fn commands_are_received_while_others_end() {
    let findings = race(1, 1, 0, &[Receive(1), Receive(2), Finish(0)]);
    assert!(findings.promoted > 0);
    let findings = race(2, 2, 0, &[Receive(2), Finish(0), Finish(1)]);
    assert!(findings.promoted > 0);
}

#[test]
fn deferred_command_is_aborted_while_it_is_promoted() {
    let findings = race(1, 1, 1, &[Abort(1), Finish(0)]);
    assert!(findings.promoted > 0 && findings.cancelled > 0);
    let findings = race(1, 1, 1, &[Abort(1), Finish(0), Abort(1)]);
    assert!(findings.promoted > 0 && findings.cancelled > 0);
}

#[test]
fn command_is_received_and_aborted_while_another_one_ends() {
    let findings = race(1, 1, 0, &[Receive(1), Abort(1), Finish(0)]);
    assert!(findings.promoted > 0 && findings.cancelled > 0);
}

#[test]
fn queue_is_deleted_while_a_command_is_received() {
    let findings = race(1, 1, 0, &[Receive(1), Delete]);
    assert!(findings.closed > 0 && findings.cancelled > 0);
}

#[test]
fn queue_is_deleted_while_a_deferred_command_is_promoted() {
    let findings = race(1, 1, 1, &[Finish(0), Delete]);
    assert!(findings.promoted > 0 && findings.cancelled > 0);
    let findings = race(1, 1, 0, &[Receive(1), Finish(0), Delete]);
    assert!(findings.promoted > 0 && findings.cancelled > 0 && findings.closed > 0);
}

#[test]
fn queue_is_deleted_while_a_deferred_command_is_aborted() {
    let findings = race(1, 1, 1, &[Abort(1), Delete]);
    assert!(findings.cancelled == findings.interleavings);
    let findings = race(1, 1, 1, &[Abort(1), Finish(0), Delete]);
    assert!(findings.promoted > 0 && findings.cancelled > 0);
}

#[test]
fn queue_is_deleted_twice() {
    let findings = race(1, 1, 1, &[Delete, Delete, Finish(0)]);
    assert!(findings.promoted > 0 && findings.cancelled > 0);
}
