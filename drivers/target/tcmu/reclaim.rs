// SPDX-License-Identifier: GPL-2.0

//! Reclaim of data pages.
//!
//! A page of a data area is allocated when a command first needs it and then stays, as other
//! commands will need it too. When the devices together have more pages than the module parameter
//! `global_max_data_area_mb` allows, a worker takes from each device the pages that no command
//! uses, also out of the mapping of its user space. The limit is a soft one: what commands need is
//! allocated all the same, and while the devices are above the limit the worker looks again every
//! [`INTERVAL_MS`].
//!
//! C counterpart: `find_free_blocks()`, which takes only the pages behind the last block that is in
//! use, so that one old command keeps all the memory before it; here holes are taken as well.

use super::device::Tcmu;
use super::lio::{
    backend::Device,
    bindings,
    memalloc::NoIoScope, //
};
use super::parameters::max_data_area_mb;
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

/// How long the worker waits before it looks again, in milliseconds.
const INTERVAL_MS: u32 = 5_000;

/// Pages that the data areas of all devices have.
static PAGES: Atomic<usize> = Atomic::new(0);

kernel::sync::global_lock! {
    // SAFETY: Initialised in `TcmuModule::init` before its first use.
    /// The devices that have a data area. Taken before the lock of a device.
    pub(crate) unsafe(uninit) static DEVICES: Mutex<KVec<Arc<Device<Tcmu>>>> = KVec::new();
}

fn is_above_limit() -> bool {
    PAGES.load(Relaxed) > (max_data_area_mb() as usize) << (20 - PAGE_SHIFT)
}

/// Runs the worker in `ms` milliseconds, unless it is to run anyway.
fn schedule(ms: u32) {
    // SAFETY: The work is static, and `end` cancels it before its function goes.
    unsafe { bindings::tcmu_shim_schedule_reclaim(ms) };
}

/// Takes the worker off the queue and waits until it does not run.
fn cancel() {
    // SAFETY: The work is static.
    unsafe { bindings::tcmu_shim_cancel_reclaim() };
}

/// A device has got `pages` pages.
pub(crate) fn add(pages: usize) {
    PAGES.add(pages, Relaxed);
    if is_above_limit() {
        schedule(0);
    }
}

/// A device has given `pages` pages back.
pub(crate) fn subtract(pages: usize) {
    PAGES.fetch_sub(pages, Relaxed);
}

/// The module parameter has changed.
pub(crate) fn limit_changed() {
    if is_above_limit() {
        schedule(0);
    } else {
        cancel();
    }
}

/// A device has got a data area.
pub(crate) fn enter(device: Arc<Device<Tcmu>>) -> Result {
    let _noio = NoIoScope::enter();
    Ok(DEVICES.lock().push(device, GFP_KERNEL)?)
}

/// The data area of a device serves no commands any more.
pub(crate) fn leave(device: &Device<Tcmu>) {
    DEVICES
        .lock()
        .retain(|other| !core::ptr::eq(&**other, device));
}

/// The module goes: there is no device any more.
pub(crate) fn end() {
    cancel();
    *DEVICES.lock() = KVec::new();
}

/// The worker, which the shim's work item refers to.
#[no_mangle]
extern "C" fn tcmu_reclaim(_work: *mut bindings::work_struct) {
    if !is_above_limit() {
        return;
    }
    for device in &*DEVICES.lock() {
        Tcmu::reclaim(device);
    }
    if is_above_limit() {
        schedule(INTERVAL_MS);
    }
}
