// SPDX-License-Identifier: GPL-2.0

//! The engine in situations that matter; the rig checks the properties in each step.

use super::command::Reply;
use super::memory::growths;
use super::model::Place;
use super::rig::{Action, Rig, GOOD, KINDS};
use super::user::{Completion, Kind};
use crate::logic::engine::{Config, ResetStatus};
use crate::logic::ops::Direction;
use crate::logic::ring::Broken;

const BLOCK: u32 = 64;

/// A device with room for `entries` commands of 120 bytes, which are the smallest.
fn rig(entries: u32, blocks: u32) -> Rig {
    let config = Config {
        ring_size: 120 * entries + 8,
        blocks,
        block_size: BLOCK,
    };
    Rig::new(&config, Some(30))
}

fn submit(rig: &mut Rig, data_length: u32) -> usize {
    let token = rig.model.commands.len();
    rig.step(&Action::Submit {
        direction: if data_length == 0 {
            Direction::None
        } else {
            Direction::FromDevice
        },
        data_length,
        bidi_length: None,
        cdb_length: 6,
        aborted: false,
        may_wait: true,
    });
    token
}

/// Aborts the commands of `mask` among those unanswered, as ABORT TASK does.
fn abort(rig: &mut Rig, mask: u64, notify: bool) {
    rig.step(&Action::Abort(mask));
    rig.step(&Action::TaskManagement {
        kind: 1,
        notify,
        repeat: false,
    });
}

fn keep() -> Completion {
    Completion {
        keep_buf: true,
        ..GOOD
    }
}

fn good() -> Reply {
    Reply::Response {
        status: 0,
        sense: None,
        read_length: None,
        data_in: None,
    }
}

fn place(rig: &Rig, token: usize) -> &Place {
    &rig.model.commands[token].place
}

fn is_on_ring(rig: &Rig, token: usize) -> bool {
    matches!(place(rig, token), Place::InFlight(_))
}

/// The overtaking of the C module: a command that fits where the waiting notification does not,
/// and gets an id that the notification lists.
#[test]
fn command_does_not_overtake_notification() {
    let mut rig = rig(60, 8);
    for _ in 0..59 {
        submit(&mut rig, 0);
    }
    // 128 bytes are left: enough for a command, not for a notification with 59 ids (152 bytes).
    abort(&mut rig, u64::MAX, true);
    assert_eq!(rig.model.pending.len(), 1);
    assert_eq!(rig.model.pending[0].ids.len(), 59);
    assert!(rig.model.space.place(120).is_some());
    let late = submit(&mut rig, 0);
    assert_eq!(place(&rig, late), &Place::Qfull);
    // A command ends, whose id is listed; at the start of the ring there is still too little space.
    rig.step(&Action::Complete(3, GOOD));
    rig.step(&Action::Kick);
    submit(&mut rig, 0);
    assert_eq!(rig.model.pending.len(), 1);
    assert_eq!(place(&rig, late), &Place::Qfull);
    rig.step(&Action::Complete(7, GOOD));
    rig.step(&Action::Kick);
    assert_eq!(rig.model.pending.len(), 0);
    assert_eq!(place(&rig, late), &Place::Qfull, "no space is left for it");
    rig.drain();
    assert_eq!(rig.answers.len(), 61);
    assert_eq!(rig.answers.last(), Some(&(late + 1, good())));
}

#[test]
fn listed_id_stays_taken_after_its_command() {
    let mut rig = rig(3, 8);
    for _ in 0..3 {
        submit(&mut rig, 0);
    }
    abort(&mut rig, 0b010, true);
    let Place::InFlight(id) = *place(&rig, 1) else {
        panic!("command 1 is not on the ring");
    };
    assert_eq!(rig.model.pending[0].ids, [id]);
    // The aborted command times out and its notification still waits: the id list stays.
    rig.step(&Action::Elapse(100));
    assert_eq!(rig.answers.len(), 3);
    assert_eq!(rig.model.pending[0].ids, [id]);
    rig.drain();
    assert_eq!(rig.engine.counters().delivered, 1);
}

#[test]
fn attribute_off_tells_user_space_nothing() {
    let mut rig = rig(3, 8);
    for _ in 0..5 {
        submit(&mut rig, 0);
    }
    abort(&mut rig, u64::MAX, false);
    assert_eq!(
        rig.answers,
        [(3, Reply::TaskAborted), (4, Reply::TaskAborted)],
        "what user space has not seen is answered at once"
    );
    assert_eq!(rig.engine.counters().announced, 0);
    rig.drain();
    assert_eq!(rig.answers.len(), 5);
}

#[test]
fn unknown_tag_is_announced() {
    let mut rig = rig(3, 8);
    rig.step(&Action::TaskManagement {
        kind: 1,
        notify: true,
        repeat: false,
    });
    assert_eq!(rig.engine.counters().delivered, 1);
}

#[test]
fn aborted_command_is_refused() {
    let mut rig = rig(3, 8);
    let request = Action::Submit {
        direction: Direction::None,
        data_length: 0,
        bidi_length: None,
        cdb_length: 6,
        aborted: true,
        may_wait: true,
    };
    rig.step(&request);
    rig.step(&Action::Block);
    rig.step(&request);
    assert_eq!(rig.model.commands.len(), 2);
    assert!(!rig.engine.has_outstanding());
}

/// The first of the queue holds up the others. When it goes, and user space has nothing to complete
/// that would start them, they must start all the same.
#[test]
fn queue_moves_when_its_first_is_aborted() {
    let mut rig = rig(8, 4);
    submit(&mut rig, 3 * BLOCK);
    rig.step(&Action::Complete(0, keep()));
    rig.step(&Action::Kick);
    let big = submit(&mut rig, 2 * BLOCK);
    let small = submit(&mut rig, BLOCK);
    assert_eq!(place(&rig, small), &Place::Qfull);
    abort(&mut rig, 0b01, false);
    assert_eq!(rig.answers.last(), Some(&(big, Reply::TaskAborted)));
    assert!(is_on_ring(&rig, small));
    rig.drain();
}

#[test]
fn queue_moves_when_its_first_times_out() {
    let mut rig = rig(8, 4);
    submit(&mut rig, 3 * BLOCK);
    rig.step(&Action::Complete(0, keep()));
    rig.step(&Action::Kick);
    let big = submit(&mut rig, 2 * BLOCK);
    rig.now += 10;
    let small = submit(&mut rig, BLOCK);
    rig.step(&Action::Elapse(40));
    assert_eq!(rig.answers.last(), Some(&(big, Reply::TaskSetFull)));
    assert!(is_on_ring(&rig, small));
    // Its own time counts from the ring now.
    rig.step(&Action::Elapse(29));
    assert!(is_on_ring(&rig, small));
    rig.step(&Action::Elapse(1));
    assert_eq!(rig.answers.last(), Some(&(small, Reply::CheckCondition)));
    rig.drain();
}

#[test]
fn queue_moves_when_memory_is_back() {
    let mut rig = rig(8, 4);
    rig.step(&Action::RefusePopulate(1));
    let first = submit(&mut rig, BLOCK);
    assert_eq!(place(&rig, first), &Place::Qfull);
    let second = submit(&mut rig, BLOCK);
    assert!(is_on_ring(&rig, first) && is_on_ring(&rig, second));
    rig.drain();
}

#[test]
fn waiting_command_goes_on_waiting_for_an_id() {
    // The first table has 63 ids: 61 are kept, two are on the ring, which is full.
    let mut rig = rig(3, 64);
    for _ in 0..61 {
        submit(&mut rig, BLOCK);
        rig.step(&Action::Complete(0, keep()));
        rig.step(&Action::Kick);
    }
    let on_ring = [0; 2].map(|_| submit(&mut rig, BLOCK));
    assert!(on_ring.iter().all(|&token| is_on_ring(&rig, token)));
    let waiting = submit(&mut rig, 0);
    for _ in on_ring {
        rig.step(&Action::Complete(0, keep()));
    }
    let before = rig.answers.len();
    rig.step(&Action::RefuseGrowth(1));
    rig.step(&Action::Kick);
    assert_eq!(rig.answers.len(), before + 2);
    assert_eq!(place(&rig, waiting), &Place::Qfull);
    rig.step(&Action::Kick);
    assert!(is_on_ring(&rig, waiting));
    rig.drain();
}

#[test]
fn command_is_refused_for_lack_of_an_id() {
    let mut rig = rig(300, 4);
    // As many as there are ids.
    for _ in 0..127 {
        submit(&mut rig, 0);
    }
    rig.step(&Action::RefuseGrowth(1));
    let refused = submit(&mut rig, 0);
    assert_eq!(place(&rig, refused), &Place::Gone);
    // As many as a new queue has room for their notifications; there are ids for more.
    for _ in 127..256 {
        submit(&mut rig, 0);
    }
    rig.step(&Action::RefuseGrowth(1));
    let refused = submit(&mut rig, 0);
    assert_eq!(place(&rig, refused), &Place::Gone);
    let taken = submit(&mut rig, 0);
    assert!(is_on_ring(&rig, taken));
    rig.drain();
}

/// P8: there is room for a notification for each command, although no memory is to be had.
#[test]
fn each_command_may_have_its_own_notification() {
    let mut rig = rig(300, 8);
    rig.step(&Action::Fill(300));
    for token in 0..300 {
        rig.host.ledger().borrow_mut().abort(token);
        rig.step(&Action::RefuseGrowth(1));
        rig.step(&Action::TaskManagement {
            kind: 1,
            notify: true,
            repeat: false,
        });
        rig.step(&Action::RefuseGrowth(0));
    }
    assert_eq!(rig.model.pending.len(), 300);
    assert!(rig.model.pending.iter().all(|tmr| tmr.ids.len() == 1));
    rig.drain();
    assert_eq!(rig.engine.counters().delivered, 300);
}

#[test]
fn blocking_leaves_broken_ring_alone() {
    let mut rig = rig(3, 8);
    for _ in 0..3 {
        submit(&mut rig, 0);
    }
    abort(&mut rig, 0b001, true);
    rig.step(&Action::CompleteId(3));
    rig.step(&Action::CompleteId(3));
    rig.step(&Action::Kick);
    assert_eq!(rig.model.broken, Some(Broken::UnknownId(3)));
    rig.step(&Action::Block);
    assert_eq!(rig.model.pending.len(), 1);
    assert_eq!(rig.engine.counters().delivered, 0);
    rig.step(&Action::Reset(ResetStatus::CheckCondition));
    assert_eq!(rig.engine.counters().dropped, 1);
    assert_eq!(
        rig.answers[1..],
        [(0, Reply::CheckCondition), (1, Reply::CheckCondition)]
    );
}

#[test]
fn blocking_fails_what_waits() {
    let mut rig = rig(3, 8);
    for _ in 0..5 {
        submit(&mut rig, 0);
    }
    rig.step(&Action::Complete(1, GOOD));
    rig.step(&Action::Complete(0, GOOD));
    rig.step(&Action::Block);
    assert_eq!(
        rig.answers,
        [(1, good()), (0, good()), (3, Reply::Busy), (4, Reply::Busy)]
    );
    rig.step(&Action::Unblock);
    let next = submit(&mut rig, 0);
    assert!(is_on_ring(&rig, next));
    rig.drain();
}

#[test]
fn responses_are_taken_over() {
    let mut rig = rig(4, 8);
    for (status, read_len, unknown_op) in [
        (0, None, false),
        (0x28, None, false),
        (2, None, false),
        (0, Some(10), false),
        (2, Some(10), false),
        (0, Some(u32::MAX), false),
        (0, Some(0), false),
        (0, None, true),
    ] {
        let token = submit(&mut rig, 100);
        rig.step(&Action::Complete(
            0,
            Completion {
                status,
                keep_buf: false,
                read_len,
                unknown_op,
            },
        ));
        rig.step(&Action::Kick);
        let Some((answered, reply)) = rig.answers.pop() else {
            panic!("no answer");
        };
        assert_eq!(answered, token);
        if unknown_op {
            assert_eq!(reply, Reply::CheckCondition);
            continue;
        }
        let length = read_len.filter(|&length| length > 0);
        let expected_length = match (status, length) {
            (2, None) => None,
            (_, length) => Some(length.unwrap_or(100).min(100) as usize),
        };
        let Reply::Response {
            status: got,
            sense,
            read_length,
            data_in,
        } = reply
        else {
            panic!("{reply:?}");
        };
        assert_eq!(got, status);
        assert_eq!(sense.map(|sense| sense.len()), (status == 2).then_some(96));
        assert_eq!(read_length, length.map(|length| length.min(100)));
        assert_eq!(data_in.map(|data| data.len()), expected_length);
    }
}

/// Only what user space has kept is freed: a command that has timed out may still be in its hands.
#[test]
fn only_kept_buffers_are_freed() {
    let mut rig = rig(4, 8);
    for _ in 0..3 {
        submit(&mut rig, BLOCK);
    }
    let ids: Vec<u16> = rig.user.held.iter().map(|held| held.id).collect();
    rig.step(&Action::Complete(0, keep()));
    rig.step(&Action::Kick);
    rig.step(&Action::Elapse(30));
    rig.step(&Action::FreeId(ids[1]));
    assert_eq!(place(&rig, 1), &Place::TimedOut(ids[1]));
    assert_eq!(rig.model.space.free_blocks(), 5);
    rig.step(&Action::FreeId(ids[0]));
    assert_eq!(rig.model.space.free_blocks(), 6);
    rig.step(&Action::FreeId(ids[0]));
    rig.step(&Action::FreeId(0));
    rig.drain();
}

#[test]
fn ids_and_slots_are_used_again() {
    let mut rig = rig(4, 8);
    submit(&mut rig, BLOCK);
    let before = growths();
    for round in 0..500 {
        submit(&mut rig, BLOCK);
        rig.step(&Action::Complete(
            0,
            if round % 2 == 0 { keep() } else { GOOD },
        ));
        rig.step(&Action::Kick);
        rig.step(&Action::FreeAllKept);
    }
    assert_eq!(growths(), before);
    assert_eq!(rig.answers.len(), 500);
    rig.drain();
}

/// P6 against a caller that is late: a command that has timed out is not listed.
#[test]
fn timed_out_command_is_not_listed() {
    let mut rig = rig(4, 8);
    submit(&mut rig, 0);
    let slot = rig.host.ledger().borrow().slot(0);
    rig.step(&Action::Elapse(30));
    rig.user.skip(&mut rig.host);
    rig.engine
        .tmr_notify(&mut rig.host, KINDS[1].0, slot.into_iter(), true);
    let entries = rig.user.poll(&rig.host);
    let kinds: Vec<&Kind> = entries.iter().map(|entry| &entry.kind).collect();
    let expected = Kind::Tmr {
        kind: 1,
        ids: vec![],
    };
    assert_eq!(kinds, [&expected]);
}

#[test]
fn ids_of_discarded_notifications_are_used_again() {
    let mut rig = rig(4, 8);
    let mut before = 0;
    for round in 0..50 {
        rig.step(&Action::Fill(4));
        abort(&mut rig, u64::MAX, true);
        assert_eq!(rig.model.pending[0].ids.len(), 4);
        rig.step(&Action::Reset(ResetStatus::Busy));
        assert_eq!(rig.engine.counters().dropped, round + 1);
        if round == 0 {
            before = growths();
        }
    }
    assert_eq!(growths(), before, "ids are lost");
    rig.drain();
}

/// A `cmd_tail` ahead of the head counts once the kernel looks at it; it may be an entry by then.
#[test]
fn tail_ahead_of_the_head_may_become_valid() {
    let mut rig = rig(8, 8);
    submit(&mut rig, 0);
    rig.step(&Action::Jump(240));
    rig.step(&Action::Fill(7));
    rig.step(&Action::Kick);
    assert_eq!(rig.model.broken, None);
    assert_eq!(rig.answers.len(), 2);
    let wrapped = submit(&mut rig, 0);
    assert!(is_on_ring(&rig, wrapped));
    // User space goes on from there, with entries where earlier ones have been.
    while rig.step(&Action::Complete(0, GOOD)) {}
    rig.step(&Action::Kick);
    assert_eq!(rig.model.broken, None);
    assert!(!rig.engine.has_outstanding());
    rig.drain();
}

/// P8: an initiator that sends task management functions without end while user space sleeps.
#[test]
fn flood_is_bounded() {
    let mut rig = rig(3, 8);
    for _ in 0..3 {
        submit(&mut rig, 0);
    }
    abort(&mut rig, 0b010, true);
    let before = growths();
    for round in 0..100_000 {
        let (kind, _) = KINDS[round * 5 % 9];
        rig.engine
            .tmr_notify(&mut rig.host, kind, std::iter::empty(), true);
    }
    assert_eq!(growths(), before);
    assert_eq!(rig.engine.counters().announced, 100_001);
    // The reference, which keeps the exact order, has not followed: count what arrives.
    let mut seen = 0;
    while rig.engine.counters().delivered < 100_001 {
        while !rig.user.held.is_empty() {
            rig.user.complete(&mut rig.host, 0, &GOOD);
        }
        rig.user.skip(&mut rig.host);
        assert_eq!(rig.engine.handle_completions(&mut rig.host), Ok(()));
        let entries = rig.user.poll(&rig.host);
        assert!(!entries.is_empty(), "{seen} of 100001");
        seen += entries.len();
    }
    assert!(seen >= 100_001);
}

#[test]
fn oversized_commands_are_refused() {
    let mut rig = rig(4, 8);
    // More than the data area; more iovecs than half the ring.
    submit(&mut rig, 9 * BLOCK);
    assert_eq!(rig.model.commands[0].place, Place::Gone);
    let mut rig = self::rig(4, 40);
    // Every other block is kept, so each block needs an iovec of its own.
    for nth in 0..20 {
        submit(&mut rig, BLOCK);
        submit(&mut rig, BLOCK);
        rig.step(&Action::Complete(0, keep()));
        rig.step(&Action::Complete(0, keep()));
        rig.step(&Action::Kick);
        assert_eq!(rig.model.kept().len(), 2 * nth + 2);
    }
    let kept = rig.model.kept();
    for &id in kept.iter().step_by(2) {
        rig.step(&Action::FreeId(id));
    }
    let scattered = submit(&mut rig, 20 * BLOCK);
    assert_eq!(rig.model.commands[scattered].place, Place::Gone);
    rig.drain();
}
