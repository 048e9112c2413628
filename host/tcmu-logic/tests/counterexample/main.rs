// SPDX-License-Identifier: GPL-2.0

//! The model check finds what is wrong with the rules of the C module, and with mistakes that violate
//! the other properties. The shortest ways there are printed:
//!
//! ```text
//! cargo test -p tcmu-logic --test counterexample -- --nocapture
//! ```
//!
//! Engine, reference and search are those of the other tests; only the logic is a copy that was
//! mutated by `build.rs`.

mod rules;

#[expect(dead_code, unused_imports, reason = "as in src/lib.rs")]
mod mutants {
    include!(concat!(env!("OUT_DIR"), "/counterexample.rs"));
}

use mutants::logic;

#[path = "../../src/tests/"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod harness {
    pub(crate) mod command;
    pub(crate) mod fingerprint;
    pub(crate) mod host;
    pub(crate) mod memory;
    pub(crate) mod model;
    pub(crate) mod properties;
    pub(crate) mod rig;
    pub(crate) mod scenarios;
    pub(crate) mod search;
    pub(crate) mod space;
    pub(crate) mod user;

    /// The engine as it is tested.
    type TestEngine = crate::logic::engine::Engine<command::TestCompleter, memory::TestMemory>;
}

use harness::properties::Property;
use harness::scenarios::{long_list, three_commands};
use harness::search::Scenario;
use rules::Rule;

/// Searches until `wanted` are violated, or everything if there are none, and prints what is found:
/// the properties that are violated, `None` for what only the reference notices.
fn search(name: &str, scenario: &Scenario, wanted: &[Property]) -> Vec<Option<Property>> {
    let findings = scenario.search(wanted);
    let mut text = format!(
        "{name}: {} states, {} events tried, {} properties violated\n",
        findings.states,
        findings.transitions,
        findings.violations.len()
    );
    let mut violated = Vec::new();
    for (property, trace) in &findings.violations {
        if wanted.is_empty() || property.is_some_and(|property| wanted.contains(&property)) {
            text += &trace.to_string();
        }
        violated.push(*property);
    }
    print!("{text}");
    violated.sort_unstable();
    violated
}

/// A mistake violates a property among three commands.
fn violates(name: &str, prepare: fn(), wanted: Property) {
    let found = search(name, &three_commands(prepare), &[wanted]);
    assert!(found.contains(&Some(wanted)), "{found:?}");
}

#[test]
fn looking_only_at_qfull_overtakes_a_notification() {
    let scenario = long_list(|| rules::set(&[Rule::LookOnlyAtQfull]));
    let found = search("C: look only at qfull", &scenario, &[]);
    assert_eq!(found, [Some(Property::P3)]);
}

#[test]
fn lowest_free_id_then_is_one_that_the_notification_lists() {
    let scenario = long_list(|| rules::set(&[Rule::LookOnlyAtQfull, Rule::LowestFreeId]));
    let wanted = [Property::P3, Property::P4];
    let found = search("C: look only at qfull, lowest free id", &scenario, &wanted);
    assert_eq!(found, wanted.map(Some));
}

/// P4 follows from P3 when ids are given to what gets onto the ring and to nothing else: the care
/// that is taken with ids is the second of two locks.
#[test]
fn lowest_free_id_alone_does_no_harm() {
    let scenario = long_list(|| rules::set(&[Rule::LowestFreeId]));
    assert_eq!(search("C: lowest free id", &scenario, &[]), []);
}

#[test]
fn allocating_when_announced_loses_a_notification() {
    violates(
        "C: allocate when announced",
        || rules::set(&[Rule::AllocateWhenAnnounced]),
        Property::P8,
    );
}

#[test]
fn notification_that_times_out_is_lost() {
    violates(
        "a notification times out",
        || rules::set(&[Rule::TimeOutNotification]),
        Property::P2,
    );
}

#[test]
fn aborted_command_is_started() {
    violates(
        "an aborted command is started",
        || rules::set(&[Rule::StartAborted]),
        Property::P5,
    );
}

#[test]
fn list_is_too_short() {
    violates(
        "one command is listed",
        || rules::set(&[Rule::ListOnlyTheFirst]),
        Property::P6,
    );
}

#[test]
fn command_is_forgotten() {
    violates(
        "a command that times out is forgotten",
        || rules::set(&[Rule::ForgetTimedOut]),
        Property::P7,
    );
}
