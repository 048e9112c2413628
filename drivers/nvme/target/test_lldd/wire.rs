// SPDX-License-Identifier: GPL-2.0

//! What takes time: a work that completes what is due.

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    time::msecs_to_jiffies,
    types::Opaque, //
};

use crate::{
    bindings,
    lldd, //
};

struct Work(Opaque<bindings::delayed_work>);

// SAFETY: Workqueues do their own locking.
unsafe impl Sync for Work {}

static WORK: Work = Work(Opaque::uninit());

/// Whether the work is initialised, and may be queued.
static READY: Atomic<bool> = Atomic::new(false);

/// Has what is due in so many milliseconds, or earlier, completed then. May be called in any
/// context.
pub(crate) fn kick(msecs: u32) {
    if READY.load(Acquire) {
        // SAFETY: It is initialised, and is cancelled before this module goes.
        unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_dfl_wq,
                WORK.0.get(),
                msecs_to_jiffies(msecs),
            );
        }
    }
}

/// # Safety
///
/// Called by the workqueue.
unsafe extern "C" fn run(_work: *mut bindings::work_struct) {
    lldd::deliver();
}

/// The work, as long as this is there.
pub(crate) struct Wire(());

impl Wire {
    /// Makes it. Only one may be there.
    pub(crate) fn start() -> Result<Self> {
        if READY.load(Relaxed) {
            return Err(EBUSY);
        }
        // SAFETY: Nobody uses it before it is ready.
        unsafe { bindings::init_delayed_work(WORK.0.get(), Some(run)) };
        READY.store(true, Release);
        Ok(Self(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        READY.store(false, Release);
        // SAFETY: It is initialised. Waits until it does not run; who kicks it has a command out,
        // and there is none any more.
        unsafe { bindings::cancel_delayed_work_sync(WORK.0.get()) };
    }
}
