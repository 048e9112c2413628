// SPDX-License-Identifier: GPL-2.0

//! Mistakes that the logic does not have: what shows that the tests can fail. Those that do not
//! compile are not among them.

use mutation::Mutation;

/// All of them.
pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        rule: "AdmitsWhenClosed",
        file: "queue.rs",
        from: "if self.counts.closed {
            return Admission::Refused",
        to: "if !ON && self.counts.closed {
            return Admission::Refused",
    },
    Mutation {
        rule: "NothingIsPromoted",
        file: "queue.rs",
        from: "} else {
            self.deferred.pop()",
        to: "} else {
            (!ON).then(|| self.deferred.pop()).flatten()",
    },
    Mutation {
        rule: "PromotesWhenClosed",
        file: "queue.rs",
        from: "if self.counts.closed {
            None",
        to: "if !ON && self.counts.closed {
            None",
    },
    Mutation {
        rule: "RecyclesTwice",
        file: "queue.rs",
        from: "if let JobState::Idle(_) = state {",
        to: "if let (false, JobState::Idle(_)) = (ON, &state) {",
    },
    Mutation {
        rule: "AbortsNothingThatWaits",
        file: "queue.rs",
        from: "match self.deferred.remove(slot) {",
        to: "match if ON { None } else { self.deferred.remove(slot) } {",
    },
    Mutation {
        rule: "AbortsNothingPromoted",
        file: "queue.rs",
        from: "*state = JobState::Cancelled(Cause::AbtsReceived);",
        to: "if !ON {
                        *state = JobState::Cancelled(Cause::AbtsReceived);
                    }",
    },
    Mutation {
        rule: "BeginsWhatIsCancelled",
        file: "queue.rs",
        from: "Some(&mut JobState::Cancelled(cause)) => Err(cause),",
        to: "Some(&mut JobState::Cancelled(cause)) if !ON => Err(cause),",
    },
    Mutation {
        rule: "BeginsForNobody",
        file: "queue.rs",
        from: "*state = JobState::Running;
                Ok(())",
        to: "if !ON {
                    *state = JobState::Running;
                }
                Ok(())",
    },
    Mutation {
        rule: "CloseForgetsWhatRuns",
        file: "queue.rs",
        from: "JobState::Running => running(Running::new(index, lock)),",
        to: "JobState::Running if ON => {}
                JobState::Running => running(Running::new(index, lock)),",
    },
    Mutation {
        rule: "CloseForgetsWhatIsPromoted",
        file: "queue.rs",
        from: "JobState::Promoted => *state = JobState::Cancelled(Cause::QueueDeleted),",
        to: "JobState::Promoted if ON => {}
                JobState::Promoted => *state = JobState::Cancelled(Cause::QueueDeleted),",
    },
    Mutation {
        rule: "ClosesTwice",
        file: "queue.rs",
        from: "if self.counts.closed {
            return false;",
        to: "if !ON && self.counts.closed {
            return false;",
    },
    Mutation {
        rule: "FullIsNotCounted",
        file: "queue.rs",
        from: "self.counts.full += 1;",
        to: "self.counts.full += u64::from(!ON);",
    },
    Mutation {
        rule: "NewestFirst",
        file: "deferred.rs",
        from: "self.take(self.head)",
        to: "self.take(if ON { self.tail } else { self.head })",
    },
    Mutation {
        rule: "RoomForMore",
        file: "deferred.rs",
        from: "self.free != Link::END",
        to: "ON || self.free != Link::END",
    },
    Mutation {
        rule: "MoreThanJobs",
        file: "deferred.rs",
        from: "slots.len().min(most)",
        to: "slots.len().min(most + usize::from(ON))",
    },
    Mutation {
        rule: "SlotIsNotFreed",
        file: "deferred.rs",
        from: "self.free = index;",
        to: "if !ON {
            self.free = index;
        }",
    },
    Mutation {
        rule: "LinksAreKept",
        file: "deferred.rs",
        from: "self.join(previous, next);",
        to: "if !ON {
            self.join(previous, next);
        }",
    },
    Mutation {
        rule: "TailIsKept",
        file: "deferred.rs",
        from: "self.join(tail, free);
        self.join(free, Link::END);",
        to: "self.join(tail, free);
        if !ON || tail == Link::END {
            self.join(free, Link::END);
        }",
    },
    Mutation {
        rule: "IsNotCopied",
        file: "request.rs",
        from: "copy(&request);",
        to: "if !ON {
            copy(&request);
        }",
    },
    Mutation {
        rule: "AbortsWhatIsAborted",
        file: "request.rs",
        from: "Self::AbtsReceived => {}",
        to: "Self::AbtsReceived if ON => request.fcp_abort(),
            Self::AbtsReceived => {}",
    },
    Mutation {
        rule: "DoesNotAbort",
        file: "request.rs",
        from: "Self::QueueDeleted => request",
        to: "Self::QueueDeleted if ON => {}
            Self::QueueDeleted => request",
    },
    Mutation {
        rule: "EndedIsFound",
        file: "operations.rs",
        from: "finished.leave(jobs.locked());",
        to: "if !ON {
            finished.leave(jobs.locked());
        }",
    },
    Mutation {
        rule: "PlaceIsReadTooEarly",
        file: "operations.rs",
        from: "let aborted = queue.locked(|jobs| {
        jobs.abort(place(), |job| {",
        to: "let mut place = Some(place);
    let early = if ON { place.take().map(|place| place()) } else { None };
    let aborted = queue.locked(|jobs| {
        let found = early.or_else(|| place.take().map(|place| place()));
        jobs.abort(found.flatten(), |job| {",
    },
    Mutation {
        rule: "AbortDoesNotTerminate",
        file: "operations.rs",
        from: "queue.terminate(&job, Cause::AbtsReceived);",
        to: "if !ON {
                queue.terminate(&job, Cause::AbtsReceived);
            }",
    },
    Mutation {
        rule: "CloseDoesNotDrain",
        file: "operations.rs",
        from: "while let Some(deferred) = queue.locked(JobQueue::drain) {",
        to: "while let Some(deferred) = if ON { None } else { queue.locked(JobQueue::drain) } {",
    },
];
