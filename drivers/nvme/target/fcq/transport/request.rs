// SPDX-License-Identifier: GPL-2.0

//! A request of the LLDD: a command, with the exchange that it came by.

use core::{
    cell::Cell,
    mem::{
        size_of,
        ManuallyDrop, //
    },
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
    memory::{
        untagged,
        Fod, //
    },
    private::nvmet_fc_fcp_iod,
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

/// A command IU in a buffer of the LLDD, whose beginning is right.
///
/// # Invariants
///
/// The buffer has a whole one, as long as the LLDD keeps it.
#[derive(Clone, Copy)]
pub(crate) struct CommandIu(NonNull<bindings::nvme_fc_cmd_iu>);

impl CommandIu {
    /// Looks at what was received. `None`: it is no command IU.
    ///
    /// # Safety
    ///
    /// `buffer` has `length` bytes.
    pub(crate) unsafe fn new(buffer: *mut c_void, length: u32) -> Option<Self> {
        let size = size_of::<bindings::nvme_fc_cmd_iu>();
        let iu = NonNull::new(buffer.cast::<bindings::nvme_fc_cmd_iu>())?;
        if usize::try_from(length) != Ok(size) {
            return None;
        }
        // SAFETY: The buffer is large enough; nothing is said of its alignment.
        let (format, kind, words) = unsafe {
            let iu = iu.as_ptr();
            (
                (*iu).format_id,
                (*iu).fc_id,
                (&raw const (*iu).iu_len).read_unaligned(),
            )
        };
        let known = u32::from(format) == bindings::NVME_CMD_FORMAT_ID
            && kind == bindings::FCQ_CMD_FC_ID
            && usize::from(u16::from_be(words)) == size / size_of::<u32>();
        // INVARIANT: By the contract of this function.
        known.then_some(Self(iu))
    }

    /// The connection that the command was sent on.
    pub(crate) fn connection(self) -> u64 {
        // SAFETY: By the type invariant; nothing is said of its alignment.
        u64::from_be(unsafe { (&raw const (*self.0.as_ptr()).connection_id).read_unaligned() })
    }
}

/// A request that the LLDD has handed over, with a reference to its queue.
///
/// One that is at a place is not dropped, but leaked, with its queue: an abort would find it there.
///
/// # Invariants
///
/// - The LLDD has given the exchange to the port of the queue, and does not have it back.
/// - If there is an IU, the LLDD keeps its buffer, until it is told not to.
pub(crate) struct FcpRequest {
    exchange: NonNull<bindings::nvmefc_tgt_fcp_req>,
    command: Cell<Option<CommandIu>>,
    queue: ManuallyDrop<QueueRef>,
}

// SAFETY: The LLDD's request is the transport's until it is released, by whatever thread.
unsafe impl Send for FcpRequest {}

impl FcpRequest {
    /// A request that was received.
    ///
    /// # Safety
    ///
    /// The LLDD gives `exchange` to the port of `queue`, and keeps the buffer of `command` until
    /// the function that it calls to do so returns; and beyond, until `defer_rcv`, if the result is
    /// deferred.
    pub(crate) unsafe fn new(
        exchange: NonNull<bindings::nvmefc_tgt_fcp_req>,
        command: CommandIu,
        queue: QueueRef,
    ) -> Self {
        // SAFETY: By the contract of this function the request is the transport's.
        let request = unsafe { Exchange::from_raw(exchange.as_ptr()) };
        // Nobody has the request yet, whatever the LLDD has left there.
        request.private().store(ptr::null_mut(), Relaxed);
        // INVARIANT: By the contract of this function.
        Self {
            exchange,
            command: Cell::new(Some(command)),
            queue: ManuallyDrop::new(queue),
        }
    }

    /// Takes the request that C has in a job, and the job. `None`: it has none.
    ///
    /// # Safety
    ///
    /// `fod` is a job, and C uses its command no more. If there is one, the job and its reference
    /// to the queue were left to C by [`Self::execute()`] or [`Self::schedule()`].
    pub(crate) unsafe fn from_job(fod: *mut nvmet_fc_fcp_iod) -> Option<(Job, Self)> {
        // SAFETY: By the contract of this function.
        let fod = unsafe { Fod::from_raw(fod) };
        let exchange = NonNull::new(fod.fcpreq().load(Relaxed))?;
        // SAFETY: By the contract of this function the reference is that of the command.
        let queue = unsafe { QueueRef::from_raw(fod.queue().get()) };
        let place = queue.jobs().place(fod.as_raw().cast());
        let Some(Place::Job(index)) = place else {
            // It is not of this queue, which cannot be: nobody knows whose the reference is.
            let _ = queue.into_raw();
            return None;
        };
        // INVARIANT: The LLDD gets it back when the job ends.
        let request = Self {
            exchange,
            command: Cell::new(None),
            queue: ManuallyDrop::new(queue),
        };
        Some((Job::from_index(index), request))
    }

    /// The queue of the request, even if the request goes: see [`QueueRef::under()`].
    pub(crate) fn queue_under<'a>(&self, guard: &'a rcu::Guard) -> &'a Queue {
        self.queue.under(guard)
    }

    /// The job has sent its response.
    pub(crate) fn sync_response(&self, job: &Job) {
        let jobs = self.queue.jobs();
        if let Some(fod) = jobs.at(job.index()) {
            jobs.sync_response(fod);
        }
    }

    /// Copies the command IU to the job that it has.
    pub(crate) fn copy_command(&self, job: &Job) {
        if let (Some(CommandIu(from)), Some(fod)) = (self.command.get(), self.placed(job)) {
            let size = size_of::<bindings::nvme_fc_cmd_iu>();
            // SAFETY: By the invariants the buffer has a whole one. The job has room for one, and
            // whose job it is, is the only one who uses that.
            unsafe {
                ptr::copy_nonoverlapping(
                    from.as_ptr().cast::<u8>(),
                    fod.command().get().cast::<u8>(),
                    size,
                );
            }
        }
    }

    /// The command is executed in `job`, and ends there: the job, the request and its reference to
    /// the queue are C's until [`Self::from_job()`]. When this returns, the queue may be gone.
    pub(crate) fn execute(self, job: Job) {
        let Some(fod) = self.placed(&job).map(Fod::as_raw) else {
            return;
        };
        let _ = job.into_index();
        let port = self.queue.port().as_raw();
        let (exchange, queue) = self.into_parts();
        let _ = queue.into_raw();
        // SAFETY: The job is that of the exchange and has its command, whose reference keeps the
        // queue until the command has ended. Nothing here has a Rust reference to what is freed
        // then.
        unsafe {
            let queue = (*fod).queue;
            bindings::nvmet_fc_queue_fcp_req(port.cast(), queue.cast(), exchange.as_ptr());
        }
    }

    /// As [`Self::execute()`], but in the queue's workqueue, and only if it has not been aborted
    /// until then.
    pub(crate) fn schedule(self, job: Job) {
        let Some(fod) = self.placed(&job).map(Fod::as_raw) else {
            return;
        };
        let _ = job.into_index();
        let work_q = self.queue.work_q().as_ptr();
        let (_, queue) = self.into_parts();
        let _ = queue.into_raw();
        // SAFETY: Whoever has the job may queue its work, which was initialised with it. The
        // command's reference keeps the queue until the work has begun, and whoever frees the queue
        // waits for the workqueue.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                work_q,
                &raw mut (*fod).defer_work,
            );
        }
    }

    /// What the request consists of, which is released or C's.
    fn into_parts(self) -> (NonNull<bindings::nvmefc_tgt_fcp_req>, QueueRef) {
        let mut request = ManuallyDrop::new(self);
        // SAFETY: It is taken once, and the request is not dropped.
        let queue = unsafe { ManuallyDrop::take(&mut request.queue) };
        (request.exchange, queue)
    }

    /// The job, if it is the one that the request has: [`Request::put_at()`] has given it, and
    /// nobody else has got it since.
    fn placed(&self, job: &Job) -> Option<&Fod> {
        let fod = self.queue.jobs().at(job.index())?;
        let there = ptr::eq(self.exchange().private().load(Relaxed), fod.as_raw().cast())
            && ptr::eq(fod.fcpreq().load(Relaxed), self.exchange.as_ptr());
        if !there {
            kernel::pr_err_once!("a command is to be executed in a job that it does not have\n");
        }
        Some(fod).filter(|_| there)
    }

    /// Whether the request has a job, or a slot, where C or an abort finds it.
    fn is_somewhere(&self) -> bool {
        !self.exchange().private().load(Relaxed).is_null()
    }

    fn exchange(&self) -> &Exchange {
        // SAFETY: By the type invariant.
        unsafe { Exchange::from_raw(self.exchange.as_ptr()) }
    }
}

impl Request for FcpRequest {
    type Queue = Queue;
    type QueueRef = QueueRef;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn put_at(&self, place: Option<Place>, lock: &Locked<'_>) {
        if !self.queue().is_locked(lock) {
            kernel::pr_err_once!("a request is put into another queue\n");
            return;
        }
        let jobs = self.queue.jobs();
        let private = self.exchange().private();
        let address = match place {
            Some(Place::Job(index)) => {
                // A job that C still has is not given to another request, whoever thinks it idle.
                let idle = jobs
                    .at(index)
                    .filter(|fod| fod.fcpreq().load(Relaxed).is_null());
                let Some(fod) = idle else {
                    kernel::pr_err_once!("a request gets a job that has one\n");
                    return;
                };
                fod.fcpreq().store(self.exchange.as_ptr(), Relaxed);
                jobs.address(Place::Job(index))
            }
            Some(place) => jobs.address(place),
            None => {
                if let Some(Place::Job(index)) = jobs.place(private.load(Relaxed)) {
                    if let Some(fod) = jobs.at(index) {
                        fod.clear();
                    }
                }
                ptr::null_mut()
            }
        };
        private.store(address, Relaxed);
    }

    fn defer_rcv(&self) {
        if self.command.take().is_some() {
            STATISTICS.defer_rcv.add(1);
            // SAFETY: By the type invariant; the IU was just taken, so that it is the first time.
            unsafe { self.queue.port().defer_rcv(self.exchange) };
        }
    }

    fn fcp_abort(&self) {
        // SAFETY: By the type invariant.
        unsafe { self.queue.port().fcp_abort(self.exchange) };
    }

    fn release(self) -> QueueRef {
        let found = self.is_somewhere();
        let (exchange, queue) = self.into_parts();
        if found {
            kernel::pr_err_once!("a request that can be found is not released\n");
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
            kernel::pr_err_once!("a request that has a job, or waits for one, is lost\n");
            return;
        }
        // SAFETY: This is the only time.
        unsafe { ManuallyDrop::drop(&mut self.queue) };
    }
}

impl Queue {
    /// The command that is executed in a job of this queue is to end when it can.
    pub(crate) fn terminate_job(&self, job: &Running<'_>, cause: Cause) {
        let fod = self.jobs().at(job.index());
        let Some(fod) = fod.filter(|_| self.is_locked(job.lock())) else {
            return;
        };
        let flags = fod.flock().lock();
        fod.abort().store(true, Relaxed);
        match cause {
            Cause::AbtsReceived => fod.aborted().store(true, Relaxed),
            Cause::QueueDeleted if fod.writedataactive().load(Relaxed) => {
                fod.aborted().store(true, Relaxed);
                drop(flags);
                if let Some(exchange) = NonNull::new(fod.fcpreq().load(Relaxed)) {
                    // SAFETY: A job has its request until `put_at()` clears it, which takes the
                    // proof that there is here, too: that this queue's lock is held. The request
                    // is released after that.
                    unsafe { self.port().fcp_abort(exchange) };
                }
            }
            // It ends by itself.
            Cause::QueueDeleted => {}
        }
    }
}
