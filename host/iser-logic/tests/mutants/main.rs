// SPDX-License-Identifier: GPL-2.0

//! The tests find what is wrong with logic that makes one mistake, and what is wrong in C.
//!
//! The world around and the search are those of the other tests; only the logic is a copy that was
//! mutated by `build.rs`.

#[expect(dead_code, reason = "the other tests use the rest")]
mod plain {
    use sync::atomic;

    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
}

#[expect(dead_code, reason = "only what threads do at the same time is tested")]
#[expect(clippy::duplicate_mod, reason = "the same files on other atomics")]
mod model {
    use sync::loom::atomic;

    include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
}

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../../src/explore.rs"]
mod explore;
mod mistakes;
mod rules;
#[path = "../../src/world.rs"]
mod world;
