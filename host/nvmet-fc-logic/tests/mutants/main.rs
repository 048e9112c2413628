// SPDX-License-Identifier: GPL-2.0

//! The tests find what is wrong with logic that makes one mistake: rules of C, an order that is
//! wrong, a link that is not made.
//!
//! Scenarios and reference are those of the other tests; only the logic is a copy that was mutated
//! by `build.rs`.

mod rules;

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../../src"]
mod plain {
    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
    #[path = "primitives/standard.rs"]
    pub(crate) mod primitives;
    pub(crate) mod rig;
}

#[expect(dead_code, reason = "the other tests use the rest")]
#[expect(clippy::duplicate_mod, reason = "the same files on other primitives")]
#[path = "../../src"]
mod model {
    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
    #[path = "primitives/loom.rs"]
    pub(crate) mod primitives;
    pub(crate) mod rig;
}

#[path = "../../src/races.rs"]
mod races;
#[path = "../../src/reference.rs"]
mod reference;
#[path = "../../src/states.rs"]
mod states;

mod alone;
mod order;
