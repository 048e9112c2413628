// SPDX-License-Identifier: GPL-2.0

//! A port that is used by as many as can be counted: nobody else enters, and the count does not
//! become a state.
//!
//! The logic is a copy in which `build.rs` has changed one number, and has put a mistake to be
//! switched on.

#[path = "../mutants/rules.rs"]
#[expect(dead_code, reason = "here there is one mistake")]
mod rules;

#[expect(dead_code, reason = "the other tests use the rest")]
mod plain {
    use sync::atomic;

    include!(concat!(env!("OUT_DIR"), "/limit.rs"));
}

use plain::logic::gate::{Closed, Gate, Use};

fn many() {
    let gate = Gate::new();
    let mut uses: Vec<Use<'_>> = Vec::new();
    for _ in 0..2 {
        uses.push(gate.enter().expect("there may be two"));
    }
    assert_eq!(gate.enter().err(), Some(Closed::TooManyUses), "enter");
    assert_eq!(gate.remain().err(), Some(Closed::TooManyUses), "remain");
    assert_eq!(gate.unregister().err(), Some(Closed::TooManyUses));
    let none = uses.pop().and_then(Use::leave);
    assert!(none.is_none(), "the port is registered");
    uses.push(gate.unregister().expect("there is room for this one"));
    assert_eq!(gate.remain().err(), Some(Closed::TooManyUses), "remain");
    let owed = uses.into_iter().filter_map(Use::leave).count();
    assert_eq!(owed, 1, "the last one owes the callback");
}

#[test]
fn too_many_are_refused() {
    many();
}

#[test]
#[should_panic(expected = "enter")]
fn any_number_is_found() {
    rules::set(rules::Rule::CountsAnyNumber);
    many();
}
