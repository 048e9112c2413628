// SPDX-License-Identifier: GPL-2.0

//! Mistakes that one thread alone finds.

use crate::rules::{set, Rule};
use crate::states::{every_small_queue, idle_job_ends};

macro_rules! found {
    ($test:expr; $($name:ident: $rule:ident, $expected:literal;)+) => {
        $(
            #[test]
            #[should_panic(expected = $expected)]
            fn $name() {
                set(Rule::$rule);
                $test();
            }
        )+
    };
}

found! {
    every_small_queue;
    admits_when_closed: AdmitsWhenClosed, "the answer to 0";
    nothing_is_promoted: NothingIsPromoted, "I1: 1 requests wait";
    aborts_nothing_that_waits: AbortsNothingThatWaits, "after AbortWaiting(0)";
    aborts_nothing_promoted: AbortsNothingPromoted, "I8: 1 begins";
    begins_what_is_cancelled: BeginsWhatIsCancelled, "I8: 1 begins";
    begins_for_nobody: BeginsForNobody, "1 after AbortInJob(0)";
    close_forgets_what_runs: CloseForgetsWhatRuns, "0 after Delete";
    close_forgets_what_is_promoted: CloseForgetsWhatIsPromoted, "I8: 1 begins";
    closes_twice: ClosesTwice, "I4: it is closed once";
    full_is_not_counted: FullIsNotCounted, "after Receive";
    newest_first: NewestFirst, "2 after Finish(0)";
    room_for_more: RoomForMore, "the answer to 0";
    more_than_jobs: MoreThanJobs, "the answer to 0";
    slot_is_not_freed: SlotIsNotFreed, "the answer to 2";
    links_are_kept: LinksAreKept, "I1: 1 requests wait";
    tail_is_kept: TailIsKept, "I1: 1 requests wait";
    is_not_copied: IsNotCopied, "1 after Finish(0)";
    aborts_what_is_aborted: AbortsWhatIsAborted, "1 after AbortWaiting(0)";
    does_not_abort: DoesNotAbort, "1 after Delete";
    ended_is_found: EndedIsFound, "0 is released where it can be found";
    abort_does_not_terminate: AbortDoesNotTerminate, "0 after AbortInJob(0)";
    close_does_not_drain: CloseDoesNotDrain, "after Delete";
}

found! {
    idle_job_ends;
    recycles_twice: RecyclesTwice, "I6: job 0 is idle already";
}
