// SPDX-License-Identifier: GPL-2.0

//! tcmu: a backend of LIO whose commands are executed in user space.
//!
//! C counterpart: `drivers/target/target_core_user.c`. The interface to user space is
//! `include/uapi/linux/target_core_user.h`, described in `Documentation/target/tcmu-design.rst` of
//! the kernel; the structure of this module in `Documentation/target/tcmu-rust.rst`.

#![deny(unsafe_code)]

mod attributes;
mod device;
mod logic;
mod memory;
mod netlink;
mod parameters;
mod reclaim;
mod table;
mod uapi_check;

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../rust/ext/mod.rs"]
pub mod ext;
#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../rust/target/mod.rs"]
pub mod target;

use device::Tcmu;
use ext::{
    debugfs,
    genl,
    global::global_mutex,
    uio, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use target::backend;

module! {
    type: TcmuModule,
    name: "target_core_user",
    authors: ["The lio-rust developers"],
    description: "TCM USER subsystem plugin",
    license: "GPL",
}

global_mutex! {
    /// What the devices share. Not taken in UIO's callbacks, which hold `info_lock`.
    pub(crate) static ROOT: Option<Root> = None;
}

/// What lives as long as the module. Dropped in the order of the fields.
struct TcmuModule {
    _backend: backend::Registration<Tcmu>,
    _family: genl::Registration,
    _root: RootGuard,
}

/// Where devices appear.
struct Root {
    /// `tcm_user` in sysfs, below which the UIO devices are.
    uio: Arc<uio::Root>,
    /// The directory for the status of devices.
    debugfs: debugfs::Dir<TcmuModule>,
}

/// Makes [`ROOT`], and takes it away when dropped.
struct RootGuard;

impl RootGuard {
    fn register(module: &'static ThisModule) -> Result<Self> {
        *ROOT.lock() = Some(Root {
            uio: uio::Root::new(c"tcm_user", module)?,
            debugfs: debugfs::Dir::new(c"target_core_user")?,
        });
        Ok(Self)
    }
}

impl Drop for RootGuard {
    fn drop(&mut self) {
        *ROOT.lock() = None;
        // Statics are not dropped: an empty list may still hold memory.
        *netlink::BOOK.lock() = netlink::Book::new();
        reclaim::end();
    }
}

impl kernel::Module for TcmuModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        // What is registered first is dropped last if a later step fails.
        let root = RootGuard::register(module)?;
        reclaim::begin()?;
        let family = genl::Registration::new::<netlink::TcmuProtocol>()?;
        let backend = backend::Registration::new(attributes::attrib()?, attributes::action()?)?;
        Ok(Self {
            _backend: backend,
            _family: family,
            _root: root,
        })
    }
}
