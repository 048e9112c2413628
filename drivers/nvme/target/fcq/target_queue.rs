// SPDX-License-Identifier: GPL-2.0

//! What the logic is told of a target queue, and what comes of its decisions.

use kernel::{
    prelude::*,
    sync::rcu, //
};

use crate::{
    ext::ratelimit::RateLimit,
    logic::{
        deferred::Slot,
        operations::{
            self,
            Begun,
            TargetQueue, //
        },
        queue::{
            Admission,
            Job,
            JobState,
            Refusal,
            Running, //
        },
        request::Cause, //
    },
    statistics::STATISTICS,
    transport::{
        deferred::{
            DeferredFcpRequest,
            PromotedFcpRequest, //
        },
        queue::{
            Admissions,
            Name,
            Queue, //
        },
        received::{
            Answer,
            ReceivedFcpRequest, //
        },
        request::{
            Exchange,
            FcpRequest, //
        },
    },
};

impl TargetQueue for Queue {
    type Request = FcpRequest;
    type Jobs = KVec<JobState>;
    type Slots = KVec<Slot<DeferredFcpRequest>>;

    // Always inlined, as what is done is.
    #[inline(always)]
    fn locked<T>(&self, action: impl FnOnce(&mut Admissions) -> T) -> T {
        self.admissions().with(action)
    }

    fn terminate(&self, job: &Running<'_>, cause: Cause) {
        self.terminate_job(job, cause);
    }

    fn copy_command(&self, _job: &Job, request: &PromotedFcpRequest) {
        // The request knows its job.
        request.copy_command();
    }

    #[inline]
    fn schedule(&self, job: Job, request: FcpRequest) {
        STATISTICS.promoted.add(1);
        request.schedule(job);
    }
}

/// A request was received. The answer is for the LLDD.
pub(crate) fn receive(request: ReceivedFcpRequest, guard: rcu::Guard) -> Answer {
    // The request takes the reference along, and may be gone before the queue is unlocked.
    let queue = request.queue_under(&guard);
    match queue.locked(|jobs| jobs.admit(request)) {
        Admission::Run(job, request) => {
            // What comes may sleep.
            drop(guard);
            request.execute(job)
        }
        Admission::Deferred(proof) => {
            STATISTICS.deferred.add(1);
            proof.answer()
        }
        Admission::Refused(request, why) => {
            note_refusal(request.queue().name(), why);
            request.refuse(why)
        }
    }
}

/// Counts a refusal, and says so if the initiator does what it must not.
#[cold]
#[inline(never)]
fn note_refusal(name: Name, why: Refusal) {
    static FULL: RateLimit = RateLimit::default_rate();

    match why {
        Refusal::Closed => STATISTICS.refused_closed.add(1),
        Refusal::NoDeferral => STATISTICS.refused_no_deferral.add(1),
        Refusal::Full => {
            STATISTICS.refused_full.add(1);
            if FULL.allows() {
                let Name {
                    port,
                    association,
                    queue,
                } = name;
                pr_warn!(
                    "{{{}:{}}}: queue {}: more commands than entries, refused\n",
                    port,
                    association,
                    queue
                );
            }
        }
    }
}

/// The command in `job` has ended.
pub(crate) fn finish(job: Job, request: FcpRequest) {
    request.sync_response();
    drop(operations::recycle(job, request));
}

/// A command that was deferred begins.
pub(crate) fn begin(job: Job, request: FcpRequest) {
    match operations::begin(job, request) {
        Begun::Execute(job, request) => request.execute(job),
        Begun::Cancelled(queue) => {
            STATISTICS.cancelled.add(1);
            drop(queue);
        }
    }
}

/// The initiator has aborted an exchange.
pub(crate) fn abort(exchange: &Exchange) {
    if let Some(queue) = exchange.queue() {
        operations::abort(&*queue, || exchange.place(&queue));
    }
}
