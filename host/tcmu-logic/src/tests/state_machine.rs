// SPDX-License-Identifier: GPL-2.0

//! Random sequences of everything that can happen to a device, on rings that are often full.

use super::rig::{Action, Rig};
use super::user::Completion;
use crate::logic::engine::{Config, ResetStatus};
use crate::logic::ops::Direction;
use proptest::prelude::*;
use proptest::test_runner::Config as Settings;

fn config() -> impl Strategy<Value = Config> {
    (
        prop::sample::select(&[512, 520, 1000, 2048, 8000][..]),
        prop::sample::select(&[6, 24, 70][..]),
        prop::sample::select(&[16, 64][..]),
    )
        .prop_map(|(ring_size, blocks, block_size)| Config {
            ring_size,
            blocks,
            block_size,
        })
}

fn submit() -> impl Strategy<Value = Action> {
    let direction = prop::sample::select(
        &[
            Direction::None,
            Direction::ToDevice,
            Direction::FromDevice,
            Direction::FromDevice,
        ][..],
    );
    let length = prop_oneof![4 => 1..200u32, 1 => 200..1500u32];
    (
        direction,
        length.clone(),
        prop::option::weighted(0.15, length),
        prop::sample::select(&[6, 10, 12, 16, 32][..]),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.9),
    )
        .prop_map(
            |(direction, length, bidi_length, cdb_length, aborted, may_wait)| Action::Submit {
                direction,
                data_length: if direction == Direction::None {
                    0
                } else {
                    length
                },
                bidi_length: bidi_length.filter(|_| direction != Direction::None),
                cdb_length,
                aborted,
                may_wait,
            },
        )
}

fn complete() -> impl Strategy<Value = Action> {
    (
        any::<usize>(),
        prop_oneof![3 => Just(0u8), 1 => Just(2u8), 1 => any::<u8>()],
        prop::bool::weighted(0.15),
        prop::option::weighted(0.3, 0..300u32),
        prop::bool::weighted(0.05),
    )
        .prop_map(|(nth, status, keep_buf, read_len, unknown_op)| {
            Action::Complete(
                nth,
                Completion {
                    status,
                    keep_buf,
                    read_len,
                    unknown_op,
                },
            )
        })
}

fn task_management() -> impl Strategy<Value = Action> {
    (
        prop_oneof![3 => Just(1), 2 => Just(5), 1 => 0..9usize],
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(kind, notify, repeat)| Action::TaskManagement {
            kind,
            notify,
            repeat,
        })
}

fn reset() -> impl Strategy<Value = Action> {
    prop::sample::select(&[ResetStatus::Busy, ResetStatus::CheckCondition][..])
        .prop_map(Action::Reset)
}

/// A bit mask with few bits, many or all.
fn mask() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..12u32).prop_map(|bit| 1 << bit),
        any::<u64>(),
        Just(u64::MAX)
    ]
}

/// What a well-behaved device sees.
fn fair() -> impl Strategy<Value = Action> {
    prop_oneof![
        24 => submit(),
        3 => (1..70u32).prop_map(Action::Fill),
        20 => complete(),
        4 => Just(Action::Skip),
        12 => Just(Action::Kick),
        8 => mask().prop_map(Action::Abort),
        10 => task_management(),
        3 => (0..40u64).prop_map(Action::Elapse),
        1 => Just(Action::Block),
        10 => Just(Action::Unblock),
        1 => reset(),
        3 => any::<usize>().prop_map(Action::FreeKept),
        1 => Just(Action::FreeAllKept),
        2 => Just(Action::Reclaim),
    ]
}

/// What else can happen: a hostile user space, no memory.
fn unfair() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (0..2100u32).prop_map(Action::Jump),
        1 => any::<u32>().prop_map(Action::Jump),
        2 => any::<usize>().prop_map(Action::JumpToEntry),
        2 => (0..80u16).prop_map(Action::CompleteId),
        1 => any::<u16>().prop_map(Action::CompleteId),
        2 => any::<usize>().prop_map(Action::CompleteKept),
        8 => any::<u64>().prop_map(Action::Scribble),
        2 => (any::<u32>(), any::<u64>()).prop_map(|(at, value)| Action::Overwrite(at, value)),
        3 => (0..80u16).prop_map(Action::FreeId),
        6 => (1..4u32).prop_map(Action::RefuseGrowth),
        6 => (1..20u32).prop_map(Action::RefusePopulate),
        12 => reset(),
    ]
}

/// Fair play, interrupted.
pub(crate) fn foul() -> impl Strategy<Value = Action> {
    prop_oneof![9 => fair(), 1 => unfair()]
}

/// Sizes of a device, `cmd_time_out` in seconds, and what happens.
type Case = (Config, Option<u64>, Vec<Action>);

/// Sequences of `action`.
pub(crate) fn case(action: impl Strategy<Value = Action>) -> impl Strategy<Value = Case> {
    (
        config(),
        prop::option::of(20..60u64),
        prop::collection::vec(action, 1..120),
    )
}

fn run((config, command_time, actions): &Case) {
    let mut rig = Rig::new(config, *command_time);
    for action in actions {
        rig.step(action);
    }
    rig.drain();
}

/// Number of cases, unless `PROPTEST_CASES` says otherwise.
fn settings(cases: u32) -> Settings {
    let chosen = std::env::var_os("PROPTEST_CASES").is_some();
    let settings = Settings {
        failure_persistence: None,
        ..Settings::default()
    };
    if chosen {
        settings
    } else {
        Settings { cases, ..settings }
    }
}

proptest! {
    #![proptest_config(settings(800))]

    #[test]
    fn fair_play(case in case(fair())) {
        run(&case);
    }

    #[test]
    fn foul_play(case in case(foul())) {
        run(&case);
    }
}
