// SPDX-License-Identifier: GPL-2.0

//! What is done when something happens to a connection.

/// What is done, in the order in which it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Action {
    /// iSCSI gives no more commands: it keeps those that it has. Before `Publish`: a command that
    /// finds that the connection is not up has failed for good (D8).
    Suspend,
    /// iSCSI is told that the connection has failed, unless it was: it gives no commands until
    /// there is another one. Before `Publish` as well: the error handler may end the suspension.
    Report,
    /// Everybody sees how far the connection has come. What iSCSI was just giving when it was up
    /// is posted when this is done. (Requests of the error handler are given in spite of
    /// `Suspend`.)
    Publish,
    /// Those who wait for the connection look again.
    Wake,
    /// Looks for the device, and has the route resolved.
    ResolveRoute,
    /// Makes the queue pair, and asks the peer for a connection.
    SendRequest,
    /// The iSCSI connection and this one are bound to each other.
    Attach,
    /// The iSCSI connection is not bound.
    Refuse,
    /// The queue pair stops, and the CM begins to disconnect, or answers. Waits for nobody.
    Disconnect,
    /// Waits until the device has done with what was posted.
    Drain,
    /// Tasks give up what they have of the device, whoever still has a reference to them.
    Unmap,
    /// The iSCSI connection is stopped, and is not bound any more.
    StopIscsi,
    /// From now on, the CM has so much time to say its last word.
    Deadline,
    /// The work item is to destroy the id.
    QueueWork,
    /// The work item gives up the queue pair, buffers and the device, which may wait for handlers.
    Release,
    /// The work item destroys the id, which waits for its handlers.
    DestroyId,
    /// The endpoint is destroyed.
    DestroyEndpoint,
    /// The connection is no more.
    Free,
}

impl Action {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 18] = [
        Self::Suspend,
        Self::Report,
        Self::Publish,
        Self::Wake,
        Self::ResolveRoute,
        Self::SendRequest,
        Self::Attach,
        Self::Refuse,
        Self::Disconnect,
        Self::Drain,
        Self::Unmap,
        Self::StopIscsi,
        Self::Deadline,
        Self::QueueWork,
        Self::Release,
        Self::DestroyId,
        Self::DestroyEndpoint,
        Self::Free,
    ];

    fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// Actions, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "the state has changed as if they were done"]
pub(crate) struct Actions(u32);

impl Actions {
    /// None.
    pub(crate) const NONE: Self = Self(0);

    /// Whether it is one of them.
    pub(crate) fn has(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// This one, too.
    pub(super) fn and(self, action: Action) -> Self {
        Self(self.0 | action.bit())
    }

    /// This one too, if so.
    pub(super) fn and_if(self, condition: bool, action: Action) -> Self {
        if condition {
            self.and(action)
        } else {
            self
        }
    }

    /// Goes through them in order.
    pub(crate) fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |action| self.has(*action))
    }
}

impl From<Action> for Actions {
    fn from(action: Action) -> Self {
        Self(action.bit())
    }
}
