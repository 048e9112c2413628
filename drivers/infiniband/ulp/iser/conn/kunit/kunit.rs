// SPDX-License-Identifier: GPL-2.0

//! KUnit suites for the logic of iSER connections.
//!
//! The very same files are gone through in full on the host. Here the sequences that matter are
//! played as the kernel's compiler has made them. A module of its own: loading it runs the suites,
//! and ib_iser carries no test.

#[expect(dead_code, reason = "queue pairs are drained in ib_iser alone")]
#[path = "../logic/mod.rs"]
mod logic;

#[path = "../../../../../../rust/ext/mod.rs"]
pub mod ext;

mod common;
mod failure;
mod sequences;
mod states;

use kernel::{
    prelude::*,
    sync::atomic, //
};

module! {
    type: Suites,
    name: "ib_iser_conn_kunit",
    authors: ["The lio-rust developers"],
    description: "KUnit tests of the connections of the iSER initiator",
    license: "GPL",
}

/// Nothing: KUnit finds the suites when the module is loaded.
struct Suites;

impl kernel::Module for Suites {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
