// SPDX-License-Identifier: GPL-2.0

//! Logical units as task management sees them.

use core::{
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

use super::{
    command::Command,
    request::Requests,
    task_set::Queue, //
};
use crate::{
    bindings,
    list::ListGuard,
    lock::{
        IrqSpinLock,
        Mutex,
        SpinLock, //
    },
    logic::Kind,
    object::{
        c_object,
        Constant,
        View, //
    },
    tmr_function::TmrNotify,
};

c_object! {
    /// The operations of a backend (`struct target_backend_ops`).
    // SAFETY: They are constants of a module that stays as long as it has logical units.
    unsafe struct BackendOps(bindings::target_backend_ops) {
        fn tmr_notify: Constant<Option<TmrNotify>> = tmr_notify;
    }
}

/// `tmr_notify` as bindgen sees it, with a number in the place of its enum.
type BoundTmrNotify = unsafe extern "C" fn(
    *mut bindings::se_device,
    bindings::tcm_tmreq_table,
    *mut bindings::list_head,
);

impl View<Option<BoundTmrNotify>> for Constant<Option<TmrNotify>> {}

c_object! {
    /// A logical unit (`struct se_device`).
    // SAFETY: `target_alloc_device()` sets queues and backend and initialises locks and lists, and
    // they stay until the logical unit is freed. That waits for its commands, and what task
    // management knows is the logical unit of a command.
    pub(crate) unsafe struct Device(bindings::se_device) {
        fn queue_count: Constant<c_int> = queue_cnt;
        fn queues_ptr: Constant<*mut bindings::se_device_queue> = queues;
        fn backend: Constant<Option<&'a BackendOps>> = transport;
        fn request_lock: IrqSpinLock = se_tmr_lock;
        fn request_list: Opaque<bindings::list_head> = dev_tmr_list;
        /// Protects the SPC-2 reservation. C looks at its flag without the lock, too.
        fn reservation_lock: SpinLock = dev_reservation_lock;
        fn reservation_flags: Atomic<u32> = dev_reservation_flags;
        fn reservation_holder: Atomic<*mut bindings::se_session> = reservation_holder;
        /// Changed through configfs.
        fn transport_flags: Atomic<i8> = transport_flags;
        /// Changed through configfs.
        fn emulate_tas: Atomic<bool> = dev_attrib.emulate_tas;
        /// One reset at a time, lest the second is answered while the first still waits for
        /// commands that both should wait for.
        pub(crate) fn reset_mutex: Mutex = lun_reset_mutex;
        /// Resets so far, for configfs.
        pub(crate) fn resets: Atomic<isize> = num_resets;
        /// ABORT_TASK requests so far that found their command, for configfs.
        pub(crate) fn aborts_complete: Atomic<isize> = aborts_complete;
        /// ABORT_TASK requests so far that did not, for configfs.
        pub(crate) fn aborts_no_task: Atomic<isize> = aborts_no_task;
    }
}

impl Device {
    /// The queues, one for each possible CPU.
    pub(crate) fn queues(&self) -> &[Queue] {
        let count = usize::try_from(self.queue_count().get()).unwrap_or(0);
        // SAFETY: The core allocates an array of `queue_cnt` queues with the device and frees it
        // with the device. `Queue` has the layout of its elements.
        unsafe { slice::from_raw_parts(self.queues_ptr().get().cast(), count) }
    }

    /// Tells whether the caller runs in the work item of a submission queue of this device.
    pub(crate) fn in_submission(&self) -> bool {
        // SAFETY: May be called from every context.
        let current = unsafe { bindings::current_work() };
        self.queues()
            .iter()
            .any(|queue| queue.is_submitted_by(current))
    }

    /// The TAS bit of the control mode page.
    pub(crate) fn task_aborted_status(&self) -> bool {
        self.emulate_tas().load(Relaxed)
    }

    /// What a command of the logical unit is to task management.
    pub(crate) fn kind_of(&self, command: &Command) -> Kind {
        let flags = u32::from(self.transport_flags().load(Relaxed) as u8);
        command.kind(flags & bindings::TRANSPORT_FLAG_PASSTHROUGH_PGR != 0)
    }

    /// Keeps the requests of the logical unit from leaving it.
    pub(crate) fn lock_requests(&self) -> Requests<'_> {
        let guard = self.request_lock().lock();
        let head = NonNull::from_ref(self.request_list()).cast();
        // SAFETY: The lock protects the list, which the core has initialised and on which requests
        // are linked by `tmr_list`. Before it releases the command of a request the core takes the
        // request off the list. All requests are made by `TmrRequest`.
        unsafe { ListGuard::new(head, guard) }
    }

    /// What the backend wants to be told of aborts with.
    pub(super) fn tmr_notify(&self) -> Option<TmrNotify> {
        self.backend().get().and_then(|ops| ops.tmr_notify().get())
    }

    /// Ends a reservation by the RESERVE command of SPC-2. Returns whether there was one.
    pub(crate) fn release_spc2_reservation(&self) -> bool {
        let _guard = self.reservation_lock().lock();
        let flags = self.reservation_flags().load(Relaxed);
        if flags & bindings::DRF_SPC2_RESERVATIONS == 0 {
            return false;
        }
        self.reservation_holder().store(ptr::null_mut(), Relaxed);
        self.reservation_flags()
            .store(flags & !bindings::DRF_SPC2_RESERVATIONS, Relaxed);
        true
    }
}
