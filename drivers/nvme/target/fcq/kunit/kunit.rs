// SPDX-License-Identifier: GPL-2.0

//! KUnit suites for the logic of target queues.
//!
//! The very same files are tested at length on the host, with all interleavings. Here they run with
//! the kernel's own locks and memory, in threads of the kernel. A module of its own: loading it
//! runs the suites, and nvmet-fc carries no test.

#[path = "../logic/mod.rs"]
mod logic;

#[path = "../../../../../rust/ext/mod.rs"]
pub mod ext;

mod abort;
mod close;
mod common;
mod deferral;
mod race;

use kernel::prelude::*;

module! {
    type: Suites,
    name: "nvmet_fc_queue_kunit",
    authors: ["The lio-rust developers"],
    description: "KUnit tests of the target queues of NVMe over Fibre Channel",
    license: "GPL",
}

/// Nothing: KUnit finds the suites when the module is loaded.
struct Suites;

impl kernel::Module for Suites {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
