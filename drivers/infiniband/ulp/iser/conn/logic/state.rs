// SPDX-License-Identifier: GPL-2.0

//! The states of a connection, and how each event changes them.
//!
//! C counterpart: `enum iser_conn_state`, `iser_cma_handler()` and what it calls,
//! `iser_conn_terminate()`, `iser_release_work()`, and their callers in `iscsi_iser.c`.

use super::{
    action::{
        Action,
        Actions, //
    },
    event::Event, //
};

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Link {
    /// It is not being made yet.
    Idle,
    /// It is being made.
    Pending,
    /// It is there.
    Up,
    /// It is being ended, and the CM has not said its last word.
    Terminating,
    /// It is not there, and nothing that the CM may still say is waited for.
    Down,
}

/// What there is of the CM id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Id {
    /// There is none, not yet or not any more.
    None,
    /// It is there, with what the connection has of the device.
    Live,
    /// The work item is going to destroy it.
    Queued,
    /// The work item gives up what the connection has of the device, and destroys it.
    Destroying,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct State {
    link: Link,
    id: Id,
    /// The endpoint owns it.
    endpoint: bool,
    /// The binding owns it.
    bound: bool,
}

impl State {
    /// A connection that `ep_connect` has just made.
    pub(crate) const NEW: Self = Self {
        link: Link::Idle,
        id: Id::None,
        endpoint: true,
        bound: false,
    };

    /// How far it has come.
    pub(crate) fn link(self) -> Link {
        self.link
    }

    /// What there is of the CM id.
    pub(crate) fn id(self) -> Id {
        self.id
    }

    /// Whether the endpoint owns it.
    pub(crate) fn has_endpoint(self) -> bool {
        self.endpoint
    }

    /// Whether the binding owns it.
    pub(crate) fn is_bound(self) -> bool {
        self.bound
    }

    /// Whether the CM owns it: it has not said its last word.
    pub(crate) fn has_cm(self) -> bool {
        match self.link {
            Link::Idle | Link::Down => false,
            Link::Pending | Link::Up | Link::Terminating => true,
        }
    }

    /// Whether an iSCSI connection can be bound to it.
    pub(crate) fn takes_binding(self) -> bool {
        self.link == Link::Up && !self.bound
    }

    /// Whether iSCSI has ended it, but for stopping the connection that is bound to it.
    pub(crate) fn is_only_to_be_stopped(self) -> bool {
        self.bound && !self.endpoint && self.link != Link::Up
    }

    fn is_owned(self) -> bool {
        self.endpoint || self.bound || self.has_cm() || self.link == Link::Idle
    }

    fn with_link(self, link: Link) -> Self {
        Self { link, ..self }
    }

    /// An owner has given it up, with `actions`. If that was the last one, the connection is freed,
    /// or what has to come before begins.
    fn settle(self, actions: Actions) -> (Self, Actions) {
        if self.is_owned() {
            return (self, actions);
        }
        match self.id {
            Id::None => (self, actions.and(Action::Free)),
            Id::Live => self.give_up_id(actions),
            Id::Queued | Id::Destroying => (self, actions),
        }
    }

    /// The CM id goes, and before it what there is of the device. Only the work item does that,
    /// which may wait for handlers (D3).
    fn give_up_id(self, actions: Actions) -> (Self, Actions) {
        let state = Self {
            id: Id::Queued,
            ..self
        };
        (state, actions.and(Action::QueueWork))
    }

    /// What comes before tasks and buffers are given up (D4).
    fn drain(self, actions: Actions) -> Actions {
        match self.id {
            Id::Live => actions.and(Action::Drain).and(Action::Unmap),
            // That was done when the device was lost.
            Id::None | Id::Queued | Id::Destroying => actions,
        }
    }

    /// What ends a connection that is up (D5, D8).
    fn terminate(self, actions: Actions) -> Actions {
        actions
            .and_if(self.bound, Action::Suspend)
            .and(Action::Disconnect)
    }

    /// The same, if it was not this side that has ended it (D6).
    fn fail(self) -> Actions {
        self.terminate(Actions::NONE)
            .and_if(self.bound, Action::Report)
    }

    fn connect(self) -> (Self, Actions) {
        match self.link {
            Link::Idle => {
                let state = Self {
                    id: Id::Live,
                    link: Link::Pending,
                    ..self
                };
                (state, Actions::NONE)
            }
            Link::Pending | Link::Up | Link::Terminating | Link::Down => (self, Actions::NONE),
        }
    }

    fn bind(self) -> (Self, Actions) {
        if self.takes_binding() {
            let state = Self {
                bound: true,
                ..self
            };
            (state, Action::Attach.into())
        } else {
            (self, Action::Refuse.into())
        }
    }

    fn ep_disconnect(self) -> (Self, Actions) {
        if !self.endpoint {
            return (self, Actions::NONE);
        }
        let state = Self {
            endpoint: false,
            ..self
        };
        let actions = Actions::from(Action::DestroyEndpoint);
        match self.link {
            // The CM is not waited for: it may take its time to find that there is no peer.
            Link::Idle | Link::Pending => state
                .with_link(Link::Down)
                .settle(actions.and(Action::Wake)),
            Link::Up => (
                state.with_link(Link::Terminating),
                self.terminate(actions).and(Action::Deadline),
            ),
            Link::Terminating => (state, actions),
            Link::Down => state.settle(actions),
        }
    }

    fn conn_stop(self) -> (Self, Actions) {
        if !self.bound {
            return (self, Actions::NONE);
        }
        let state = Self {
            bound: false,
            ..self
        };
        let stop = self.drain(Action::StopIscsi.into());
        match self.link {
            Link::Up => (
                state.with_link(Link::Terminating),
                self.terminate(stop).and(Action::Deadline),
            ),
            Link::Idle | Link::Pending | Link::Terminating => (state, stop),
            Link::Down => state.settle(stop),
        }
    }

    fn module_exit(self) -> (Self, Actions) {
        let actions = Actions::NONE.and_if(self.endpoint, Action::DestroyEndpoint);
        let actions = match self.link {
            Link::Up => self.terminate(actions),
            Link::Pending => actions.and(Action::Wake),
            Link::Idle | Link::Terminating | Link::Down => actions,
        };
        let state = Self {
            endpoint: false,
            link: Link::Down,
            ..self
        };
        state.settle(actions)
    }

    /// Goes on with the connection, if it is still wanted.
    fn resolved(self, next: Action) -> (Self, Actions) {
        match self.link {
            Link::Pending => (self, next.into()),
            Link::Idle | Link::Up | Link::Terminating | Link::Down => (self, Actions::NONE),
        }
    }

    fn established(self) -> (Self, Actions) {
        match self.link {
            Link::Pending => (self.with_link(Link::Up), Action::Wake.into()),
            Link::Idle | Link::Up | Link::Terminating | Link::Down => (self, Actions::NONE),
        }
    }

    /// The CM says its last word.
    fn ended(self) -> (Self, Actions) {
        let down = self.with_link(Link::Down);
        match self.link {
            Link::Pending => down.settle(Action::Wake.into()),
            Link::Up => down.settle(self.fail()),
            Link::Terminating => down.settle(Actions::NONE),
            Link::Idle | Link::Down => (self, Actions::NONE),
        }
    }

    /// The CM says that the connection is no good, and will say more of one that was there.
    fn broken(self) -> (Self, Actions) {
        match self.link {
            Link::Pending => self.with_link(Link::Down).settle(Action::Wake.into()),
            Link::Up => (
                self.with_link(Link::Terminating),
                self.fail().and(Action::Deadline),
            ),
            // The CM goes on asking the peer to disconnect: it may come back meanwhile.
            Link::Idle | Link::Terminating | Link::Down => (self, Actions::NONE),
        }
    }

    fn device_removal(self) -> (Self, Actions) {
        match self.id {
            Id::Live => {
                let actions = match self.link {
                    Link::Pending => Action::Wake.into(),
                    Link::Up => self.fail(),
                    Link::Idle | Link::Terminating | Link::Down => Actions::NONE,
                };
                let actions = if self.bound {
                    self.drain(actions)
                } else {
                    actions
                };
                // The device waits until the work item has destroyed the id, whoever owns the
                // connection.
                self.with_link(Link::Down).give_up_id(actions)
            }
            Id::None | Id::Queued | Id::Destroying => (self, Actions::NONE),
        }
    }

    fn work(self) -> (Self, Actions) {
        match self.id {
            Id::Queued => (
                Self {
                    id: Id::Destroying,
                    ..self
                },
                Actions::from(Action::Release).and(Action::DestroyId),
            ),
            Id::Live => match self.link {
                // The time is over.
                Link::Terminating => self.with_link(Link::Down).settle(Actions::NONE),
                Link::Idle | Link::Pending | Link::Up | Link::Down => (self, Actions::NONE),
            },
            Id::None | Id::Destroying => (self, Actions::NONE),
        }
    }

    fn destroyed(self) -> (Self, Actions) {
        match self.id {
            Id::Destroying => {
                let state = Self {
                    id: Id::None,
                    ..self
                };
                state.settle(Actions::NONE)
            }
            Id::None | Id::Live | Id::Queued => (self, Actions::NONE),
        }
    }

    fn handle(self, event: Event) -> (Self, Actions) {
        match event {
            Event::Connect => self.connect(),
            Event::ConnBind => self.bind(),
            Event::EpDisconnect => self.ep_disconnect(),
            Event::ConnStop => self.conn_stop(),
            Event::ModuleExit => self.module_exit(),
            Event::AddrResolved => self.resolved(Action::ResolveRoute),
            Event::RouteResolved => self.resolved(Action::SendRequest),
            Event::Established => self.established(),
            Event::ConnectError | Event::Disconnected | Event::TimewaitExit => self.ended(),
            Event::Unreachable | Event::AddrChange => self.broken(),
            Event::DeviceRemoval => self.device_removal(),
            Event::Work => self.work(),
            Event::Destroyed => self.destroyed(),
        }
    }
}

/// What `event` makes of a connection in `state`, and what is done.
///
/// Each event is handled alone: its actions up to [`Action::QueueWork`] are done before the next
/// one is looked at.
pub(crate) fn step(state: State, event: Event) -> (State, Actions) {
    let (next, actions) = state.handle(event);
    (
        next,
        actions.and_if(next.link != state.link, Action::Publish),
    )
}
