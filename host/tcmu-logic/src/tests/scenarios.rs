// SPDX-License-Identifier: GPL-2.0

//! The two configurations that are checked with every interleaving.

use super::rig::{Action, GOOD};
use super::search::{Event, Events, Scenario};
use crate::logic::engine::{Config, ResetStatus};
use crate::logic::ops::Direction;

/// As often as there is something to do.
const ANY: usize = usize::MAX;

fn submit(data_length: u32, aborted: bool) -> Action {
    Action::Submit {
        direction: if data_length == 0 {
            Direction::None
        } else {
            Direction::ToDevice
        },
        data_length,
        bidi_length: None,
        cdb_length: 6,
        aborted,
        may_wait: true,
    }
}

/// A command of 128 bytes on the ring; others have 120.
fn submit_long() -> Action {
    Action::Submit {
        direction: Direction::None,
        data_length: 0,
        bidi_length: None,
        cdb_length: 16,
        aborted: false,
        may_wait: true,
    }
}

const fn announce(kind: usize) -> Action {
    Action::TaskManagement {
        kind,
        notify: true,
        repeat: false,
    }
}

fn events<const N: usize>(at_most: usize, choices: [Event; N]) -> Events {
    Events {
        at_most,
        choices: choices.into(),
    }
}

const COMPLETE_FIRST: Event = (
    "user space completes its oldest command",
    Action::Complete(0, GOOD),
);

const RESET: Event = ("LIO announces LOGICAL UNIT RESET", announce(5));

const KICK: Event = ("user space calls the kernel", Action::Kick);

fn announcements(at_most: usize) -> Events {
    events(at_most, [("LIO announces ABORT TASK", announce(1)), RESET])
}

fn timeouts(at_most: usize) -> Events {
    events(
        at_most,
        [("the commands on the ring time out", Action::Elapse(20))],
    )
}

fn reset() -> Events {
    let action = Action::Reset(ResetStatus::Busy);
    events(1, [("reset_ring is called", action)])
}

fn no_memory() -> Event {
    (
        "the next allocation of book-keeping will fail",
        Action::RefuseGrowth(1),
    )
}

/// Three commands, two notifications, a ring of three entries: everything that can happen.
pub(crate) fn three_commands(prepare: fn()) -> Scenario {
    Scenario {
        config: Config {
            ring_size: 2 * 120 + 8,
            blocks: 1,
            block_size: 64,
        },
        start: Vec::new(),
        events: vec![
            events(
                2,
                [("LIO submits a command without data", submit(0, false))],
            ),
            events(1, [("LIO submits a command with data", submit(64, false))]),
            events(
                ANY,
                [
                    COMPLETE_FIRST,
                    (
                        "user space completes its second command",
                        Action::Complete(1, GOOD),
                    ),
                ],
            ),
            events(ANY, [KICK]),
            events(
                2,
                [
                    ("LIO aborts its oldest command", Action::Abort(0b001)),
                    ("LIO aborts all commands", Action::Abort(u64::MAX)),
                ],
            ),
            announcements(2),
            timeouts(1),
            reset(),
            events(1, [no_memory()]),
        ],
        prepare,
    }
}

/// A ring full of commands, of which a notification can list so many that it is longer than a
/// command (that takes 45): then it may have no room where a command has. With fewer ids the C rules do
/// no harm, since what waits goes first whenever space becomes free.
///
/// The first of the 46 commands that are in flight is not at the start of the ring: else the padding
/// at its end would be in the way.
pub(crate) fn long_list(prepare: fn()) -> Scenario {
    Scenario {
        config: Config {
            ring_size: 46 * 120 + 8,
            blocks: 1,
            block_size: 64,
        },
        start: vec![
            (
                "LIO submits a command with a CDB of 16 bytes",
                submit_long(),
            ),
            COMPLETE_FIRST,
            KICK,
            (
                "LIO submits 46 commands: the ring is full",
                Action::Fill(46),
            ),
        ],
        events: vec![
            events(2, [("LIO submits a command", submit(0, false))]),
            events(
                1,
                [(
                    "LIO submits a command that is aborted already",
                    submit(0, true),
                )],
            ),
            events(
                2,
                [
                    COMPLETE_FIRST,
                    (
                        "user space completes its 31st command",
                        Action::Complete(30, GOOD),
                    ),
                ],
            ),
            events(ANY, [KICK]),
            events(1, [("LIO aborts all commands", Action::Abort(u64::MAX))]),
            events(2, [RESET]),
            timeouts(1),
            reset(),
        ],
        prepare,
    }
}
