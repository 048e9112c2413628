// SPDX-License-Identifier: GPL-2.0

//! All interleavings of a few events on a ring of three commands.

use super::rig::{Action, Rig, GOOD};
use super::user::Completion;
use crate::logic::engine::{Config, ResetStatus};
use crate::logic::ops::Direction;

const KEEP: Completion = Completion {
    keep_buf: true,
    ..GOOD
};

fn submit(data_length: u32) -> Action {
    Action::Submit {
        direction: if data_length == 0 {
            Direction::None
        } else {
            Direction::ToDevice
        },
        data_length,
        bidi_length: None,
        cdb_length: 6,
        aborted: false,
        may_wait: true,
    }
}

fn task_management(kind: usize) -> Action {
    Action::TaskManagement {
        kind,
        notify: true,
        repeat: false,
    }
}

/// Runs all sequences of `depth` actions after `start`, and says how many that were.
///
/// An action that has nothing to do ends its sequence: the rest is covered without it. The engine
/// cannot be copied, so each sequence is played from the start.
fn explore(start: &[Action], alphabet: &[Action], depth: usize) -> u64 {
    let config = Config {
        ring_size: 3 * 120 + 40,
        blocks: 3,
        block_size: 64,
    };
    let mut choice = vec![0; depth];
    let mut count = 0;
    loop {
        let mut rig = Rig::new(&config, Some(20));
        for action in start {
            rig.step(action);
        }
        let idle = choice.iter().position(|&nth| !rig.step(&alphabet[nth]));
        if idle.is_none() {
            rig.drain();
            count += 1;
        }
        // The next sequence that differs in the last action done, or before.
        let mut at = idle.unwrap_or(depth - 1);
        choice[at + 1..].fill(0);
        while choice[at] + 1 == alphabet.len() {
            choice[at] = 0;
            if at == 0 {
                return count;
            }
            at -= 1;
        }
        choice[at] += 1;
    }
}

#[test]
fn aborts_and_completions() {
    let alphabet = [
        submit(0),
        Action::Complete(0, GOOD),
        Action::Complete(1, GOOD),
        Action::Kick,
        Action::Abort(0b0001),
        Action::Abort(0b1110),
        task_management(1),
    ];
    let start = [submit(0), submit(0)];
    let count = explore(&start, &alphabet, 6);
    assert!(count > 10_000, "{count}");
}

#[test]
fn full_ring() {
    // Three commands, one notification that has no room, one command that waits.
    let start = [
        submit(0),
        submit(0),
        submit(0),
        Action::Abort(0b010),
        task_management(1),
        task_management(5),
        submit(0),
    ];
    let alphabet = [
        submit(70),
        Action::Complete(0, GOOD),
        Action::Complete(1, KEEP),
        Action::Skip,
        Action::Kick,
        Action::Abort(u64::MAX),
        task_management(5),
        Action::Elapse(25),
    ];
    let count = explore(&start, &alphabet, 5);
    assert!(count > 5_000, "{count}");
}

#[test]
fn break_block_and_reset() {
    let alphabet = [
        submit(100),
        Action::Complete(1, KEEP),
        Action::CompleteId(9),
        Action::Kick,
        task_management(1),
        Action::Abort(1),
        Action::Block,
        Action::Unblock,
        Action::Reset(ResetStatus::Busy),
        Action::FreeAllKept,
    ];
    let start = [submit(0), submit(0), submit(0), task_management(1)];
    let count = explore(&start, &alphabet, 4);
    assert!(count > 1_000, "{count}");
}
