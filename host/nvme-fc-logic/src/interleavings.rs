// SPDX-License-Identifier: GPL-2.0

//! LLDD and controllers at the same time: each callback comes once, in order, and nothing is called
//! after it.
//!
//! How many interleavings that are is printed:
//!
//! ```text
//! cargo test -p nvme-fc-logic interleavings -- --nocapture
//! ```

use crate::races::Act::{Begin, End, Resume, ResumeByAnother, Take, Unregister};
use crate::races::{Act, Findings, Scenario, LOCAL};

fn scenario(name: &str, before: &'static [Act], threads: &'static [&'static [Act]]) -> Findings {
    let findings = Scenario { before, threads }.explore();
    println!("{name}: {findings:?}");
    assert!(findings.interleavings > 1);
    findings
}

/// The two ways in which C fails, see `c_order.rs`.
#[test]
fn last_association_ends_while_the_port_is_unregistered() {
    scenario(
        "an association ends, the remote port is unregistered",
        &[Begin(0)],
        &[&[Unregister(1)], &[End(0)]],
    );
    scenario(
        "two associations end, the remote port is unregistered",
        &[Begin(0), Begin(1)],
        &[&[Unregister(1)], &[End(0)], &[End(1)]],
    );
}

/// What C does not count.
#[test]
fn ls_response_is_sent_while_the_port_is_unregistered() {
    scenario(
        "a received LS request is answered, the remote port is unregistered",
        &[Begin(0), Begin(1)],
        &[&[Unregister(1)], &[Take(0)], &[End(1)]],
    );
    scenario(
        "two threads answer it",
        &[Begin(0)],
        &[&[Take(0)], &[Take(0)], &[Unregister(1)]],
    );
    scenario(
        "it is answered as soon as it is received",
        &[],
        &[&[Begin(0)], &[Take(0)], &[Unregister(1)]],
    );
}

#[test]
fn association_begins_while_the_port_is_unregistered() {
    let findings = scenario(
        "an association begins and ends, the remote port is unregistered",
        &[],
        &[&[Unregister(1)], &[Begin(0), End(0)]],
    );
    assert!(findings.refused > 0, "{findings:?}");
    assert!(findings.refused < findings.interleavings, "{findings:?}");
    let findings = scenario(
        "the same with the local port",
        &[],
        &[&[Unregister(LOCAL)], &[Begin(0), End(0)]],
    );
    assert!(findings.refused > 0, "{findings:?}");
    assert!(findings.refused < findings.interleavings, "{findings:?}");
}

/// In C, `ASSOC_FAILED` is cleared after the port was entered.
#[test]
fn association_knows_that_the_port_was_unregistered() {
    let findings = scenario(
        "an association begins, the remote port is unregistered",
        &[],
        &[&[Unregister(1)], &[Begin(0)]],
    );
    assert!(findings.refused < findings.interleavings, "{findings:?}");
}

#[test]
fn callbacks_come_in_order() {
    scenario(
        "an association ends, remote and local port are unregistered in turn",
        &[Begin(0)],
        &[&[Unregister(1), Unregister(LOCAL)], &[End(0)]],
    );
    let findings = scenario(
        "remote and local port are unregistered at the same time, with an association",
        &[Begin(0)],
        &[&[Unregister(1)], &[Unregister(LOCAL)], &[End(0)]],
    );
    assert!(findings.late > 0, "{findings:?}");
    scenario(
        "associations of two remote ports end, the local port is unregistered",
        &[Begin(0), Begin(2), Unregister(1), Unregister(2)],
        &[&[Unregister(LOCAL)], &[End(0)], &[End(2)]],
    );
    scenario(
        "two remote ports are unregistered, one with an association, the local port before",
        &[Begin(0), Unregister(LOCAL)],
        &[&[Unregister(2)], &[Unregister(1)], &[End(0)]],
    );
}

#[test]
fn ports_come_back() {
    let findings = scenario(
        "the remote port comes back while its last association ends",
        &[Begin(0), Unregister(1)],
        &[&[Resume(1)], &[End(0)]],
    );
    assert!(findings.undeleted > 0 && findings.deleting > 0 && findings.anew > 0);
    let findings = scenario(
        "it comes back, a controller uses it",
        &[Begin(0), Unregister(1)],
        &[&[Resume(1)], &[End(0), Begin(0), End(0)]],
    );
    assert!(findings.undeleted > 0 && findings.deleting > 0 && findings.anew > 0);
    scenario(
        "it comes back and a controller connects, which is reset at once",
        &[Unregister(1)],
        &[&[Resume(1), Begin(0)], &[End(0)]],
    );
    let findings = scenario(
        "it comes back, a controller connects, and it is lost again",
        &[Begin(0), Unregister(1)],
        &[&[Resume(1), Unregister(1)], &[End(0), Begin(0)]],
    );
    assert!(findings.undeleted > 0 && findings.deleting > 0 && findings.anew > 0);
    let findings = scenario(
        "remote and local port come back",
        &[Begin(0), Unregister(1), Unregister(LOCAL)],
        &[&[Resume(LOCAL), Resume(1)], &[End(0), Begin(0)]],
    );
    assert!(findings.undeleted > 0 && findings.deleting > 0 && findings.anew > 0);
    let findings = scenario(
        "the local port comes back with another LLDD",
        &[Begin(0), Unregister(1), Unregister(LOCAL)],
        &[&[ResumeByAnother(LOCAL)], &[End(0), Begin(0)]],
    );
    assert!(findings.in_use > 0 && findings.deleting > 0 && findings.anew > 0);
}

#[test]
fn only_one_ends_an_association() {
    scenario(
        "a controller is reset and deleted while it connects",
        &[Unregister(1), Resume(1)],
        &[&[Begin(0)], &[End(0)], &[End(0)]],
    );
    scenario(
        "a controller connects twice",
        &[],
        &[&[Begin(0)], &[Begin(0)], &[Unregister(1)]],
    );
}
