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
        if usize::try_from(length) != Ok(size) {
            return None;
        }
        // SAFETY: By the contract of this function there are so many bytes.
        let iu = unsafe { NonNull::new_unchecked(buffer.cast::<bindings::nvme_fc_cmd_iu>()) };
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
        if !known {
            return None;
        }
        // INVARIANT: By the contract of this function.
        Some(Self(iu))
    }

    /// The connection that the command was sent on.
    pub(crate) fn connection(self) -> u64 {
        // SAFETY: By the type invariant; nothing is said of its alignment.
        u64::from_be(unsafe { (&raw const (*self.0.as_ptr()).connection_id).read_unaligned() })
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
/// - If there is an IU, the LLDD keeps its buffer, until it is told not to.
/// - If it is in a job, that is one of the queue and has this request: no other request has it.
/// - If it is nowhere, `nvmet_fc_private` of the exchange is null.
pub(crate) struct FcpRequest {
    exchange: NonNull<bindings::nvmefc_tgt_fcp_req>,
    command: Cell<Option<CommandIu>>,
    at: Cell<At>,
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
        // INVARIANT: By the contract of this function; it was just cleared.
        Self {
            exchange,
            command: Cell::new(Some(command)),
            at: Cell::new(At::Nowhere),
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
        // INVARIANT: The LLDD gets it back when the job ends. The job is of the queue whose
        // reference it has, and still has what was left there.
        let request = Self {
            exchange,
            command: Cell::new(None),
            at: Cell::new(At::Job(NonNull::from(fod))),
            queue: ManuallyDrop::new(queue),
        };
        Some((Job::from_index(fod.index().get().into()), request))
    }

    /// The queue of the request, even if the request goes: see [`QueueRef::under()`].
    pub(crate) fn queue_under<'a>(&self, guard: &'a rcu::Guard) -> &'a Queue {
        self.queue.under(guard)
    }

    /// The job has sent its response.
    pub(crate) fn sync_response(&self) {
        if let Some(fod) = self.job() {
            self.queue.jobs().sync_response(fod);
        }
    }

    /// Copies the command IU to the job that the request has.
    #[inline]
    pub(crate) fn copy_command(&self) {
        if let (Some(CommandIu(from)), Some(fod)) = (self.command.get(), self.job()) {
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

    /// The command is executed in its job, and ends there: the job, the request and its reference
    /// to the queue are C's until [`Self::from_job()`]. When this returns, the queue may be gone.
    #[inline]
    pub(crate) fn execute(self, job: Job) {
        let _ = job.into_index();
        let (port, queue) = (self.queue.port().as_raw(), self.queue.jobs().as_ptr());
        let Some(exchange) = self.into_job() else {
            return;
        };
        // SAFETY: The exchange has a job, whose command C gets, with the reference that keeps the
        // queue until the command has ended. Nothing here has a Rust reference to what is freed
        // then.
        unsafe {
            bindings::nvmet_fc_queue_fcp_req(port.cast(), queue.cast(), exchange.as_ptr());
        }
    }

    /// As [`Self::execute()`], but in the queue's workqueue, and only if it has not been aborted
    /// until then.
    pub(crate) fn schedule(self, job: Job) {
        let _ = job.into_index();
        let work_q = self.queue.work_q().as_ptr();
        let fod = self.job().map(Fod::as_raw);
        let (Some(fod), Some(_)) = (fod, self.into_job()) else {
            return;
        };
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

    /// Leaves the request to C, in its job, with the reference to the queue. `None`: it has no job,
    /// and is lost.
    #[inline]
    fn into_job(self) -> Option<NonNull<bindings::nvmefc_tgt_fcp_req>> {
        let request = ManuallyDrop::new(self);
        if request.job().is_none() {
            not_in_job();
            return None;
        }
        Some(request.exchange)
    }

    /// What the request consists of, which is released.
    fn into_parts(self) -> (NonNull<bindings::nvmefc_tgt_fcp_req>, QueueRef) {
        let mut request = ManuallyDrop::new(self);
        // SAFETY: It is taken once, and the request is not dropped.
        let queue = unsafe { ManuallyDrop::take(&mut request.queue) };
        (request.exchange, queue)
    }

    /// The job that the request is in.
    #[inline]
    fn job(&self) -> Option<&Fod> {
        match self.at.get() {
            // SAFETY: By the type invariant it is a job of the queue, which stays.
            At::Job(fod) => Some(unsafe { fod.as_ref() }),
            At::Slot | At::Nowhere => None,
        }
    }

    /// Whether the request has a job, or a slot, where C or an abort finds it.
    #[inline]
    fn is_somewhere(&self) -> bool {
        !matches!(self.at.get(), At::Nowhere)
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

    fn queue(&self) -> &Queue {
        &self.queue
    }

    // Always inlined: what is known of the request and of the lock need not be asked, and the
    // request is not in memory.
    #[inline(always)]
    fn put_at(&self, place: Option<Place>, lock: &Locked<'_>) {
        if !self.queue().is_locked(lock) {
            return another_queue();
        }
        let jobs = self.queue.jobs();
        let (at, address) = match place {
            Some(Place::Job(index)) => {
                // A job that C still has is not given to another request, whoever thinks it idle.
                let idle = jobs
                    .at(index)
                    .filter(|fod| fod.fcpreq().load(Relaxed).is_null());
                let Some(fod) = idle else {
                    return job_in_use();
                };
                fod.fcpreq().store(self.exchange.as_ptr(), Relaxed);
                (At::Job(NonNull::from(fod)), fod.as_raw().cast())
            }
            Some(place) => (At::Slot, jobs.address(place)),
            None => (At::Nowhere, ptr::null_mut()),
        };
        if let Some(left) = self.job() {
            left.clear();
        }
        // INVARIANT: The job was idle, and is of this queue, whose lock is held. The exchange says
        // the same.
        self.exchange().private().store(address, Relaxed);
        self.at.set(at);
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

    #[inline]
    fn release(self) -> QueueRef {
        let found = self.is_somewhere();
        let (exchange, queue) = self.into_parts();
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
        let fod = self.jobs().at(job.index());
        let Some(fod) = fod.filter(|_| self.is_locked(job.lock())) else {
            return;
        };
        let waits = fod.flock().with(|()| {
            fod.abort().store(true, Relaxed);
            let waits = fod.writedataactive().load(Relaxed);
            if waits || cause == Cause::AbtsReceived {
                fod.aborted().store(true, Relaxed);
            }
            waits
        });
        // What does not wait for data ends by itself.
        if waits && cause == Cause::QueueDeleted {
            if let Some(exchange) = NonNull::new(fod.fcpreq().load(Relaxed)) {
                // SAFETY: A job has its request until `put_at()` clears it, which takes the proof
                // that there is here, too: that this queue's lock is held. The request is released
                // after that.
                unsafe { self.port().fcp_abort(exchange) };
            }
        }
    }
}
