// SPDX-License-Identifier: GPL-2.0

//! One mistake at a time.

use loom::sync::Arc;
use loom::thread;

use crate::explore::explore;
use crate::model::logic::failure::Failure;
use crate::rules::{set, Rule};
use crate::world::Property;

macro_rules! found {
    ($($name:ident: $rule:ident, $property:ident;)+) => {
        $(
            #[test]
            fn $name() {
                set(Rule::$rule);
                let found = explore();
                let way = found.way(Property::$property);
                println!("{:?}: {:?}: {way:?}", Rule::$rule, Property::$property);
                assert!(way.is_some(), "found: {:?}", found.broken.keys());
            }
        )+
    };
}

found! {
    no_report_without_binding: ReportsWithoutBinding, D6Told;
    end_is_reported: EndsWithoutReport, D6Told;
    ep_disconnect_does_not_drain: DrainsInEpDisconnect, D1NoWait;
    handler_does_not_destroy: HandlerDestroysTheId, D3Id;
    removal_drains: RemovalDoesNotDrain, D4Drained;
    removal_waits_for_nobody: RemovalWaitsForOwners, Removal;
    iscsi_is_suspended: DoesNotSuspend, D5NoPost;
    queue_pair_is_stopped: DoesNotDisconnect, D5NoPost;
    tasks_are_unmapped: LeavesMappings, Unmapped;
    commands_are_not_refused: RefusesFirst, D8Retried;
    failure_is_told_first: ReportsLast, D8Retried;
    what_is_known_is_not_told: TellsWhatIsKnown, D6Told;
    endpoint_is_destroyed: KeepsTheEndpoint, Consistent;
    cm_has_a_deadline: NoDeadline, Ends;
    who_waits_is_woken: ErrorDoesNotWake, Woken;
    binding_is_an_owner: ForgetsTheBinding, D2FreedOnce;
    one_binding: BindsTwice, Consistent;
    peer_is_not_waited_for: WaitsForThePeer, Ends;
    exit_does_not_wait: ExitWaitsForTheCm, ModuleExit;
    last_owner_frees: LastWordIsNotTheEnd, Ends;
}

/// What C does with a peer that is unreachable while the connection is up: iSCSI is not told,
/// memory is unmapped that the device may write to, and the connection stays for ever.
#[test]
fn c_is_stuck() {
    set(Rule::AsInC);
    let found = explore();
    for property in [Property::D6Told, Property::D4Drained, Property::EndsWithCm] {
        let way = found.way(property);
        println!("C, {property:?}: {way:?}");
        assert!(way.is_some_and(|way| way.contains("ConnBind, ") && way.contains("Unreachable")));
    }
}

#[test]
#[should_panic(expected = "told twice")]
fn iscsi_is_told_once() {
    loom::model(|| {
        set(Rule::TellsTwice);
        let failure = Arc::new(Failure::new());
        let other = failure.clone();
        let other = thread::spawn(move || {
            set(Rule::TellsTwice);
            other.is_first()
        });
        let first = failure.is_first();
        let second = other.join().unwrap();
        assert!(!(first && second), "told twice");
    });
}
