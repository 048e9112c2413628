// SPDX-License-Identifier: GPL-2.0

//! Logical units as task management sees them: their task set, their requests, their counters.

use core::{
    cell::Cell,
    ops::ControlFlow,
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

use crate::{
    bindings,
    list::List,
    lock::{
        IrqSpinLock,
        Mutex,
        SpinLock, //
    },
    object::c_object,
    task::{
        AbortedCommands,
        Command,
        Session,
        StateList, //
    },
    tmr_request::{
        RequestList,
        TmrRequest, //
    },
    tmr_trace, //
};

/// `tmr_notify` of a backend: the device, a `tcm_tmreq_table`, the aborted commands.
///
/// The backend needs the two objects until it returns and changes neither.
type TmrNotify = extern "C" fn(&Device, bindings::tcm_tmreq_table, &StateList);

c_object! {
    /// The operations of a backend (`struct target_backend_ops`), constant.
    pub(crate) struct BackendOps(bindings::target_backend_ops) {
        fn tmr_notify: Cell<Option<TmrNotify>> = tmr_notify;
    }
}

c_object! {
    /// A registration that a PREEMPT AND ABORT removed (`struct t10_pr_registration`).
    pub(crate) struct Registration(bindings::t10_pr_registration) {
        fn key_field: Cell<u64> = pr_res_key;
    }
}

/// Registrations that a PREEMPT AND ABORT removed, a list of the command's own.
pub(crate) type Registrations =
    List<Registration, { core::mem::offset_of!(bindings::t10_pr_registration, pr_reg_abort_list) }>;

impl Registrations {
    /// The reservation keys of the registrations.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.iter()
            .map(|registration| registration.key_field().get())
    }
}

/// What to do with a command of the task set.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    /// Nothing.
    Leave,
    /// End the search, because whoever searches is aborted itself.
    GiveUp,
    /// Abort it, but leave it where it is. With the answer of [`Command::mark_aborted()`].
    Mark(bool),
    /// Abort it and take it off its list. With the answer.
    Take(bool),
    /// The same, and end the search if it was not too late to abort the command. With the answer.
    TakeOnly(bool),
}

c_object! {
    /// The commands that came in on one CPU (`struct se_device_queue`).
    pub(crate) struct Queue(bindings::se_device_queue) {
        fn lock: IrqSpinLock = lock;
        fn state_list: StateList = state_list;
        fn submission: Opaque<bindings::work_struct> = sq.work;
    }
}

impl Queue {
    /// Waits until the commands that are queued for submission now are in the task set.
    ///
    /// Never ends if called from the queue's own work item.
    pub(crate) fn flush_submission(&self) {
        // SAFETY: The work item is initialised and lives as long as the device.
        unsafe { bindings::flush_work(self.submission().get()) };
    }

    /// Goes through the commands of the task set in the order in which they came in, aborts what
    /// `judge` says and moves what is to be taken to `aborted`.
    ///
    /// Breaks if `judge` ended the search. It runs with a spinlock held and interrupts off.
    pub(crate) fn abort(
        &self,
        aborted: &AbortedCommands,
        mut judge: impl FnMut(&Command) -> Verdict,
    ) -> ControlFlow<()> {
        // Protects the state list and the `state_active` of its commands.
        let _guard = self.lock().lock();
        for command in self.state_list().iter() {
            let (answer, take, only) = match judge(command) {
                Verdict::Leave => continue,
                Verdict::GiveUp => return ControlFlow::Break(()),
                Verdict::Mark(answer) => (answer, false, false),
                Verdict::Take(answer) => (answer, true, false),
                Verdict::TakeOnly(answer) => (answer, true, true),
            };
            let Some(session) = command.session() else {
                continue;
            };
            if !command.mark_aborted(session, answer) || !take {
                continue;
            }
            // Without a reference to have, the command is being released and about to leave.
            if let Some(held) = command.hold() {
                aborted.push(held);
                if only {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }
}

c_object! {
    /// A logical unit (`struct se_device`).
    pub(crate) struct Device(bindings::se_device) {
        fn queue_count: Cell<c_int> = queue_cnt;
        fn queues_ptr: Cell<*const Queue> = queues;
        fn backend: Cell<Option<&'a BackendOps>> = transport;
        fn request_lock: IrqSpinLock = se_tmr_lock;
        fn request_list: RequestList = dev_tmr_list;
        fn reservation_lock: SpinLock = dev_reservation_lock;
        fn reservation_flags: Cell<u32> = dev_reservation_flags;
        fn reservation_holder: Cell<Option<&'a Session>> = reservation_holder;
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
        unsafe { slice::from_raw_parts(self.queues_ptr().get(), count) }
    }

    /// Tells whether the caller runs in the work item of a submission queue of this device.
    pub(crate) fn in_submission(&self) -> bool {
        // SAFETY: May be called from every context.
        let current = unsafe { bindings::current_work() };
        self.queues()
            .iter()
            .any(|queue| queue.submission().get() == current)
    }

    /// The TAS bit of the control mode page.
    pub(crate) fn task_aborted_status(&self) -> bool {
        self.emulate_tas().load(Relaxed)
    }

    /// Calls `visit` for each request of the logical unit, which may [`leave()`] the list then.
    ///
    /// `visit` runs with a spinlock held and interrupts off.
    ///
    /// [`leave()`]: TmrRequest::leave
    pub(crate) fn for_each_request(&self, mut visit: impl FnMut(&TmrRequest, &RequestList)) {
        let _guard = self.request_lock().lock();
        for request in self.request_list().iter() {
            visit(request, self.request_list());
        }
    }

    /// Tells the backend of an abort (`tmr_notify`), if it wants to know.
    ///
    /// To be called before the aborted commands are waited for, so that the backend may do
    /// something about it. May sleep.
    pub(crate) fn notify(&self, function: bindings::tcm_tmreq_table, aborted: &AbortedCommands) {
        tmr_trace::notify(self, function, aborted);
        if let Some(notify) = self.backend().get().and_then(|ops| ops.tmr_notify().get()) {
            notify(self, function, aborted.list());
        }
    }

    /// Ends a reservation by the RESERVE command of SPC-2. Returns whether there was one.
    pub(crate) fn release_spc2_reservation(&self) -> bool {
        let _guard = self.reservation_lock().lock();
        let flags = self.reservation_flags().get();
        if flags & bindings::DRF_SPC2_RESERVATIONS == 0 {
            return false;
        }
        self.reservation_holder().set(None);
        self.reservation_flags()
            .set(flags & !bindings::DRF_SPC2_RESERVATIONS);
        true
    }
}
