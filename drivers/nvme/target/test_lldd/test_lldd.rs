// SPDX-License-Identifier: GPL-2.0

//! An LLDD without an adapter for the nvmet-fc transport: what an initiator sends is what is
//! written to a file in debugfs.
//!
//! `/sys/kernel/debug/nvmet_fc_test_lldd` has:
//!
//! - `orders`: takes an order at each `write()`, several at a time; `order.rs` has their syntax. An
//!   error is that of the transport, or `EINVAL`.
//! - `commands`, `link_services`: one a line, with what the transport has done with it.
//! - `state`: a name and a number a line.
//!
//! The transport is asked to do nothing twice, and told of nothing that did not happen. What it
//! does that an LLDD may not expect is a fault of the command that it is done to. The buffer of a
//! command IU is overwritten as soon as the transport does not need it.
//!
//! The module may go at any time: what is held is completed, and it waits until the transport has
//! deleted the port.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../../rust/ext/mod.rs"]
pub mod ext;

#[expect(unsafe_code, reason = "a view of C")]
mod exchange;
#[expect(unsafe_code, reason = "a view of C")]
mod link_service;
mod lldd;
mod order;
#[expect(unsafe_code, reason = "a view of C")]
mod port;
mod record;
#[expect(unsafe_code, reason = "a view of C")]
mod stall;
#[expect(unsafe_code, reason = "a view of C")]
mod wire;

use ext::{
    bindings,
    debugfs::{
        Dir,
        File, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use lldd::{
    Commands,
    LinkServices,
    Orders,
    State, //
};
use port::Port;
use stall::Stall;
use wire::Wire;

module! {
    type: TestLldd,
    name: "nvmet_fc_test_lldd",
    authors: ["The lio-rust developers"],
    description: "LLDD without an adapter for nvmet-fc, for tests",
    license: "GPL",
}

/// The files in debugfs.
struct Files {
    _orders: File<Orders>,
    _commands: File<Commands>,
    _link_services: File<LinkServices>,
    _state: File<State>,
}

impl Files {
    fn new() -> Result<Self> {
        let dir = Dir::<TestLldd>::new(c"nvmet_fc_test_lldd")?;
        Ok(Self {
            _orders: dir.orders(c"orders", Arc::new(Orders, GFP_KERNEL)?),
            _commands: dir.file(c"commands", Arc::new(Commands, GFP_KERNEL)?),
            _link_services: dir.file(c"link_services", Arc::new(LinkServices, GFP_KERNEL)?),
            _state: dir.file(c"state", Arc::new(State, GFP_KERNEL)?),
        })
    }
}

struct TestLldd {
    files: Option<Files>,
    wire: Option<Wire>,
    _stall: Stall,
}

impl kernel::Module for TestLldd {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _stall: Stall::register()?,
            wire: Some(Wire::start()?),
            files: Some(Files::new()?),
        })
    }
}

impl Drop for TestLldd {
    fn drop(&mut self) {
        // Orders that wait for the transport, which waits for what is held, come to their end.
        lldd::flow();
        self.files = None;
        // It may have been unregistered already.
        let _ = Port::unregister();
        lldd::wait_until_deleted();
        let out = lldd::totals().out;
        if out != 0 {
            pr_err!("{out} commands were not given back\n");
        }
        self.wire = None;
        port::flush();
        lldd::forget();
    }
}
