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
    core::command::{
        Abort,
        AbortedCommands,
        Command,
        Held,
        Session,
        StateList, //
    },
    core::request::{
        RequestList,
        TmrRequest, //
    },
    core::trace, //
    list::List,
    lock::{
        IrqSpinLock,
        Mutex,
        SpinLock, //
    },
    logic::Isid,
    object::{
        c_object,
        CObject, //
    },
    tmr_function::{
        tcm_tmreq_table,
        TmrNotify, //
    },
};

c_object! {
    /// The operations of a backend (`struct target_backend_ops`), constant.
    pub(crate) struct BackendOps(bindings::target_backend_ops) {
        fn tmr_notify: Cell<Option<TmrNotify>> = tmr_notify;
    }
}

c_object! {
    /// The registration of a nexus (`struct t10_pr_registration`).
    pub(crate) struct Registration(bindings::t10_pr_registration) {
        /// Initiator port and target port group, to be compared only: they may be gone.
        pub(crate) fn acl: Cell<*mut bindings::se_node_acl> = pr_reg_nacl;
        fn has_isid: Cell<bool> = isid_present_at_reg;
        fn isid_field: Isid = pr_reg_isid;
        /// How many use it who do not hold a lock.
        fn users: Atomic<i32> = pr_res_holders;
    }
}

impl Registration {
    /// The initiator session identifier, if the fabric has such.
    pub(crate) fn isid(&self) -> Option<&Isid> {
        self.has_isid().get().then(|| self.isid_field())
    }

    /// Whether somebody uses it. Nobody does so any more with one that was removed.
    fn is_used(&self) -> bool {
        self.users().load(Relaxed) != 0
    }
}

/// Registrations that a PREEMPT AND ABORT removed, a list of the command's own.
pub(crate) type Registrations =
    List<Registration, { core::mem::offset_of!(bindings::t10_pr_registration, pr_reg_abort_list) }>;

impl Registrations {
    /// Whether one of them is that of the nexus from which `command` came.
    pub(crate) fn contains(&self, command: &Command) -> bool {
        self.iter()
            .any(|registration| command.is_from(registration))
    }

    /// Takes the registration of the preempting nexus itself off the list, if the core has put it
    /// there; it does so last.
    ///
    /// That one is not preempted: it is still registered, and used by the command. So the next PREEMPT
    /// AND ABORT of the nexus puts it on a list of its own while this one sleeps. No lock: who
    /// removes a registration waits with the lock of the reservations held until nobody uses it, and
    /// this command does.
    pub(crate) fn keep_own(&self) {
        if self.last().is_some_and(Registration::is_used) {
            self.cut_last();
        }
    }
}

/// What to do with a command of the task set.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    /// Nothing.
    Leave,
    /// End the search, because whoever searches is aborted itself.
    GiveUp,
    /// Abort it, with the answer of [`logic::find()`](crate::logic::find).
    Abort(bool),
}

/// Where a command goes that [`Queue::abort()`] has aborted, or found at its end.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// It stays on its list.
    Stay,
    /// Off its list, onto another one.
    On(&'a AbortedCommands),
    /// The same, and the search is over.
    Last(&'a AbortedCommands),
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

    /// Goes through the commands of the task set in the order in which they came in, and aborts what
    /// `judge` says. `place` says where each goes that was aborted, or is [`Abort::Ending`].
    ///
    /// Breaks if the search is over. Both run with a spinlock held and interrupts off.
    pub(crate) fn abort<'a>(
        &self,
        mut judge: impl FnMut(&Command) -> Verdict,
        mut place: impl FnMut(&Command, Abort) -> Place<'a>,
    ) -> ControlFlow<()> {
        // Protects the state list and the `state_active` of its commands.
        let _guard = self.lock().lock();
        for command in self.state_list().iter() {
            let (Some(session), true) = (command.session(), command.can_abort()) else {
                continue;
            };
            let end = match judge(command) {
                Verdict::Leave => continue,
                Verdict::GiveUp => return ControlFlow::Break(()),
                Verdict::Abort(answer) => command.abort(session, answer),
            };
            if matches!(end, Abort::TooLate) {
                continue;
            }
            let (list, last) = match place(command, end) {
                Place::Stay => continue,
                Place::On(list) => (list, false),
                Place::Last(list) => (list, true),
            };
            // Without a reference to have, the command is being released and about to leave.
            if let Some(held) = command.hold() {
                list.push(held);
                if last {
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
        fn reservation_flags: Atomic<u32> = dev_reservation_flags;
        fn reservation_holder: Cell<Option<&'a Session>> = reservation_holder;
        fn transport_flags: Atomic<i8> = transport_flags;
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

    /// Calls `visit` for each request of the logical unit.
    ///
    /// `visit` runs with a spinlock held and interrupts off.
    pub(crate) fn for_each_request(&self, mut visit: impl FnMut(&TmrRequest)) {
        let _guard = self.request_lock().lock();
        for request in self.request_list().iter() {
            visit(request);
        }
    }

    /// Holds the command of the first request that is `wanted`, which runs with a spinlock held and
    /// interrupts off.
    pub(crate) fn find_request(
        &self,
        mut wanted: impl FnMut(&TmrRequest) -> bool,
    ) -> Option<Held<'_>> {
        let _guard = self.request_lock().lock();
        self.request_list()
            .iter()
            .filter(|request| wanted(request))
            .find_map(|request| request.command()?.hold())
    }

    /// The core hands PERSISTENT RESERVE OUT through to what is below the backend.
    pub(crate) fn passes_reservations(&self) -> bool {
        let flags = u32::from(self.transport_flags().load(Relaxed) as u8);
        flags & bindings::TRANSPORT_FLAG_PASSTHROUGH_PGR != 0
    }

    /// Tells the backend of an abort (`tmr_notify`), if it wants to know.
    ///
    /// To be called before the aborted commands are waited for, so that the backend may do
    /// something about it. May sleep.
    pub(crate) fn notify(&self, function: bindings::tcm_tmreq_table, aborted: &AbortedCommands) {
        trace::notify(self, function, aborted);
        if let Some(notify) = self.backend().get().and_then(|ops| ops.tmr_notify().get()) {
            // SAFETY: Device and list are valid until the call returns, and the backend changes
            // neither.
            unsafe {
                notify(
                    self.as_raw(),
                    tcm_tmreq_table::new(function),
                    aborted.list().as_raw(),
                )
            };
        }
    }

    /// Ends a reservation by the RESERVE command of SPC-2. Returns whether there was one.
    pub(crate) fn release_spc2_reservation(&self) -> bool {
        let _guard = self.reservation_lock().lock();
        let flags = self.reservation_flags().load(Relaxed);
        if flags & bindings::DRF_SPC2_RESERVATIONS == 0 {
            return false;
        }
        self.reservation_holder().set(None);
        self.reservation_flags()
            .store(flags & !bindings::DRF_SPC2_RESERVATIONS, Relaxed);
        true
    }
}
