// SPDX-License-Identifier: GPL-2.0

//! A request of the LLDD: a command, with the exchange that it came by.

use core::{
    cell::Cell,
    mem::ManuallyDrop,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu, //
    }, //
};

use super::{
    deferred::DeferredFcpRequest,
    memory::{
        untagged,
        Fod,
        LockedFod, //
    },
    private::{
        nvmet_fc_fcp_iod,
        nvmet_fc_tgt_queue, //
    },
    queue::{
        Queue,
        QueueRef, //
    },
};
use crate::{
    bindings,
    logic::{
        queue::{
            Job,
            Locked,
            Running, //
        },
        request::{
            Cause,
            Place,
            Request, //
        }, //
    },
    object::{
        c_object,
        CObject, //
    },
    statistics::STATISTICS,
};

c_object! {
    /// What the LLDD has for an exchange (`struct nvmefc_tgt_fcp_req`).
    // SAFETY: The field is the transport's, the LLDD does not use it. C only reads it, once the
    // command has begun.
    pub(crate) unsafe struct Exchange(bindings::nvmefc_tgt_fcp_req) {
        /// Null, or where the request is: see `Jobs::address()`.
        fn private: Atomic<*mut c_void> = nvmet_fc_private;
    }
}

impl Exchange {
    /// The queue that the request is in. Whether it still is there, and where, is known under the
    /// queue's lock only.
    pub(crate) fn queue(&self) -> Option<QueueRef> {
        let _guard = rcu::read_lock();
        let address = self.private().load(Relaxed);
        if address.is_null() {
            return None;
        }
        // SAFETY: When the address was read, within the RCU section, the request had a reference to
        // the queue: it is given up after the field is cleared. So neither the job nor its queue is
        // freed before the section is over.
        unsafe { QueueRef::get(Fod::from_raw(untagged(address)).queue().get()) }
    }

    /// Where the request is in `queue`; its lock is held.
    pub(crate) fn place(&self, queue: &Queue) -> Option<Place> {
        queue.jobs().place(self.private().load(Relaxed))
    }
}

/// Where a request is, as its owner knows it.
#[derive(Clone, Copy)]
enum At {
    /// Nowhere: nobody else finds it.
    Nowhere,
    /// It is deferred.
    Slot,
    /// In this job.
    Job(NonNull<Fod>),
}

/// A request that the LLDD has handed over, with a reference to its queue.
///
/// One that is at a place is not dropped, but leaked, with its queue: an abort would find it there.
///
/// # Invariants
///
/// - The LLDD has given the exchange to the port of the queue, and does not have it back.
/// - If it is in a job, that is one of the queue and has this request: no other request has it.
/// - If it is nowhere, `nvmet_fc_private` of the exchange is null.
pub(crate) struct FcpRequest {
    exchange: NonNull<bindings::nvmefc_tgt_fcp_req>,
    at: Cell<At>,
    queue: ManuallyDrop<QueueRef>,
}

// SAFETY: The LLDD's request is the transport's until it is released, by whatever thread.
unsafe impl Send for FcpRequest {}

impl FcpRequest {
    /// A request that is nowhere.
    ///
    /// # Safety
    ///
    /// The LLDD gives `exchange` to the port of `queue`, and nobody else uses it.
    pub(super) unsafe fn new(
        exchange: NonNull<bindings::nvmefc_tgt_fcp_req>,
        queue: QueueRef,
    ) -> Self {
        let request = Self {
            exchange,
            at: Cell::new(At::Nowhere),
            queue: ManuallyDrop::new(queue),
        };
        // INVARIANT: By the contract of this function. Nobody finds the request yet, whatever the
        // LLDD has left there.
        request.exchange().private().store(ptr::null_mut(), Relaxed);
        request
    }

    /// The same request, as another value in memory.
    #[inline(always)]
    pub(super) fn again(self) -> Self {
        let (exchange, at, queue) = self.into_parts();
        // INVARIANT: Nothing has changed.
        Self {
            exchange,
            at: Cell::new(at),
            queue: ManuallyDrop::new(queue),
        }
    }

    /// Takes the request that C has in a job, and the job. `None`: it has none.
    ///
    /// # Safety
    ///
    /// `fod` is a job of `queue`, and C uses its command no more. If there is one, the job and its
    /// reference to the queue were left to C by [`Self::execute()`] or [`Self::schedule()`].
    #[inline]
    pub(crate) unsafe fn from_job(
        queue: *mut nvmet_fc_tgt_queue,
        fod: *mut nvmet_fc_fcp_iod,
    ) -> Option<(Job, Self)> {
        // SAFETY: By the contract of this function.
        let fod = unsafe { Fod::from_raw(fod) };
        let exchange = fod.request()?;
        // SAFETY: By the contract of this function the reference is that of the command.
        let queue = unsafe { QueueRef::from_raw(queue) };
        // INVARIANT: The LLDD gets it back when the job ends. The job is of the queue whose
        // reference it has, and still has what was left there.
        let request = Self {
            exchange,
            at: Cell::new(At::Job(NonNull::from(fod))),
            queue: ManuallyDrop::new(queue),
        };
        Some((Job::from_number(fod.index().get()), request))
    }

    /// The job has sent its response.
    pub(crate) fn sync_response(&self) {
        if let Some(fod) = self.job() {
            self.queue.jobs().sync_response(fod);
        }
    }

    /// The command is executed in its job, and ends there: the job, the request and its reference
    /// to the queue are C's until [`Self::from_job()`]. When this returns, the queue may be gone.
    #[inline]
    pub(crate) fn execute(self, job: Job) {
        let _ = job.into_number();
        let (port, queue) = (self.queue.port().as_raw(), self.queue.jobs().as_ptr());
        let exchange = self.exchange;
        if self.into_job().is_none() {
            return;
        }
        // SAFETY: The exchange has a job, whose command C gets, with the reference that keeps the
        // queue until the command has ended. Nothing here has a Rust reference to what is freed
        // then.
        unsafe {
            bindings::nvmet_fc_queue_fcp_req(port.cast(), queue.cast(), exchange.as_ptr());
        }
    }

    /// As [`Self::execute()`], but in the queue's workqueue, and only if it has not been aborted
    /// until then.
    #[inline]
    pub(crate) fn schedule(self, job: Job) {
        let _ = job.into_number();
        let work_q = self.queue.work_q().as_ptr();
        let Some(fod) = self.into_job() else {
            return;
        };
        // SAFETY: Whoever has the job may queue its work, which was initialised with it. The
        // command's reference keeps the queue until the work has begun, and whoever frees the queue
        // waits for the workqueue.
        unsafe {
            let fod = fod.as_ref().as_raw();
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                work_q,
                &raw mut (*fod).defer_work,
            );
        }
    }

    /// Leaves the request in its job, with the reference to the queue, for [`Self::from_job()`].
    /// `None`: it has no job, and is lost.
    #[inline]
    pub(super) fn into_job(self) -> Option<NonNull<Fod>> {
        let request = ManuallyDrop::new(self);
        match request.at.get() {
            At::Job(fod) => Some(fod),
            At::Slot | At::Nowhere => {
                not_in_job();
                None
            }
        }
    }

    /// What the request consists of.
    #[inline]
    fn into_parts(self) -> (NonNull<bindings::nvmefc_tgt_fcp_req>, At, QueueRef) {
        let mut request = ManuallyDrop::new(self);
        // SAFETY: It is taken once, and the request is not dropped.
        let queue = unsafe { ManuallyDrop::take(&mut request.queue) };
        (request.exchange, request.at.get(), queue)
    }

    /// The job that the request is in.
    #[inline]
    pub(super) fn job(&self) -> Option<&Fod> {
        match self.at.get() {
            // SAFETY: By the type invariant it is a job of the queue, which stays.
            At::Job(fod) => Some(unsafe { fod.as_ref() }),
            At::Slot | At::Nowhere => None,
        }
    }

    /// Whether the request has a job, or a slot, where C or an abort finds it.
    #[inline]
    pub(super) fn is_somewhere(&self) -> bool {
        !matches!(self.at.get(), At::Nowhere)
    }

    /// The request is at `place` from now on, or nowhere. False: it is where it was.
    // Always inlined: what is known of the request and of the lock need not be asked, and the
    // request is not in memory.
    #[inline(always)]
    pub(super) fn put_at(&self, place: Option<Place>, lock: Locked<'_>) -> bool {
        if !self.queue.is_locked(lock) {
            another_queue();
            return false;
        }
        let (at, address) = match place {
            Some(Place::Job(index)) => {
                // A job that C still has is not given to another request, whoever thinks it idle.
                let job = self.queue.locked_job(index, lock);
                let Some(job) = job.filter(|job| job.enter(self.exchange)) else {
                    job_in_use();
                    return false;
                };
                let fod = job.fod();
                (At::Job(NonNull::from(fod)), fod.as_raw().cast())
            }
            Some(place) => (At::Slot, self.queue.jobs().address(place)),
            None => (At::Nowhere, ptr::null_mut()),
        };
        if let Some(fod) = self.job() {
            // SAFETY: By the type invariant it is a job of this queue, and so is the lock.
            unsafe { LockedFod::new(fod, lock) }.clear();
        }
        // INVARIANT: The job was idle, and is of this queue, whose lock is held. The exchange says
        // the same.
        self.exchange().private().store(address, Relaxed);
        self.at.set(at);
        true
    }

    /// The queue, even if the request goes: see [`QueueRef::under()`].
    pub(super) fn queue_under<'a>(&self, guard: &'a rcu::Guard) -> &'a Queue {
        self.queue.under(guard)
    }

    /// The LLDD may reuse the buffer of the command IU.
    ///
    /// # Safety
    ///
    /// The LLDD was told that the request is deferred, and is told this for the first time.
    pub(super) unsafe fn defer_rcv(&self) {
        STATISTICS.defer_rcv.add(1);
        // SAFETY: By the type invariant and the contract of this function.
        unsafe { self.queue.port().defer_rcv(self.exchange) };
    }

    fn exchange(&self) -> &Exchange {
        // SAFETY: By the type invariant.
        unsafe { Exchange::from_raw(self.exchange.as_ptr()) }
    }
}

/// Says that the logic has made a mistake that only this file has kept from being one of memory.
macro_rules! complaints {
    ($($name:ident: $message:tt;)*) => {
        $(
            #[cold]
            #[inline(never)]
            fn $name() {
                kernel::pr_err_once!($message);
            }
        )*
    };
}

complaints! {
    another_queue: "a request is put into another queue\n";
    job_in_use: "a request gets a job that has one\n";
    not_in_job: "a command is to be executed without a job\n";
    still_found: "a request that can be found is not released\n";
    lost: "a request that has a job, or waits for one, is lost\n";
}

impl Request for FcpRequest {
    type Queue = Queue;
    type QueueRef = QueueRef;
    type Deferred = DeferredFcpRequest;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    // Always inlined, as what it does.
    #[inline(always)]
    fn leave(&self, lock: Locked<'_>) {
        let _ = self.put_at(None, lock);
    }

    fn fcp_abort(&self) {
        // SAFETY: By the type invariant.
        unsafe { self.queue.port().fcp_abort(self.exchange) };
    }

    #[inline]
    fn release(self) -> QueueRef {
        let found = self.is_somewhere();
        let (exchange, _, queue) = self.into_parts();
        if found {
            still_found();
            return queue;
        }
        // SAFETY: By the type invariant, and nobody has the request after this: it is nowhere,
        // which only the owner of this value could have changed.
        unsafe { queue.port().fcp_req_release(exchange) };
        queue
    }
}

impl Drop for FcpRequest {
    fn drop(&mut self) {
        if self.is_somewhere() {
            return lost();
        }
        // SAFETY: This is the only time.
        unsafe { ManuallyDrop::drop(&mut self.queue) };
    }
}

impl Queue {
    /// The command that is executed in a job of this queue is to end when it can.
    pub(crate) fn terminate_job(&self, job: &Running<'_>, cause: Cause) {
        let Some(fod) = self.locked_job(job.index(), job.lock()) else {
            return;
        };
        // What does not wait for data ends by itself.
        if fod.terminate(cause) && cause == Cause::QueueDeleted {
            if let Some(exchange) = fod.request() {
                // SAFETY: The request is released after it has left the job, which takes the lock
                // that is held here.
                unsafe { self.port().fcp_abort(exchange) };
            }
        }
    }
}
