// SPDX-License-Identifier: GPL-2.0

//! KUnit suites for the logic of the gates of LLDD ports.
//!
//! The very same files are tested at length on the host, with atomics that try all interleavings.
//! Here they run on the kernel's own, in threads of the kernel. A module of its own: loading it
//! runs the suites, and nvme-fc carries no test.

#[path = "../logic/mod.rs"]
mod logic;

#[path = "../../../../../rust/ext/mod.rs"]
pub mod ext;

mod common;
mod connectivity;
mod gate;
mod ports;
mod race;

use kernel::{
    prelude::*,
    sync::atomic, //
};

module! {
    type: Suites,
    name: "nvme_fc_gate_kunit",
    authors: ["The lio-rust developers"],
    description: "KUnit tests of the LLDD ports of the NVMe host's FC transport",
    license: "GPL",
}

/// Nothing: KUnit finds the suites when the module is loaded.
struct Suites;

impl kernel::Module for Suites {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
