// SPDX-License-Identifier: GPL-2.0

//! A low-level driver for tests of the NVMe host's FC transport, without hardware.
//!
//! `/sys/kernel/debug/nvme_fc_test_lldd` has
//!
//! - `orders`, to which a test writes what is to be done, a line at a time (`order.rs`). A write
//!   returns when it was done, with the error that came of it. Several threads may write.
//! - `state`, which has a line for each port that was registered, with how often it was registered,
//!   unregistered and deleted, and a line for each kind of fault of the transport, with how often
//!   there was one (`Fault` in `state.rs`).
//!
//! Ports have numbers, of which their world wide names are made (`transport.rs`). The target that
//! is pretended creates associations, and has a controller without namespaces (`target.rs`).
//!
//! The module cannot be unloaded before the transport has called back for all ports, and `state` or
//! `orders` was used after that.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../../rust/ext/mod.rs"]
pub mod ext;

mod driver;
mod order;
mod state;
mod target;
#[expect(unsafe_code, reason = "called by C")]
mod template;
#[expect(unsafe_code, reason = "a view of C")]
mod transport;

use ext::{
    bindings,
    debugfs::{
        Dir,
        File,
        Show,
        Take, //
    },
};
use kernel::{
    fmt,
    prelude::*,
    sync::{
        global_lock,
        Arc, //
    },
};
use order::Order;
use state::State;

module! {
    type: TestLldd,
    name: "nvme_fc_test_lldd",
    authors: ["The lio-rust developers"],
    description: "Low-level driver for tests of the NVMe host's FC transport",
    license: "GPL",
}

global_lock! {
    // SAFETY: The module's `init` initialises it before it makes the files, without which there
    // are no ports.
    unsafe(uninit) static STATE: SpinLock<State> = State::new();
}

/// The file `orders`.
struct Orders;

impl Take for Orders {
    const MOST: usize = 128;

    fn take(&self, text: &[u8]) -> Result {
        driver::carry_out(Order::parse(text)?)
    }
}

/// The file `state`.
struct Shown;

impl Show for Shown {
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        driver::reap();
        STATE.lock().show(out)
    }
}

/// The files in debugfs.
struct Files {
    _orders: File<Orders>,
    _state: File<Shown>,
}

struct TestLldd {
    files: Option<Files>,
}

impl kernel::Module for TestLldd {
    #[expect(unsafe_code, reason = "STATE is a static")]
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: Called once, before anybody uses it.
        unsafe { STATE.init() };
        let dir = Dir::<Self>::new(c"nvme_fc_test_lldd")?;
        let files = Files {
            _orders: dir.orders(c"orders", Arc::new(Orders, GFP_KERNEL)?),
            _state: dir.file(c"state", Arc::new(Shown, GFP_KERNEL)?),
        };
        Ok(Self { files: Some(files) })
    }
}

impl Drop for TestLldd {
    fn drop(&mut self) {
        // There are no ports, which keep the module; and now nobody gives orders.
        self.files = None;
        driver::forget();
    }
}
