// SPDX-License-Identifier: GPL-2.0

//! What the suites share.

use super::logic::{
    action::Action,
    event::Event,
    state::{
        step,
        Id,
        Link,
        State, //
    },
};

/// Fails the running test unless the condition holds.
macro_rules! check {
    ($condition:expr $(,)?) => {
        kernel::kunit_assert!(
            "iser",
            c"drivers/infiniband/ulp/iser/conn/kunit",
            0,
            $condition
        )
    };
}
pub(crate) use check;

/// A connection to which things happen.
pub(crate) struct Player(pub(crate) State);

impl Player {
    /// One that `ep_connect` has just made.
    pub(crate) fn new() -> Self {
        Self(State::NEW)
    }

    /// Something happens: just these actions follow, in this order.
    pub(crate) fn play(&mut self, event: Event, expected: &[Action]) {
        let (state, actions) = step(self.0, event);
        check!(actions.iter().eq(expected.iter().copied()));
        self.0 = state;
    }

    /// What it has come to.
    pub(crate) fn is(&self, link: Link, id: Id, endpoint: bool, bound: bool) {
        check!(self.0.link() == link);
        check!(self.0.id() == id);
        check!(self.0.has_endpoint() == endpoint);
        check!(self.0.is_bound() == bound);
    }

    /// A connection that is up, and bound if so.
    pub(crate) fn up(bound: bool) -> Self {
        let mut player = Self::new();
        player.play(Event::Connect, &[Action::Publish]);
        player.play(Event::AddrResolved, &[Action::ResolveRoute]);
        player.play(Event::RouteResolved, &[Action::SendRequest]);
        player.play(Event::Established, &[Action::Publish, Action::Wake]);
        if bound {
            player.play(Event::ConnBind, &[Action::Attach]);
        }
        player.is(Link::Up, Id::Live, true, bound);
        player
    }

    /// The work item destroys the id, and that was all.
    pub(crate) fn destroy_by_work(&mut self) {
        self.is(Link::Down, Id::Queued, false, false);
        self.play(Event::Work, &[Action::Release, Action::DestroyId]);
        self.play(Event::Destroyed, &[Action::Free]);
        self.is(Link::Down, Id::None, false, false);
    }
}
