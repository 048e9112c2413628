// SPDX-License-Identifier: GPL-2.0

//! KUnit suites for what tcmu's logic does with the kernel's own memory.
//!
//! The very same files are tested at length on the host (`host/tcmu-logic`), where memory is a
//! vector. Here they run on the arrays of the driver, at the sizes that a device can reach. A
//! module of its own: loading it runs the suites, and the driver carries no test.

#[expect(
    dead_code,
    unused_imports,
    reason = "the driver uses what the suites do not"
)]
#[path = "../logic/mod.rs"]
mod logic;
#[path = "../table.rs"]
mod table;

mod data_area;
mod ids;
mod queues;
mod ring;
mod suite;
mod table_test;

use kernel::prelude::*;

module! {
    type: Suites,
    name: "target_core_user_kunit",
    authors: ["The lio-rust developers"],
    description: "KUnit tests of the TCM USER subsystem plugin",
    license: "GPL",
}

/// Nothing: KUnit finds the suites when the module is loaded.
struct Suites;

impl kernel::Module for Suites {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
