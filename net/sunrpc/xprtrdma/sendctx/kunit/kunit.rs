// SPDX-License-Identifier: GPL-2.0

//! KUnit suites for the logic of Send contexts.
//!
//! The very same files are tested at length on the host, with atomics that try all interleavings.
//! Here they run on the kernel's own, in threads of the kernel. A module of its own: loading it
//! runs the suites, and rpcrdma carries no test.

#[path = "../logic/mod.rs"]
mod logic;

#[path = "../../../../../rust/ext/mod.rs"]
pub mod ext;

mod close;
mod common;
mod completions;
mod race;
mod ring;
mod signal;

use kernel::{
    prelude::*,
    sync::{
        atomic,
        barrier, //
    }, //
};

module! {
    type: Suites,
    name: "rpcrdma_sendctx_kunit",
    authors: ["The lio-rust developers"],
    description: "KUnit tests of the Send contexts of RPC-over-RDMA",
    license: "GPL",
}

/// Nothing: KUnit finds the suites when the module is loaded.
struct Suites;

impl kernel::Module for Suites {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
