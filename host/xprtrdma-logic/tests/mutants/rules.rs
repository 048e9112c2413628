// SPDX-License-Identifier: GPL-2.0

//! Which of the mistakes in `mutations.rs` is made.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A completion looks whether the sender waits before its result is visible.
    PutWithoutBarrier,
    /// A sender looks whether there is room before it is visible that it waits.
    WaitWithoutBarrier,
    /// A sender does not look again after it has said that it waits.
    WaitWithoutLook,
    /// The count of what was given back is written without release.
    ReleasedIsNotReleased,
    /// It is read without acquire.
    ReleasedIsNotAcquired,
    /// The count of what was posted is written without release.
    PostedIsNotReleased,
    /// It is read without acquire.
    PostedIsNotAcquired,
    /// The counts are read in any order.
    CountsAreNotAcquired,
    /// What was given back is counted before it is released.
    PublishedTooEarly,
    /// One more context is handed out than there are.
    OneTooMany,
    /// One context is never used.
    OneTooFew,
    /// Counts are taken for numbers that do not wrap.
    CountsDoNotWrap,
    /// The last place of the ring is left out.
    LastPlaceIsNotUsed,
    /// A completion is looked for behind what is with the device, too.
    LooksBeyond,
    /// What is looked at is released at once.
    ReleasesWhatItLooksAt,
    /// Any context can be given back.
    UngetsAnything,
    /// A context in which a Send was posted can be given back.
    UngetsWhatIsPosted,
    /// Nobody is told that a context was given back.
    UngetDoesNotWake,
    /// A context that was taken for a Send that was never posted is forgotten.
    CloseForgetsWhatIsNotPosted,
    /// The ends of two rings are closed as if they were those of one.
    ClosesAnotherRing,
    /// What is loaded after a signalled Send is the excess, as in C.
    LoadsTheExcess,
    /// A Send that must be signalled is not, if it fits.
    IgnoresMust,
    /// A batch may have as many work requests as the ring has contexts.
    BatchFillsTheRing,
}

std::thread_local! {
    static RULE: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Makes this mistake and no other one, in the rings of this thread.
pub(crate) fn set(rule: Rule) {
    RULE.set(Some(rule));
}

/// Whether it is made.
pub(crate) fn is_on(rule: Rule) -> bool {
    RULE.get() == Some(rule)
}
