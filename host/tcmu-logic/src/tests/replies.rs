// SPDX-License-Identifier: GPL-2.0

//! Late replies of daemons are told from those that are waited for.

use crate::logic::replies::{EventId, Replies, MOST};

const ADDED: u8 = 1;
const RECONFIG: u8 = 3;

/// Sockets of two daemons.
const OLD: u32 = 700;
const NEW: u32 = 800;

/// A table and the newer of two events, the first of which nobody waits for any more.
fn two(command: u8) -> (Replies, EventId) {
    let mut replies = Replies::new();
    replies.sent(5, command, [OLD, 0]);
    let second = replies.sent(5, RECONFIG, [OLD, 0]);
    (replies, second)
}

#[test]
fn a_reply_in_time_is_not_late() {
    let mut replies = Replies::new();
    let event = replies.sent(5, RECONFIG, [OLD, 0]);
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(event)));
    // It is answered: nothing is owed.
    let event = replies.sent(5, RECONFIG, [OLD, 0]);
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(event)));
}

#[test]
fn the_first_of_two_replies_belongs_to_the_older_event() {
    let (mut replies, second) = two(RECONFIG);
    assert!(replies.is_late(5, RECONFIG, OLD, Some(second)));
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(second)));
}

#[test]
fn a_late_reply_that_nobody_waits_for_settles_the_debt() {
    let mut replies = Replies::new();
    replies.sent(5, RECONFIG, [OLD, 0]);
    assert!(replies.is_late(5, RECONFIG, OLD, None));
    let next = replies.sent(5, RECONFIG, [OLD, 0]);
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(next)));
}

#[test]
fn either_known_socket_may_owe_it() {
    for sender in [OLD, NEW] {
        let mut replies = Replies::new();
        replies.sent(5, RECONFIG, [OLD, NEW]);
        let second = replies.sent(5, RECONFIG, [OLD, NEW]);
        assert!(replies.is_late(5, RECONFIG, sender, Some(second)));
        assert!(!replies.is_late(5, RECONFIG, sender, Some(second)));
    }
}

#[test]
fn who_was_not_known_owes_nothing() {
    let (mut replies, second) = two(RECONFIG);
    assert!(!replies.is_late(5, RECONFIG, NEW, Some(second)));
    // No socket is nobody's.
    let mut replies = Replies::new();
    replies.sent(5, RECONFIG, [0, 0]);
    let second = replies.sent(5, RECONFIG, [0, 0]);
    assert!(!replies.is_late(5, RECONFIG, 0, Some(second)));
}

#[test]
fn who_announces_itself_owes_nothing() {
    let (mut replies, second) = two(RECONFIG);
    replies.announced(NEW);
    replies.announced(OLD);
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(second)));
}

#[test]
fn another_announcement_excuses_nobody() {
    let (mut replies, second) = two(RECONFIG);
    replies.announced(NEW);
    assert!(replies.is_late(5, RECONFIG, OLD, Some(second)));
}

#[test]
fn other_devices_and_commands_are_not_concerned() {
    let mut replies = Replies::new();
    replies.sent(5, RECONFIG, [OLD, 0]);
    let other = replies.sent(6, RECONFIG, [OLD, 0]);
    assert!(!replies.is_late(6, RECONFIG, OLD, Some(other)));
    assert!(!replies.is_late(5, ADDED, OLD, None));
    assert!(replies.is_late(5, RECONFIG, OLD, None));
}

#[test]
fn what_was_passed_over_is_not_owed() {
    // Of ADDED nothing was heard, but the newer event has been answered.
    let (mut replies, second) = two(ADDED);
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(second)));
    let third = replies.sent(5, ADDED, [OLD, 0]);
    assert!(!replies.is_late(5, ADDED, OLD, Some(third)));
}

#[test]
fn what_is_waited_for_stays_when_it_was_passed_over() {
    let mut replies = Replies::new();
    let first = replies.sent(5, ADDED, [OLD, 0]);
    replies.sent(5, RECONFIG, [OLD, 0]);
    assert!(replies.is_late(5, RECONFIG, OLD, Some(first)));
    assert!(!replies.is_late(5, ADDED, OLD, Some(first)));
}

#[test]
fn settled_and_forgotten_events_are_not_owed() {
    let mut replies = Replies::new();
    let first = replies.sent(5, RECONFIG, [OLD, 0]);
    replies.settle(first);
    let second = replies.sent(5, RECONFIG, [OLD, 0]);
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(second)));
    replies.sent(5, RECONFIG, [OLD, 0]);
    replies.forget(5);
    let third = replies.sent(5, RECONFIG, [OLD, 0]);
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(third)));
}

#[test]
fn the_table_is_bounded_and_forgets_the_oldest() {
    let mut replies = Replies::new();
    for device in 0..2 * MOST as u32 {
        replies.sent(device, RECONFIG, [OLD, 0]);
    }
    for device in 0..2 * MOST as u32 {
        let late = replies.is_late(device, RECONFIG, OLD, None);
        assert_eq!(late, device >= MOST as u32, "device {device}");
    }
}

#[test]
fn an_event_that_was_forgotten_takes_any_reply() {
    let mut replies = Replies::new();
    let first = replies.sent(5, RECONFIG, [OLD, 0]);
    for device in 10..10 + MOST as u32 {
        replies.sent(device, RECONFIG, [OLD, 0]);
    }
    assert!(!replies.is_late(5, RECONFIG, OLD, Some(first)));
}
