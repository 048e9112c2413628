// SPDX-License-Identifier: GPL-2.0

//! What is done under the lock of a target queue, and what after it: the LLDD is never called with
//! the lock held (but for [`TargetQueue::terminate()`]), and no queue is used after the last
//! reference to it.
//!
//! Who receives a command needs nothing of this: [`JobQueue::admit()`] is all there is, and when
//! the command has begun, the queue may be gone.

use core::ops::DerefMut;

use super::{
    deferred::Slot,
    queue::{
        Aborted,
        Job,
        JobQueue,
        JobState,
        Recycled,
        Running, //
    },
    request::{
        accept,
        cancel,
        Cause,
        Place,
        Promoted,
        Request, //
    },
};

/// A target queue.
pub(crate) trait TargetQueue: Sized {
    /// The requests of its LLDD.
    type Request: Request<Queue = Self>;
    /// What has the states of its jobs.
    type Jobs: DerefMut<Target = [JobState]>;
    /// What has the slots of deferred requests.
    type Slots: DerefMut<Target = [Slot<<Self::Request as Request>::Deferred>]>;

    /// Does something under the queue's lock.
    fn locked<T>(
        &self,
        action: impl FnOnce(&mut JobQueue<Self::Request, Self::Jobs, Self::Slots>) -> T,
    ) -> T;

    /// The command that is executed in this job is to end when it can. Who ends it sees `cause`.
    fn terminate(&self, job: &Running<'_>, cause: Cause);

    /// Copies the command IU, which the LLDD still has, to the job.
    fn copy_command(&self, job: &Job, request: &Promoted<Self::Request>);

    /// Has [`begin()`] called for the command, in another context. It may come to its end
    /// before this returns.
    fn schedule(&self, job: Job, request: Self::Request);
}

/// The command in `job` has ended: its request is given back to the LLDD, and the job is idle or
/// has the oldest deferred request.
///
/// The queue may be used by way of the result; nobody else may keep it any more. C gives up this
/// reference before it takes the lock.
///
/// C counterpart: `nvmet_fc_free_fcp_iod()`.
// Always inlined: the caller knows where the request is.
#[inline(always)]
pub(crate) fn recycle<R: Request>(job: Job, finished: R) -> R::QueueRef {
    let next = finished.queue().locked(|jobs| {
        // Under the lock: an abort finds the request where it was, or nowhere.
        finished.leave(jobs.locked());
        jobs.recycle(job)
    });
    let queue = finished.release();
    if let Recycled::Promoted(job, request) = next {
        promote(&*queue, job, request);
    }
    queue
}

/// The job that has become idle executes a request that was deferred.
#[cold]
#[inline(never)]
fn promote<Q: TargetQueue>(queue: &Q, job: Job, request: Promoted<Q::Request>) {
    let request = accept(request, |request| queue.copy_command(&job, request));
    queue.schedule(job, request);
}

/// What [`begin()`] has decided.
#[must_use]
pub(crate) enum Begun<R: Request> {
    /// The command is executed now.
    Execute(Job, R),
    /// It was aborted, and has been given back. The reference that it had to the queue is left.
    Cancelled(R::QueueRef),
}

/// A command that was deferred begins, unless it was aborted since (I8).
///
/// C counterpart: `nvmet_fc_fcp_rqst_op_defer_work()`.
pub(crate) fn begin<R: Request>(job: Job, request: R) -> Begun<R> {
    let queue = request.queue();
    match queue.locked(|jobs| jobs.begin(&job)) {
        Ok(()) => Begun::Execute(job, request),
        Err(cause) => {
            cause.abort(&request);
            Begun::Cancelled(recycle(job, request))
        }
    }
}

/// The initiator has aborted a request of this queue. `place` is where the request is; it is called
/// with the lock held.
///
/// The caller keeps the queue.
///
/// C counterpart: `nvmet_fc_rcv_fcp_abort()`.
pub(crate) fn abort<Q: TargetQueue>(queue: &Q, place: impl FnOnce() -> Option<Place>) {
    let aborted = queue.locked(|jobs| {
        jobs.abort(place(), |job| {
            queue.terminate(&job, Cause::AbtsReceived);
        })
    });
    if let Aborted::Dequeued(deferred) = aborted {
        drop(cancel(deferred, Cause::AbtsReceived));
    }
}

/// The queue is being deleted: what is executed is to end, and what waits is given back. False:
/// somebody else does so, or has done.
///
/// The caller keeps the queue. Commands that were deferred and have a job may not have begun yet;
/// [`begin()`] gives them back.
///
/// C counterpart: the first part of `nvmet_fc_delete_target_queue()`.
pub(crate) fn close<Q: TargetQueue>(queue: &Q) -> bool {
    let closed = queue.locked(|jobs| jobs.close(|job| queue.terminate(&job, Cause::QueueDeleted)));
    if closed {
        while let Some(deferred) = queue.locked(JobQueue::drain) {
            drop(cancel(deferred, Cause::QueueDeleted));
        }
    }
    closed
}
