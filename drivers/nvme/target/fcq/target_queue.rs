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
        request::{
            Cause,
            Request, //
        },
    },
    statistics::STATISTICS,
    transport::{
        queue::{
            Admissions,
            Name,
            Queue, //
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
    type Slots = KVec<Slot<FcpRequest>>;

    // Always inlined, as what is done is.
    #[inline(always)]
    fn locked<T>(&self, action: impl FnOnce(&mut Admissions) -> T) -> T {
        self.admissions().with(action)
    }

    fn terminate(&self, job: &Running<'_>, cause: Cause) {
        self.terminate_job(job, cause);
    }

    fn copy_command(&self, _job: &Job, request: &FcpRequest) {
        // The request knows its job.
        request.copy_command();
    }

    fn schedule(&self, job: Job, request: FcpRequest) {
        STATISTICS.promoted.add(1);
        request.schedule(job);
    }
}

/// A request was received. An error: the LLDD has it back. `EOVERFLOW`: the LLDD has to keep the
/// buffer of the command IU.
pub(crate) fn receive(request: FcpRequest, guard: rcu::Guard) -> Result {
    // The request takes the reference along, and may be gone before the queue is unlocked.
    let queue = request.queue_under(&guard);
    match queue.locked(|jobs| jobs.admit(request)) {
        Admission::Run(job, request) => {
            // What comes may sleep.
            drop(guard);
            request.copy_command();
            request.execute(job);
            Ok(())
        }
        Admission::Deferred => {
            STATISTICS.deferred.add(1);
            Err(EOVERFLOW)
        }
        Admission::Refused(request, why) => Err(refuse(request.queue().name(), why)),
    }
}

/// Counts a refusal, and says so if the initiator does what it must not.
#[cold]
#[inline(never)]
fn refuse(name: Name, why: Refusal) -> Error {
    static FULL: RateLimit = RateLimit::default_rate();

    match why {
        Refusal::Closed => {
            STATISTICS.refused_closed.add(1);
            ENOTCONN
        }
        Refusal::NoDeferral => {
            STATISTICS.refused_no_deferral.add(1);
            ENOENT
        }
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
            EBUSY
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
