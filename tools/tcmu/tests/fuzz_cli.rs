// SPDX-License-Identifier: GPL-2.0
//! The command line of the hostile daemon where no device is needed.

use std::process::{Command, Output};

fn fuzz(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcmu-fuzz"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_seed_always_prints_the_same_plan() {
    let plan = |seed| fuzz(&["plan", "--seed", seed, "--phases", "3", "--steps", "100"]);
    let (one, again, other) = (plan("7"), plan("7"), plan("8"));
    assert!(one.status.success());
    assert_eq!(one.stdout, again.stdout);
    assert_ne!(one.stdout, other.stdout);
    let text = String::from_utf8(one.stdout).unwrap();
    assert_eq!(text.lines().count(), 3 * 101);
}

#[test]
fn one_phase_of_a_plan_is_what_the_whole_plan_has_there() {
    let all = fuzz(&["plan", "--seed", "7", "--phases", "3"]);
    let last = fuzz(&["plan", "--seed", "7", "--first-phase", "2", "--phases", "1"]);
    let (all, last) = (all.stdout, last.stdout);
    assert!(!last.is_empty() && all.ends_with(&last));
}

#[test]
fn one_class_can_be_chosen() {
    let plan = fuzz(&["plan", "--class", "tail-inside", "--steps", "5000"]);
    let text = String::from_utf8(plan.stdout).unwrap();
    let found = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert!(found("tail_inside") > 0);
    assert_eq!(
        found("tail_inside") + found("honest") + found("phase"),
        5001
    );
}

#[test]
fn bad_arguments_and_absent_devices_are_refused() {
    for arguments in [
        vec![],
        vec!["run"],
        vec!["run", "--device", "x", "--count", "0"],
        vec!["run", "--device", "x", "--class", "none"],
        vec!["run", "--device", "x", "--phase", "none"],
        vec!["load"],
        vec!["plan", "--seed", "-1"],
    ] {
        let output = fuzz(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let absent = fuzz(&["run", "--device", "no-such-device"]);
    assert_eq!(absent.status.code(), Some(3));
    let text = String::from_utf8(absent.stderr).unwrap();
    assert!(text.contains("no-such-device"), "{text}");
}
