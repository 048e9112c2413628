// SPDX-License-Identifier: GPL-2.0

//! Delayed work that can be moved and cancelled.
//!
//! The kernel crate's `DelayedWork` can do neither, and a deadline that comes earlier than the one
//! that is waited for needs both.

use super::backend::{
    Backend,
    Device, //
};
use super::bindings;
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    sync::ArcBorrow,
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    types::Opaque, //
};

/// A backend whose devices have delayed work.
pub(crate) trait HasDelayedWork: Backend {
    /// The work of a device.
    fn delayed_work(device: &Device<Self>) -> &DelayedWork<Self>;

    /// Does the work, in process context.
    fn run(device: ArcBorrow<'_, Device<Self>>);
}

/// The work with the device that it is for.
#[repr(C)]
struct Inner {
    work: bindings::delayed_work,
    device: *mut c_void,
}

/// Delayed work of a device of backend `T`.
///
/// # Invariants
///
/// `inner.work` is initialised to call `DelayedWork::<T>::run`; while it is queued or runs,
/// `inner.device` is the device that embeds `self`.
#[pin_data]
pub(crate) struct DelayedWork<T> {
    #[pin]
    inner: Opaque<Inner>,
    _backend: PhantomData<fn(&T)>,
}

// SAFETY: The workqueue does its own locking; `device` is written by one caller of `arm` at a time.
unsafe impl<T> Send for DelayedWork<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for DelayedWork<T> {}

impl<T: HasDelayedWork> DelayedWork<T> {
    /// Makes work that is not queued.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- Opaque::ffi_init(|inner: *mut Inner| {
                // SAFETY: The memory is ours; the shim initialises the whole `delayed_work`.
                unsafe {
                    (*inner).device = core::ptr::null_mut();
                    bindings::tcmu_shim_init_delayed_work(&raw mut (*inner).work, Some(Self::run));
                }
            }),
            _backend: PhantomData,
        })
    }

    /// # Safety
    ///
    /// Called by the workqueue with work that [`DelayedWork::arm`] has queued.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: By the type invariant `work` is in an `Inner` whose device is set, and the
        // device is alive: its owner calls `cancel` before LIO's reference is dropped.
        let device: ArcBorrow<'_, Device<T>> = unsafe {
            let work = kernel::container_of!(work, bindings::delayed_work, work);
            let inner = kernel::container_of!(work, Inner, work);
            Device::from_raw((*inner).device.cast())
        };
        T::run(device);
    }

    /// Runs the work of `device` after `delay` milliseconds, whether it was queued or not.
    ///
    /// A `delay` above `i32::MAX` would be one without end, as `msecs_to_jiffies()` has it.
    ///
    /// # Safety
    ///
    /// Calls for the same device exclude each other. [`DelayedWork::cancel`] is called after the
    /// last of them and before LIO gives up its reference to the device.
    pub(crate) unsafe fn arm(device: &Device<T>, delay: Msecs) {
        let inner = T::delayed_work(device).inner.get();
        // SAFETY: The work is initialised and embedded in the device, which outlives it by the
        // safety requirements. Nobody else writes `device`; work that runs at the same time reads
        // it, but was queued with the value that it keeps.
        unsafe {
            (*inner).device = core::ptr::from_ref(device).cast_mut().cast();
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_dfl_wq,
                &raw mut (*inner).work,
                msecs_to_jiffies(delay),
            )
        };
    }

    /// Takes the work off the queue and waits until it does not run.
    pub(crate) fn cancel(&self) {
        // SAFETY: The work is initialised by the type invariant.
        unsafe { bindings::cancel_delayed_work_sync(&raw mut (*self.inner.get()).work) };
    }
}
