// SPDX-License-Identifier: GPL-2.0

//! The order of one access is missing, or one step is two.

use crate::races::Act::{Begin, End, Resume, Unregister};
use crate::races::Scenario;
use crate::rules::{set, Rule};

/// An association ends, the remote port is unregistered.
fn last_association() {
    Scenario {
        before: &[Begin(0)],
        threads: &[&[Unregister(1)], &[End(0)]],
    }
    .explore();
}

/// An association begins, the remote port is unregistered.
fn first_association() {
    Scenario {
        before: &[],
        threads: &[&[Unregister(1)], &[Begin(0)]],
    }
    .explore();
}

/// Two associations end.
fn last_two_associations() {
    Scenario {
        before: &[Begin(0), Begin(1)],
        threads: &[&[Unregister(1)], &[End(0)], &[End(1)]],
    }
    .explore();
}

/// The remote port comes back and is used.
fn comes_back() {
    Scenario {
        before: &[Begin(0), Unregister(1)],
        threads: &[&[Resume(1)], &[End(0), Begin(0), End(0)]],
    }
    .explore();
}

/// A controller is reset while it connects.
fn reset_while_connecting() {
    Scenario {
        before: &[Unregister(1)],
        threads: &[&[Resume(1), Begin(0)], &[End(0)]],
    }
    .explore();
}

macro_rules! found {
    ($($name:ident: $rule:ident, $test:ident, $expected:literal;)+) => {
        $(
            #[test]
            #[should_panic(expected = $expected)]
            fn $name() {
                set(Rule::$rule);
                $test();
            }
        )+
    };
}

found! {
    change_is_ordered: ChangeIsRelaxed, comes_back, "Causality violation";
    leave_is_ordered: LeaveIsRelaxed, last_association, "Causality violation";
    deleted_is_released: DeletedIsNotReleased, comes_back, "Causality violation";
    resumed_is_released: ResumedIsNotReleased, comes_back, "Causality violation";
    ending_is_ordered: EndingIsRelaxed, reset_while_connecting, "Causality violation";
    active_is_released: ActiveIsNotReleased, reset_while_connecting, "Causality violation";
    leave_looks_first: LeaveLooksFirst, last_two_associations, "G3: remote port Some(1) is not deleted";
    leave_looks_later: LeaveLooksLater, last_two_associations, "G1";
    prepares_late: PreparesLate, first_association, "does not know that it failed";
    begins_before_it_entered: BeginsBeforeItEntered, reset_while_connecting, "G1";
}
