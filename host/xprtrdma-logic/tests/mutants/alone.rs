// SPDX-License-Identifier: GPL-2.0

//! Mistakes that one thread alone finds.

use crate::policy::{every_step, ring_limits_the_batch};
use crate::positions::{ends_of_two_rings, search};
use crate::rules::{set, Rule};

fn all_small_rings() {
    for contexts in 0..=3 {
        search(contexts);
    }
}

macro_rules! found {
    ($test:expr; $($name:ident: $rule:ident, $expected:literal;)+) => {
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
    all_small_rings;
    one_too_many: OneTooMany, "S2: all are in use";
    one_too_few: OneTooFew, "S1: there is room";
    last_place_is_not_used: LastPlaceIsNotUsed, "S2: contexts are used in turn";
    looks_beyond: LooksBeyond, "S8: looks beyond what is with the device";
    releases_what_it_looks_at: ReleasesWhatItLooksAt, "a Send that is none releases nothing";
    ungets_anything: UngetsAnything, "unget";
    ungets_what_is_posted: UngetsWhatIsPosted, "unget";
    unget_does_not_wake: UngetDoesNotWake, "S7: unget wakes";
    close_forgets: CloseForgetsWhatIsNotPosted, "S8: what is in use is released";
}

found! {
    ends_of_two_rings;
    closes_another_ring: ClosesAnotherRing, "S8: it belongs to another ring";
}

found! {
    every_step;
    loads_the_excess: LoadsTheExcess, "of 1 left";
    ignores_must: IgnoresMust, "must: true";
}

found! {
    ring_limits_the_batch;
    batch_fills_the_ring: BatchFillsTheRing, "a batch in a ring of";
}
