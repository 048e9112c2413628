// SPDX-License-Identifier: GPL-2.0

//! What debugfs shows of an enabled device: `target_core_user/user_<HBA>.<device>`.
//!
//! The lines are described in `Documentation/target/tcmu-debugfs.rst`.

use super::super::logic::{
    Broken,
    RingIo as _,
    Snapshot, //
};
use super::Tcmu;
use crate::{
    ext::debugfs::{
        Dir,
        File,
        Show, //
    },
    target::device::Device,
    TcmuModule, //
};
use kernel::{
    fmt,
    prelude::*,
    str::CString,
    sync::ArcBorrow, //
};

/// Makes the file of a device.
pub(super) fn file(
    dir: &Dir<TcmuModule>,
    device: ArcBorrow<'_, Device<Tcmu>>,
) -> Result<File<Device<Tcmu>>> {
    let name = &*device.name;
    let name = CString::try_from_fmt(fmt!("user_{}.{name}", device.host_id))?;
    Ok(dir.file(&name, device.into()))
}

// The kernel's formatting has a trait of its own.
impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(self, out)
    }
}

/// A copy made under the device's lock, to be printed without it.
struct Status {
    engine: Snapshot,
    tail: u32,
    pages: usize,
    open: bool,
}

impl Show for Device<Tcmu> {
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = {
            let state = self.state.lock();
            state.active.as_ref().map(|active| Status {
                engine: active.engine.snapshot(),
                tail: active.memory.tail(),
                pages: active.memory.data_pages(),
                open: state.open,
            })
        };
        let Some(status) = status else {
            return Ok(());
        };
        core::fmt::Display::fmt(&status.engine, out)?;
        // As user space has left it, whatever that is.
        writeln!(out, "ring_tail {}", status.tail)?;
        writeln!(out, "data_pages {}", status.pages)?;
        writeln!(out, "node_open {}", u8::from(status.open))
    }
}
