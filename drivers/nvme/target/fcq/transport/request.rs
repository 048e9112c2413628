// SPDX-License-Identifier: GPL-2.0

//! A request of the LLDD: a command, with the exchange that it came by.

use core::{
    cell::Cell,
    marker::PhantomData,
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
            Refusal,
            Running, //
        },
        request::{
            Cause,
            DeferredRequest,
            Kept,
            Place,
            Received,
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
    pub(crate) fn connection(&self) -> u64 {
        // SAFETY: By the type invariant; nothing is said of its alignment.
        u64::from_be(unsafe { (&raw const (*self.0.as_ptr()).connection_id).read_unaligned() })
    }

    /// Copies it to a job.
    ///
    /// # Safety
    ///
    /// Nobody else uses the command of the job, and the LLDD keeps the buffer.
    unsafe fn copy_to(&self, fod: &Fod) {
        let (from, to) = (self.0.as_ptr(), fod.command().get());
        let size = size_of::<bindings::nvme_fc_cmd_iu>();
        // SAFETY: By the type invariant and the contract of this function. Nothing is said of the
        // alignment of the buffer.
        unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), size) };
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
    #[inline]
    pub(crate) fn schedule(self, job: Job) {
        let _ = job.into_number();
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

    /// What the request consists of.
    fn into_parts(self) -> (NonNull<bindings::nvmefc_tgt_fcp_req>, At, QueueRef) {
        let mut request = ManuallyDrop::new(self);
        // SAFETY: It is taken once, and the request is not dropped.
        let queue = unsafe { ManuallyDrop::take(&mut request.queue) };
        (request.exchange, request.at.get(), queue)
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

    /// The request is at `place` from now on, or nowhere. False: it is where it was.
    // Always inlined: what is known of the request and of the lock need not be asked, and the
    // request is not in memory.
    #[inline(always)]
    fn put_at(&self, place: Option<Place>, lock: Locked<'_>) -> bool {
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

    fn exchange(&self) -> &Exchange {
        // SAFETY: By the type invariant.
        unsafe { Exchange::from_raw(self.exchange.as_ptr()) }
    }
}

/// What the LLDD is told of a request that it has handed over. Made by what has become of the
/// request; it is for who has called, and does not go to another thread.
#[must_use]
pub(crate) struct Answer(Result, PhantomData<*mut ()>);

impl Answer {
    fn new(result: Result) -> Self {
        Self(result, PhantomData)
    }

    /// For the LLDD.
    pub(crate) fn get(self) -> Result {
        self.0
    }
}

/// That a request was deferred.
#[must_use]
pub(crate) struct IsDeferred(PhantomData<*mut ()>);

impl IsDeferred {
    /// The LLDD has to keep the buffer of the command IU.
    pub(crate) fn answer(self) -> Answer {
        Answer::new(Err(EOVERFLOW))
    }
}

/// A request that the LLDD hands over just now. There is one for each call, which returns an
/// [`Answer`]: only what becomes of this value makes one.
///
/// # Invariants
///
/// The LLDD keeps the buffer of the IU until it has its answer, and as long as it is deferred.
pub(crate) struct ReceivedFcpRequest {
    request: FcpRequest,
    command: CommandIu,
}

impl ReceivedFcpRequest {
    /// A request that was received.
    ///
    /// # Safety
    ///
    /// The LLDD gives `exchange` to the port of `queue`, and keeps the buffer of `command` until
    /// the function that it calls to do so returns; and beyond, until `defer_rcv`, if that says so.
    /// The function returns the answer to this request.
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
            request: FcpRequest {
                exchange,
                at: Cell::new(At::Nowhere),
                queue: ManuallyDrop::new(queue),
            },
            command,
        }
    }

    /// The queue of the request.
    pub(crate) fn queue(&self) -> &Queue {
        self.request.queue()
    }

    /// The queue of the request, even if the request goes: see [`QueueRef::under()`].
    pub(crate) fn queue_under<'a>(&self, guard: &'a rcu::Guard) -> &'a Queue {
        self.request.queue.under(guard)
    }

    /// The command begins: see [`FcpRequest::execute()`]. May sleep.
    #[inline]
    pub(crate) fn execute(self, job: Job) -> Answer {
        if let Some(fod) = self.request.job() {
            // SAFETY: By the type invariants the job is the request's, and the buffer is kept.
            unsafe { self.command.copy_to(fod) };
        }
        self.request.execute(job);
        Answer::new(Ok(()))
    }

    /// The LLDD has the request back.
    pub(crate) fn refuse(self, why: Refusal) -> Answer {
        if self.request.is_somewhere() {
            // The LLDD must not have it back: it is lost.
            return Answer::new(Ok(()));
        }
        Answer::new(Err(match why {
            Refusal::Closed => ENOTCONN,
            Refusal::NoDeferral => ENOENT,
            Refusal::Full => EBUSY,
        }))
    }
}

impl Received for ReceivedFcpRequest {
    type Request = FcpRequest;
    type Proof = IsDeferred;

    #[inline(always)]
    fn enter(&self, job: usize, lock: Locked<'_>) {
        let _ = self.request.put_at(Some(Place::Job(job)), lock);
    }

    #[inline(always)]
    fn defer(self) -> (DeferredFcpRequest, IsDeferred) {
        // Another value in memory, not the same one: see `JobQueue::admit()`.
        let (exchange, at, queue) = self.request.into_parts();
        // INVARIANT: The LLDD gets the answer that says so: no other one can be had any more.
        let deferred = DeferredFcpRequest {
            request: FcpRequest {
                exchange,
                at: Cell::new(at),
                queue: ManuallyDrop::new(queue),
            },
            command: self.command,
        };
        (deferred, IsDeferred(PhantomData))
    }
}

/// A request that was deferred, and has no job.
///
/// # Invariants
///
/// The LLDD keeps the buffer of the IU, until it is told not to, by [`Kept::defer_rcv()`].
pub(crate) struct DeferredFcpRequest {
    request: FcpRequest,
    command: CommandIu,
}

// SAFETY: As `FcpRequest`; the buffer is there for whatever thread.
unsafe impl Send for DeferredFcpRequest {}

impl Kept for DeferredFcpRequest {
    type Request = FcpRequest;

    fn defer_rcv(self) -> FcpRequest {
        let Self { request, .. } = self;
        STATISTICS.defer_rcv.add(1);
        // SAFETY: By the type invariants. The IU is gone, so that this is the only time.
        unsafe { request.queue.port().defer_rcv(request.exchange) };
        request
    }
}

impl DeferredRequest for DeferredFcpRequest {
    type Promoted = PromotedFcpRequest;

    fn put_at(&self, slot: Option<usize>, lock: Locked<'_>) {
        let _ = self.request.put_at(slot.map(Place::Deferred), lock);
    }

    fn enter(self, job: usize, lock: Locked<'_>) -> Option<PromotedFcpRequest> {
        let Self { request, command } = self;
        if !request.put_at(Some(Place::Job(job)), lock) {
            return None;
        }
        let At::Job(fod) = request.at.get() else {
            return None;
        };
        request.into_job()?;
        // INVARIANT: The job has the request, and the buffer is kept as before.
        Some(PromotedFcpRequest { fod, command })
    }
}

/// A request that was deferred, in its job. It is small enough not to be in memory.
///
/// # Invariants
///
/// - The job has the request, and its reference to the queue, for this value alone.
/// - The LLDD keeps the buffer of the IU, until it is told not to, by [`Kept::defer_rcv()`].
#[must_use]
pub(crate) struct PromotedFcpRequest {
    fod: NonNull<Fod>,
    command: CommandIu,
}

impl PromotedFcpRequest {
    /// Copies the command IU to the job.
    pub(crate) fn copy_command(&self) {
        // SAFETY: By the type invariant it is a job of a queue to which there is a reference.
        let fod = unsafe { self.fod.as_ref() };
        // SAFETY: By the type invariant the job is this value's.
        unsafe { self.command.copy_to(fod) };
    }
}

impl Kept for PromotedFcpRequest {
    type Request = FcpRequest;

    fn defer_rcv(self) -> FcpRequest {
        let Self { fod, .. } = self;
        // SAFETY: By the type invariants. The IU is gone, so that this is the only time.
        let request = unsafe {
            let fod = fod.as_ref();
            let (_, request) =
                FcpRequest::from_job(fod.queue().get(), fod.as_raw()).unwrap_unchecked();
            request.queue.port().defer_rcv(request.exchange);
            request
        };
        STATISTICS.defer_rcv.add(1);
        request
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
