// SPDX-License-Identifier: GPL-2.0

//! What is fuzzed: the kernel's own files, with the tests' surroundings.
//!
//! Each target is a function from bytes to nothing that panics if something is wrong. The programs
//! in `fuzz_targets` give it to libFuzzer, `tests/corpus.rs` plays the saved inputs.
//! `host/README.rst` says how to run both.

#[expect(dead_code, unused_imports, reason = "as in host/tcmu-logic/src/lib.rs")]
#[path = "../../../../drivers/target/tcmu/logic/mod.rs"]
mod logic;

#[path = "../../src/tests/"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod harness {
    pub(crate) mod command;
    pub(crate) mod host;
    pub(crate) mod memory;
    pub(crate) mod model;
    pub(crate) mod properties;
    pub(crate) mod rig;
    pub(crate) mod space;
    pub(crate) mod user;

    /// The engine as it is tested.
    type TestEngine = crate::logic::engine::Engine<command::TestCompleter, memory::TestMemory>;
}

mod control_parameters;
mod ring_consumer;

pub use control_parameters::control_parameters;
pub use ring_consumer::ring_consumer;
