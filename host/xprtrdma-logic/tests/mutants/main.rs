// SPDX-License-Identifier: GPL-2.0

//! The tests find what is wrong with logic that makes one mistake: one barrier that is missing, one
//! order that is too weak, one wrong comparison.
//!
//! Scenarios and reference are those of the other tests; only the logic is a copy that was mutated
//! by `build.rs`.

#[expect(dead_code, reason = "one of them is for tests/wrap")]
mod rules;

#[expect(dead_code, reason = "the other tests use the rest")]
mod plain {
    use sync::{atomic, barrier};

    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
}

#[expect(dead_code, reason = "the other tests use the rest")]
#[expect(clippy::duplicate_mod, reason = "the same files on other atomics")]
mod model {
    use sync::loom::{atomic, barrier};

    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
}

#[path = "../../src/policy.rs"]
mod policy;
#[path = "../../src/positions.rs"]
mod positions;
#[path = "../../src/races.rs"]
mod races;
#[path = "../../src/reference.rs"]
mod reference;

mod alone;
mod order;
