// SPDX-License-Identifier: GPL-2.0

//! Work items that can be moved and cancelled.
//!
//! The kernel crate's `DelayedWork` can do neither, and a deadline that comes earlier than the one
//! that is waited for needs both.
//!
//! C header: `include/linux/workqueue.h`

use super::{
    bindings,
    foreign::Foreign, //
};
use kernel::{
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
};

/// What has work to do.
pub trait WorkItem: Send + Sync + 'static {
    /// Does the work, in process context, once at a time.
    fn run(this: ArcBorrow<'_, Self>);
}

#[pin_data]
struct Inner<T> {
    #[pin]
    work: Foreign<bindings::delayed_work>,
    owner: Arc<T>,
}

/// Delayed work of a `T`, which it keeps alive.
///
/// Dropping it takes the work off the queue and waits until it does not run. An owner that holds
/// its own work must drop it before it can go itself, and not from inside the work, which would
/// wait for itself.
pub struct Work<T: WorkItem>(Pin<KBox<Inner<T>>>);

impl<T: WorkItem> Work<T> {
    /// Makes work of `owner` that is not queued.
    pub fn new(owner: Arc<T>) -> Result<Self> {
        let inner = pin_init!(Inner {
            // SAFETY: The helper initialises the whole struct. Workqueues do their own locking.
            work <- unsafe {
                Foreign::ffi_init(|work| {
                    bindings::init_delayed_work(work, Some(Self::run));
                })
            },
            owner,
        });
        Ok(Self(KBox::pin_init(inner, GFP_KERNEL)?))
    }

    /// # Safety
    ///
    /// Called by the workqueue with the work of a value of this type.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: By the safety requirements the work is in an `Inner`, which `drop` does not free
        // before this has returned.
        let inner = unsafe {
            let work = kernel::container_of!(work, bindings::delayed_work, work);
            &*kernel::container_of!(
                work.cast::<Foreign<bindings::delayed_work>>(),
                Inner<T>,
                work
            )
        };
        T::run(inner.owner.as_arc_borrow());
    }

    /// Runs the work after `delay` milliseconds, unless it is queued.
    ///
    /// A `delay` above `i32::MAX` is one without end, as `msecs_to_jiffies()` has it.
    pub fn queue(&self, delay: Msecs) {
        // SAFETY: The work is initialised, and `drop` cancels it.
        unsafe {
            bindings::queue_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_dfl_wq,
                self.0.work.as_ptr(),
                msecs_to_jiffies(delay),
            )
        };
    }

    /// Runs the work after `delay` milliseconds, as [`Work::queue`] has it, also if it is queued.
    #[inline]
    pub fn modify(&self, delay: Msecs) {
        // SAFETY: As in `queue`.
        unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_dfl_wq,
                self.0.work.as_ptr(),
                msecs_to_jiffies(delay),
            )
        };
    }

    /// Takes the work off the queue and waits until it does not run.
    pub fn cancel(&self) {
        // SAFETY: The work is initialised.
        unsafe { bindings::cancel_delayed_work_sync(self.0.work.as_ptr()) };
    }
}

impl<T: WorkItem> Drop for Work<T> {
    fn drop(&mut self) {
        self.cancel();
    }
}
