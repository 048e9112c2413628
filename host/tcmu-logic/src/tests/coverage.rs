// SPDX-License-Identifier: GPL-2.0

//! The random sequences reach the situations that they are made for.

use super::command::Reply;
use super::model::Place;
use super::rig::Rig;
use super::state_machine::{case, foul};
use crate::logic::ring::Broken;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

/// Names of the situations that `rig` is in.
fn situations(rig: &Rig) -> Vec<&'static str> {
    let model = &rig.model;
    let places = |wanted: fn(&Place) -> bool| {
        let mut commands = model.commands.iter();
        commands.any(|command| wanted(&command.place))
    };
    let mut ids = model.pending.iter().flat_map(|tmr| &tmr.ids);
    let all = [
        ("one notification waits", model.pending.len() == 1),
        ("several notifications wait", model.pending.len() > 1),
        (
            "a notification with a second word of ids waits",
            model.pending.iter().any(|tmr| tmr.ids.len() > 4),
        ),
        (
            "a command waits behind a notification, though it would fit",
            !model.pending.is_empty()
                && model.space.place(120).is_some()
                && !model.waiting.is_empty(),
        ),
        (
            "a listed id has no command any more",
            ids.any(|&id| model.find(id).is_none()),
        ),
        (
            "the ring wraps",
            !model.space.is_empty() && model.space.head < model.space.cleaned(),
        ),
        ("no block is free", model.space.free_blocks() == 0),
        (
            "a timed-out command is on the ring",
            places(|place| matches!(place, Place::TimedOut(_))),
        ),
        (
            "a buffer is kept",
            places(|place| matches!(place, Place::Kept(_))),
        ),
        ("many commands wait", model.waiting.len() > 4),
        ("memory is lacking", model.starved),
        ("the device is blocked", model.blocked),
        (
            "the tail is bad",
            matches!(model.broken, Some(Broken::Tail(_))),
        ),
        (
            "an id is unknown",
            matches!(model.broken, Some(Broken::UnknownId(_))),
        ),
        (
            "an id is kept",
            matches!(model.broken, Some(Broken::KeptId(_))),
        ),
        (
            "a notification waits while the ring is broken",
            model.broken.is_some() && !model.pending.is_empty(),
        ),
    ];
    let met = all.into_iter().filter(|&(_, is_met)| is_met);
    met.map(|(name, _)| name).collect()
}

/// Name of the kind of an answer.
fn kind(reply: &Reply) -> &'static str {
    match reply {
        Reply::Busy => "BUSY",
        Reply::CheckCondition => "CHECK CONDITION",
        Reply::TaskSetFull => "TASK SET FULL",
        Reply::TaskAborted => "TASK ABORTED",
        Reply::Response {
            sense: Some(_),
            data_in: Some(_),
            ..
        } => "data with sense data",
        Reply::Response { sense: Some(_), .. } => "sense data",
        Reply::Response {
            read_length: Some(_),
            ..
        } => "data of another length",
        Reply::Response {
            data_in: Some(_), ..
        } => "data",
        Reply::Response { .. } => "status",
    }
}

#[test]
fn situations_are_reached() {
    let mut runner = TestRunner::deterministic();
    let strategy = case(foul());
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..300 {
        let Ok(tree) = strategy.new_tree(&mut runner) else {
            panic!("no sequence");
        };
        let (config, command_time, actions) = tree.current();
        let mut rig = Rig::new(&config, command_time);
        for action in &actions {
            rig.step(action);
            for name in situations(&rig) {
                *counts.entry(name).or_default() += 1;
            }
        }
        for (_, reply) in &rig.answers {
            *counts.entry(kind(reply)).or_default() += 1;
        }
    }
    // 16 situations and 9 kinds of answers, each not only once.
    assert_eq!(counts.len(), 25, "{counts:#?}");
    assert!(counts.values().all(|&count| count >= 5), "{counts:#?}");
}
