// SPDX-License-Identifier: GPL-2.0

//! tcmu: a backend of LIO whose commands are executed in user space.
//!
//! C counterpart: `drivers/target/target_core_user.c`. The interface to user space is
//! `include/uapi/linux/target_core_user.h`, described in `Documentation/target/tcmu-design.rst` of
//! the kernel; the structure of this module in `Documentation/target/tcmu-rust.rst`.

mod attributes;
mod control;
mod device;
mod lio;
mod memory;
mod netlink;
mod parameters;
mod policy;
mod reclaim;
mod table;

use device::Tcmu;
use kernel::prelude::*;
use lio::{
    backend,
    debugfs,
    genl,
    uio::RootDevice, //
};

module! {
    type: TcmuModule,
    name: "target_core_user",
    authors: ["The lio-rust developers"],
    description: "TCM USER subsystem plugin",
    license: "GPL",
}

kernel::sync::global_lock! {
    // SAFETY: Initialised in `TcmuModule::init` before its first use.
    /// Taken before the lock of a UIO device's name, UIO's `info_lock` and the lock of a device;
    /// users of a node, who come with `info_lock` held, never take it.
    pub(crate) unsafe(uninit) static ROOT: Mutex<Option<Root>> = None;
}

/// What lives as long as the module. Dropped in the order of the fields.
struct TcmuModule {
    _backend: backend::Registration,
    _family: genl::Registration,
    _root: RootGuard,
}

/// Where devices appear.
struct Root {
    /// `tcm_user` in sysfs, below which the UIO devices are.
    device: RootDevice,
    /// The directory for the status of devices.
    debugfs: debugfs::Dir<TcmuModule>,
}

/// Makes [`ROOT`], and takes it away when dropped.
struct RootGuard;

impl RootGuard {
    fn register(module: &'static ThisModule) -> Result<Self> {
        *ROOT.lock() = Some(Root {
            device: RootDevice::new(c"tcm_user", module)?,
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
        // SAFETY: Called once, before anything else uses the locks.
        unsafe {
            ROOT.init();
            netlink::BOOK.init();
            reclaim::DEVICES.init();
        }
        netlink::set_ready();
        // What is registered first is dropped last if a later step fails.
        let root = RootGuard::register(module)?;
        let family = genl::Registration::new::<netlink::TcmuProtocol>()?;
        let backend = backend::Registration::new::<Tcmu>(
            module,
            attributes::attrib()?,
            attributes::action()?,
        )?;
        Ok(Self {
            _backend: backend,
            _family: family,
            _root: root,
        })
    }
}
