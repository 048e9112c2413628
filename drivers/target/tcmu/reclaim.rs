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

use super::logic::DEFAULT_MAX_DATA_AREA_MB;
use crate::ext::{
    global::global_mutex,
    memalloc::NoIoScope,
    work::{
        Work,
        WorkItem, //
    },
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow, //
    },
};

/// How long the worker waits before it looks again, in milliseconds.
const INTERVAL_MS: u32 = 5_000;

/// What has a data area.
pub(crate) trait Reclaim: Send + Sync {
    /// Gives back the pages that no command has.
    fn reclaim(&self);
}

/// What all data areas should have together, in MiB.
static LIMIT_MB: Atomic<u32> = Atomic::new(DEFAULT_MAX_DATA_AREA_MB);

/// Pages that the data areas of all devices have.
static PAGES: Atomic<usize> = Atomic::new(0);

global_mutex! {
    /// The devices that have a data area. Taken before the lock of a device.
    static DEVICES: KVec<Arc<dyn Reclaim>> = KVec::new();
}

global_mutex! {
    /// The work item, as long as the module is there. Taken inside of all other locks.
    static WORK: Option<Arc<Work<Worker>>> = None;
}

/// The worker.
struct Worker;

/// Makes the work item.
pub(crate) fn begin() -> Result {
    let work = Arc::new(Work::new(Arc::new(Worker, GFP_KERNEL)?)?, GFP_KERNEL)?;
    *WORK.lock() = Some(work);
    Ok(())
}

/// What all data areas should have together, and one can have, in MiB.
pub(crate) fn limit_mb() -> u32 {
    LIMIT_MB.load(Relaxed)
}

fn is_above_limit() -> bool {
    PAGES.load(Relaxed) > (limit_mb() as usize) << (20 - PAGE_SHIFT)
}

/// Runs the worker in `ms` milliseconds, unless it is to run anyway.
fn schedule(ms: u32) {
    if let Some(work) = &*WORK.lock() {
        work.queue(ms);
    }
}

/// Takes the worker off the queue and waits until it does not run.
fn cancel() {
    let work = WORK.lock().clone();
    if let Some(work) = work {
        work.cancel();
    }
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

/// Sets what [`limit_mb`] gives.
pub(crate) fn set_limit_mb(mb: u32) {
    LIMIT_MB.store(mb, Relaxed);
    if is_above_limit() {
        schedule(0);
    } else {
        cancel();
    }
}

/// A device has got a data area.
pub(crate) fn enter(device: Arc<dyn Reclaim>) -> Result {
    let _noio = NoIoScope::enter();
    Ok(DEVICES.lock().push(device, GFP_KERNEL)?)
}

/// The data area of a device serves no commands any more.
pub(crate) fn leave<T: Reclaim>(device: &T) {
    DEVICES
        .lock()
        .retain(|other| !core::ptr::addr_eq(&raw const **other, device));
}

/// The module goes: there is no device any more.
pub(crate) fn end() {
    let work = WORK.lock().take();
    drop(work);
    *DEVICES.lock() = KVec::new();
}

impl WorkItem for Worker {
    fn run(_: ArcBorrow<'_, Self>) {
        if !is_above_limit() {
            return;
        }
        for device in &*DEVICES.lock() {
            device.reclaim();
        }
        if is_above_limit() {
            schedule(INTERVAL_MS);
        }
    }
}
