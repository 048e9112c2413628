// SPDX-License-Identifier: GPL-2.0

//! Mistakes that one thread alone finds.

use crate::connectivity::small_numbers;
use crate::private_size::every_order;
use crate::rules::{set, Rule};
use crate::states::search;

macro_rules! found {
    ($test:expr; $($name:ident: $rule:ident, $expected:literal;)+) => {
        $(
            #[test]
            #[should_panic(expected = $expected)]
            fn $name() {
                set(Rule::$rule);
                $test;
            }
        )+
    };
}

found! {
    search(2);
    enters_unregistered: EntersUnregistered, "G5: enters what is not registered";
    remains_when_owed: RemainsWhenOwed, "G2: late";
    unregisters_twice: UnregistersTwice, "unregister";
    resumes_when_owed: ResumesWhenOwed, "G6";
    resumes_only_unused: ResumesOnlyUnused, "G6";
    resumes_by_any_lldd: ResumesByAnyLldd, "G6";
    owes_when_registered: OwesWhenRegistered, "G1: port 0 is registered";
    owes_nothing_unused: OwesNothingUnused, "G1: no callback";
    leaves_local_first: LeavesLocalFirst, "G3: a remote port is not deleted";
    refused_keeps_local: RefusedKeepsLocal, "G1: no callback";
    unregisters_only_with_local: UnregistersOnlyWithLocal, "G3: not late";
    begins_twice: BeginsTwice, "G4: prepared";
    ends_twice: EndsTwice, "G4: ends what has not begun, or twice";
    gives_back_any_use: GivesBackAnyUse, "G4: ends a use of another port";
    takes_twice: TakesTwice, "G4: takes what is not there";
}

found! {
    small_numbers();
    expires_late: ExpiresLate, "G6";
    compares_numbers: ComparesNumbers, "G6";
    waits_beyond_the_deadline: WaitsBeyondTheDeadline, "G6";
}

found! {
    every_order();
    forgets_smaller_objects: ForgetsSmallerObjects, "G7";
    forgets_smaller_requests: ForgetsSmallerRequests, "G7";
    forgets_the_local_port: ForgetsTheLocalPort, "G7";
}
