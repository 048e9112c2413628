// SPDX-License-Identifier: GPL-2.0

//! A command that the LLDD has handed over, and what it is owed.

use core::ops::Deref;

use super::{
    operations::TargetQueue,
    queue::Locked, //
};

/// Where the queue has a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// In the job with this number.
    Job(usize),
    /// Deferred, in the slot with this number.
    Deferred(usize),
}

/// Why a command does not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// The initiator has aborted the exchange: the LLDD has told so, and knows.
    AbtsReceived,
    /// The queue is deleted: the LLDD has yet to abort the exchange.
    QueueDeleted,
}

impl Cause {
    /// Has the exchange of `request` aborted, unless the LLDD knows that it is.
    pub(super) fn abort<R: Request>(self, request: &R) {
        match self {
            Self::AbtsReceived => {}
            Self::QueueDeleted => request.fcp_abort(),
        }
    }
}

/// A request of the LLDD, and the reference to the queue that it was received for.
///
/// The reference moves with the request: from the lookup of the queue to whoever releases it
/// (I5). A request that was not accepted is dropped, and its reference with it.
///
/// C counterpart: `struct nvmefc_tgt_fcp_req`, and the reference that
/// `nvmet_fc_find_target_queue()` takes.
pub(crate) trait Request: Sized {
    /// The target queue.
    type Queue: TargetQueue<Request = Self>;
    /// A reference to it.
    type QueueRef: Deref<Target = Self::Queue>;

    /// What it is while the LLDD keeps the buffer of its command IU.
    type Deferred: DeferredRequest<Request = Self>;

    /// The queue, which stays as long as the request does.
    fn queue(&self) -> &Self::Queue;

    /// The request has left its job. What an abort finds under the queue's lock is what was written
    /// here, or by the other functions that take a proof of the lock, last.
    fn leave(&self, lock: Locked<'_>);

    /// The LLDD is to abort the exchange (`fcp_abort`).
    fn fcp_abort(&self);

    /// Gives the request back to the LLDD (`fcp_req_release`). The reference to the queue is left.
    fn release(self) -> Self::QueueRef;
}

/// A request that the LLDD hands over just now: it has yet to be told what becomes of it.
pub(crate) trait Received: Sized {
    /// What it is once it has been accepted.
    type Request: Request;
    /// That it is deferred, for who tells the LLDD.
    type Proof;

    /// The request has the job with this number, which was idle.
    fn enter(&self, job: usize, lock: Locked<'_>);

    /// The LLDD is to keep the buffer of the command IU.
    fn defer(self) -> (<Self::Request as Request>::Deferred, Self::Proof);
}

/// A request whose command IU is in a buffer that the LLDD keeps, until it is told once not to
/// (I2). There is nothing to tell of other requests.
pub(crate) trait Kept: Sized {
    /// What it is afterwards.
    type Request: Request;

    /// The LLDD may reuse the buffer of the command IU (`defer_rcv`).
    fn defer_rcv(self) -> Self::Request;
}

/// A request that was deferred, and has no job.
pub(crate) trait DeferredRequest: Kept {
    /// One that has a job.
    type Promoted: Kept<Request = Self::Request>;

    /// The request waits in the slot with this number from now on, or has left it.
    fn put_at(&self, slot: Option<usize>, lock: Locked<'_>);

    /// The request has the job with this number, which has no command any more. `None`: it has one,
    /// and the request is lost.
    fn enter(self, job: usize, lock: Locked<'_>) -> Option<Self::Promoted>;
}

/// What [`Request::Deferred`] is when it has a job.
pub(crate) type Promoted<R> = <<R as Request>::Deferred as DeferredRequest>::Promoted;

/// A request that was deferred begins in its job: `copy` copies the command IU, and then the LLDD
/// may reuse the buffer (I7). Left is a request like one that found a job at once.
pub(super) fn accept<P: Kept>(request: P, copy: impl FnOnce(&P)) -> P::Request {
    copy(&request);
    request.defer_rcv()
}

/// A request that was deferred, and waits no longer, is given back, never executed.
pub(super) fn cancel<D: Kept>(request: D, cause: Cause) -> <D::Request as Request>::QueueRef {
    let request = request.defer_rcv();
    cause.abort(&request);
    request.release()
}
