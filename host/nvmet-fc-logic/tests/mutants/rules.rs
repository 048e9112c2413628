// SPDX-License-Identifier: GPL-2.0

//! Which of the mistakes in `mutations.rs` is made.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A command is admitted to a queue that is closed, as in C.
    AdmitsWhenClosed,
    /// What waits does not get the job that is free.
    NothingIsPromoted,
    /// What waits gets a job of a closed queue, as in C.
    PromotesWhenClosed,
    /// A job that is idle is given back.
    RecyclesTwice,
    /// An abort of a command that waits does nothing, as in C.
    AbortsNothingThatWaits,
    /// An abort of a command that has not begun does nothing, as in C.
    AbortsNothingPromoted,
    /// A command begins that was cancelled.
    BeginsWhatIsCancelled,
    /// A command that begins is not known to be executed.
    BeginsForNobody,
    /// What is executed is not terminated when the queue is closed.
    CloseForgetsWhatRuns,
    /// A command begins after the queue was closed.
    CloseForgetsWhatIsPromoted,
    /// The queue is closed again.
    ClosesTwice,
    /// Commands that are refused are not counted.
    FullIsNotCounted,
    /// The newest command that waits is promoted.
    NewestFirst,
    /// A command is deferred although there is no room.
    RoomForMore,
    /// More commands wait than the queue has jobs.
    MoreThanJobs,
    /// A slot is used once.
    SlotIsNotFreed,
    /// What is before and after a slot is not joined.
    LinksAreKept,
    /// The newest command is not the last.
    TailIsKept,
    /// A command that was deferred begins without its command IU.
    IsNotCopied,
    /// The LLDD is to abort what it knows to be aborted.
    AbortsWhatIsAborted,
    /// The LLDD is not told to abort what is cancelled.
    DoesNotAbort,
    /// An abort finds a command that has ended.
    EndedIsFound,
    /// An abort looks where the command is before it has the lock, as in C.
    PlaceIsReadTooEarly,
    /// What is executed is not terminated when it is aborted.
    AbortDoesNotTerminate,
    /// What waits in a closed queue stays there.
    CloseDoesNotDrain,
}

std::thread_local! {
    static RULE: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Makes this mistake and no other one, in the queues of this thread.
pub(crate) fn set(rule: Rule) {
    RULE.set(Some(rule));
}

/// Whether it is made.
pub(crate) fn is_on(rule: Rule) -> bool {
    RULE.get() == Some(rule)
}
