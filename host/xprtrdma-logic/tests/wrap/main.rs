// SPDX-License-Identifier: GPL-2.0

//! The tests of the ring once more, with counts of Sends that wrap: they begin a few Sends before
//! that.
//!
//! The logic is a copy in which `build.rs` has changed one number, and has put a mistake to be
//! switched on.

#[path = "../mutants/rules.rs"]
#[expect(dead_code, reason = "here there is one mistake")]
mod rules;

#[expect(dead_code, reason = "the other tests use the rest")]
mod plain {
    use sync::{atomic, barrier};

    include!(concat!(env!("OUT_DIR"), "/wrap.rs"));
}

#[path = "../../src/positions.rs"]
mod positions;
#[path = "../../src/queue.rs"]
mod queue;
#[path = "../../src/reference.rs"]
mod reference;

#[test]
#[should_panic(expected = "S2: all are in use")]
fn counts_that_do_not_wrap_are_found() {
    rules::set(rules::Rule::CountsDoNotWrap);
    positions::search(3);
}
