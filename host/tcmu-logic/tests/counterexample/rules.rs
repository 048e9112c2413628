// SPDX-License-Identifier: GPL-2.0

//! Which of the rules in `mutations.rs` hold.

use std::cell::Cell;

/// A rule that the logic does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A new command looks only at the queue of commands before it goes to the ring.
    LookOnlyAtQfull,
    /// A command gets the lowest id that no other command has.
    LowestFreeId,
    /// A notification allocates its memory when it is announced.
    AllocateWhenAnnounced,
    /// A notification that waits may time out.
    TimeOutNotification,
    /// A command that was aborted while it waited is started all the same.
    StartAborted,
    /// A notification lists one command at most.
    ListOnlyTheFirst,
    /// A command that times out is not answered.
    ForgetTimedOut,
}

std::thread_local! {
    static RULES: Cell<&'static [Rule]> = const { Cell::new(&[]) };
}

/// Switches on these rules, and off all others, for the engines of this thread.
pub(crate) fn set(rules: &'static [Rule]) {
    RULES.set(rules);
}

/// Whether a rule is switched on; asked by the mutated logic.
pub(crate) fn is_on(rule: Rule) -> bool {
    RULES.get().contains(&rule)
}
