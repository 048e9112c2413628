// SPDX-License-Identifier: GPL-2.0

//! Which of the mistakes in `mutations.rs` is made.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The word is changed without order.
    ChangeIsRelaxed,
    /// A use ends without order.
    LeaveIsRelaxed,
    /// That the callback has returned is written without release.
    DeletedIsNotReleased,
    /// That the port is registered again is written without release.
    ResumedIsNotReleased,
    /// Someone begins to end a use, without order.
    EndingIsRelaxed,
    /// That a holder has entered is written without release.
    ActiveIsNotReleased,
    /// Who leaves looks at the state, and then leaves.
    LeaveLooksFirst,
    /// Who leaves looks at the state after that.
    LeaveLooksLater,
    /// A use can be ended before it has entered.
    BeginsBeforeItEntered,
    /// What is prepared for a use is prepared after it has begun.
    PreparesLate,
    /// A port in use can be entered, registered or not.
    EntersUnregistered,
    /// An unregistered port can be used while its callback runs.
    RemainsWhenOwed,
    /// A port in use can be unregistered twice.
    UnregistersTwice,
    /// A port can be registered again while its callback runs.
    ResumesWhenOwed,
    /// A port in use cannot be registered again.
    ResumesOnlyUnused,
    /// A port in use can be registered again with another LLDD.
    ResumesByAnyLldd,
    /// The last one to leave owes the callback, registered or not.
    OwesWhenRegistered,
    /// Nobody owes the callback of a port that nobody uses.
    OwesNothingUnused,
    /// The local port is left before the remote port.
    LeavesLocalFirst,
    /// Who is refused by the remote port goes on using the local port.
    RefusedKeepsLocal,
    /// Who unregisters a remote port uses the local port only if that is registered.
    UnregistersOnlyWithLocal,
    /// A use begins while the previous one ends.
    BeginsTwice,
    /// A use can be ended twice.
    EndsTwice,
    /// A use is taken out of a holder that has none.
    TakesTwice,
    /// A holder does not know of which port its use is.
    GivesBackAnyUse,
    /// The time is over one jiffy after the deadline.
    ExpiresLate,
    /// Jiffies are taken for numbers that do not wrap.
    ComparesNumbers,
    /// A controller waits beyond the deadline.
    WaitsBeyondTheDeadline,
    /// Only the first template counts for remote ports.
    ForgetsSmallerObjects,
    /// Only the first template counts for requests.
    ForgetsSmallerRequests,
    /// The size of the local port is not compared.
    ForgetsTheLocalPort,
    /// There is no limit to the number of uses.
    CountsAnyNumber,
}

std::thread_local! {
    static RULE: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Makes this mistake and no other one, in the gates of this thread.
pub(crate) fn set(rule: Rule) {
    RULE.set(Some(rule));
}

/// Whether it is made.
pub(crate) fn is_on(rule: Rule) -> bool {
    RULE.get() == Some(rule)
}
