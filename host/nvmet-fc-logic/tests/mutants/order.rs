// SPDX-License-Identifier: GPL-2.0

//! Mistakes that it takes several threads to find, or that matter when there are several.

use crate::races::Actor::{Abort, Delete, Finish, Receive};
use crate::races::{Actor, Race};
use crate::rules::{set, Rule};

fn race(waiting: usize, actors: &'static [Actor]) {
    let race = Race {
        jobs: 1,
        slots: 1,
        waiting,
        actors,
    };
    race.explore();
}

macro_rules! found {
    ($($name:ident: $rule:ident, $waiting:literal, $actors:expr, $expected:literal;)+) => {
        $(
            #[test]
            #[should_panic(expected = $expected)]
            fn $name() {
                set(Rule::$rule);
                race($waiting, $actors);
            }
        )+
    };
}

found! {
    late_command: AdmitsWhenClosed, 0, &[Receive(1), Delete], "I1: a command is stranded";
    stranded_command: NothingIsPromoted, 0, &[Receive(1), Finish(0)], "I1: 1 requests wait";
    ignored_abort: AbortsNothingThatWaits, 1, &[Abort(1), Finish(0)], "I8: 1 begins";
    abort_before_the_beginning: AbortsNothingPromoted, 1, &[Abort(1), Finish(0)], "I8: 1 begins";
    place_outside_of_the_lock: PlaceIsReadTooEarly, 1, &[Abort(1), Finish(0)], "I8: 1 begins";
    begins_after_close: CloseForgetsWhatIsPromoted, 1, &[Finish(0), Delete], "I8: 1 begins";
    promoted_after_close: PromotesWhenClosed, 1, &[Finish(0), Delete], "I8: 1 begins";
    closed_twice: ClosesTwice, 1, &[Delete, Delete], "I4: it is closed once";
}
