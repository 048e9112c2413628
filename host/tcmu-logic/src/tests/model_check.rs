// SPDX-License-Identifier: GPL-2.0

//! The model check of the kernel's own files: no interleaving violates a property.

use super::scenarios::{long_list, three_commands};
use super::search::Scenario;

fn check(scenario: &Scenario, least: usize) {
    let findings = scenario.search(&[]);
    println!(
        "{} states, {} events",
        findings.states, findings.transitions
    );
    for (_, trace) in &findings.violations {
        println!("{trace}");
    }
    assert!(findings.violations.is_empty());
    assert!(findings.states >= least, "{}", findings.states);
}

#[test]
fn three_commands_and_two_notifications() {
    check(&three_commands(|| {}), 200_000);
}

#[test]
fn notification_longer_than_a_command() {
    check(&long_list(|| {}), 8_000);
}
