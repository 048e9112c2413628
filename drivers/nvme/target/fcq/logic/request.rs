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

    /// The queue, which stays as long as the request does.
    fn queue(&self) -> &Self::Queue;

    /// The request is at `place` from now on, or nowhere. What an abort finds under the queue's
    /// lock is what was written here last.
    fn put_at(&self, place: Option<Place>, lock: &Locked<'_>);

    /// The LLDD may reuse the buffer of the command IU (`defer_rcv`).
    fn defer_rcv(&self);

    /// The LLDD is to abort the exchange (`fcp_abort`).
    fn fcp_abort(&self);

    /// Gives the request back to the LLDD (`fcp_req_release`). The reference to the queue is left.
    fn release(self) -> Self::QueueRef;
}

/// A request that was deferred and is so no longer. The LLDD still keeps the buffer of its command
/// IU, until it is told once not to (I2).
#[must_use]
pub(crate) struct Deferred<R>(R);

impl<R: Request> Deferred<R> {
    /// Of a request that has left the deferred ones.
    pub(super) fn new(request: R) -> Self {
        Self(request)
    }

    /// The request gets its job: `copy` copies the command IU, and then the LLDD may reuse the
    /// buffer (I7). Left is a request like one that found a job at once.
    pub(crate) fn accept(self, copy: impl FnOnce(&R)) -> R {
        let Self(request) = self;
        copy(&request);
        request.defer_rcv();
        request
    }

    /// The request is given back, never executed.
    pub(crate) fn cancel(self, cause: Cause) -> R::QueueRef {
        let Self(request) = self;
        request.defer_rcv();
        cause.abort(&request);
        request.release()
    }
}
