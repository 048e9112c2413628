// SPDX-License-Identifier: GPL-2.0

//! Which of the mistakes in `mutations.rs` is made.

use std::cell::Cell;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// What C does when a connection that is up is unreachable, and then.
    AsInC,
    /// iSCSI is told of a connection that is not bound.
    ReportsWithoutBinding,
    /// iSCSI is not told that the peer has disconnected.
    EndsWithoutReport,
    /// `ep_disconnect` waits for the device.
    DrainsInEpDisconnect,
    /// The handler of a CM id destroys it.
    HandlerDestroysTheId,
    /// A device that goes may have what was posted.
    RemovalDoesNotDrain,
    /// A device that goes is given up when the last owner goes.
    RemovalWaitsForOwners,
    /// iSCSI goes on giving tasks.
    DoesNotSuspend,
    /// The queue pair goes on.
    DoesNotDisconnect,
    /// Tasks that outlive the connection stay mapped.
    LeavesMappings,
    /// Commands are refused for good before iSCSI gives no more, as C does.
    RefusesFirst,
    /// iSCSI is told when all else is done: its error handler may end the suspension before.
    ReportsLast,
    /// A completion tells of a connection that iSCSI has ended.
    TellsWhatIsKnown,
    /// The module goes, an endpoint stays.
    KeepsTheEndpoint,
    /// `ep_disconnect` has the CM take its time.
    NoDeadline,
    /// Who waits for a connection is not woken when there is none.
    ErrorDoesNotWake,
    /// A connection is freed that is bound.
    ForgetsTheBinding,
    /// A second iSCSI connection is bound.
    BindsTwice,
    /// A connection that is being made is only given up when the peer answers.
    WaitsForThePeer,
    /// The module's end waits for the CM.
    ExitWaitsForTheCm,
    /// Nobody frees when the CM was the last owner.
    LastWordIsNotTheEnd,
    /// Whether iSCSI was told is looked up, and then noted.
    TellsTwice,
}

std::thread_local! {
    static RULE: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Makes this mistake and no other one, in this thread.
pub(crate) fn set(rule: Rule) {
    RULE.set(Some(rule));
}

/// Whether it is made.
pub(crate) fn is_on(rule: Rule) -> bool {
    RULE.get() == Some(rule)
}
