// SPDX-License-Identifier: GPL-2.0

//! The tests find what is wrong with logic that makes one mistake: one order that is too weak, two
//! steps instead of one, one wrong comparison.
//!
//! Scenarios and reference are those of the other tests; only the logic is a copy that was mutated
//! by `build.rs`.

#[expect(dead_code, reason = "one of them is for tests/limit")]
mod rules;

mod plain {
    use sync::atomic;

    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
}

#[expect(dead_code, reason = "the other tests use the rest")]
#[expect(clippy::duplicate_mod, reason = "the same files on other atomics")]
mod model {
    use sync::loom::atomic;

    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
}

#[path = "../../src/connectivity.rs"]
mod connectivity;
#[path = "../../src/private_size.rs"]
mod private_size;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../../src/races.rs"]
mod races;
#[path = "../../src/reference.rs"]
mod reference;
#[path = "../../src/states.rs"]
mod states;

mod alone;
mod order;
