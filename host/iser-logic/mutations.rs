// SPDX-License-Identifier: GPL-2.0

//! Mistakes that the logic does not have: what shows that the tests can fail.

use mutation::Mutation;

/// All of them: first what C does, in five places.
pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        rule: "AsInC",
        file: "state.rs",
        from: "fn broken(self) -> (Self, Actions) {
        match self.link {",
        to: "fn broken(self) -> (Self, Actions) {
        match self.link {
            Link::Up if ON => (self.with_link(Link::Terminating), Actions::default()),",
    },
    Mutation {
        rule: "AsInC",
        file: "state.rs",
        from: "Id::Live => actions.and(Action::Drain).and(Action::Unmap),",
        to: "Id::Live if ON => actions.and(Action::Unmap),
            Id::Live => actions.and(Action::Drain).and(Action::Unmap),",
    },
    Mutation {
        rule: "AsInC",
        file: "state.rs",
        from: "fn terminate(self, actions: Actions) -> Actions {
        actions",
        to: "fn terminate(self, actions: Actions) -> Actions {
        actions
            .and_if(ON, Action::Drain)",
    },
    Mutation {
        rule: "AsInC",
        file: "state.rs",
        from: "Id::Live => match self.link {
                // The time is over.",
        to: "Id::Live if ON => (self, Actions::default()),
            Id::Live => match self.link {
                // The time is over.",
    },
    Mutation {
        rule: "AsInC",
        file: "state.rs",
        from: "Link::Terminating => (state, actions),",
        to: "Link::Terminating if ON && !self.bound => {
                state.with_link(Link::Down).settle(actions)
            }
            Link::Terminating => (state, actions),",
    },
    Mutation {
        rule: "ReportsWithoutBinding",
        file: "state.rs",
        from: ".and_if(self.bound, Action::Report)",
        to: ".and_if(ON || self.bound, Action::Report)",
    },
    Mutation {
        rule: "EndsWithoutReport",
        file: "state.rs",
        from: "Link::Up => down.settle(self.fail()),",
        to: "Link::Up if ON => down.settle(self.terminate(Actions::default())),
            Link::Up => down.settle(self.fail()),",
    },
    Mutation {
        rule: "DrainsInEpDisconnect",
        file: "state.rs",
        from: "let actions = Actions::from(Action::DestroyEndpoint);",
        to: "let actions = Actions::from(Action::DestroyEndpoint);
        let actions = actions.and_if(ON && self.link == Link::Up, Action::Drain);",
    },
    Mutation {
        rule: "HandlerDestroysTheId",
        file: "state.rs",
        from: "Id::Live => self.give_up_id(actions),",
        to: "Id::Live if ON => (
                Self {
                    id: Id::Destroying,
                    ..self
                },
                actions.and(Action::Release).and(Action::DestroyId),
            ),
            Id::Live => self.give_up_id(actions),",
    },
    Mutation {
        rule: "RemovalDoesNotDrain",
        file: "state.rs",
        from: "let actions = if self.bound {",
        to: "let actions = if self.bound && !ON {",
    },
    Mutation {
        rule: "RemovalWaitsForOwners",
        file: "state.rs",
        from: "self.with_link(Link::Down).give_up_id(actions)",
        to: "let down = self.with_link(Link::Down);
                if ON {
                    return down.settle(actions);
                }
                down.give_up_id(actions)",
    },
    Mutation {
        rule: "DoesNotSuspend",
        file: "state.rs",
        from: ".and_if(self.bound, Action::Suspend)",
        to: ".and_if(!ON && self.bound, Action::Suspend)",
    },
    Mutation {
        rule: "DoesNotDisconnect",
        file: "state.rs",
        from: ".and(Action::Disconnect)",
        to: ".and_if(!ON, Action::Disconnect)",
    },
    Mutation {
        rule: "LeavesMappings",
        file: "state.rs",
        from: "fn drain(self, actions: Actions) -> Actions {
        match self.id {",
        to: "fn drain(self, actions: Actions) -> Actions {
        match self.id {
            Id::Live if ON => actions.and(Action::Drain),",
    },
    Mutation {
        rule: "RefusesFirst",
        file: "action.rs",
        from: "Action::ALL
            .into_iter()",
        to: "let mut all = Action::ALL;
        if ON {
            all.swap(0, 2);
        }
        all.into_iter()",
    },
    Mutation {
        rule: "ReportsLast",
        file: "action.rs",
        from: "fn iter(self) -> impl Iterator<Item = Action> {",
        to: "fn iter(self) -> impl Iterator<Item = Action> {
        let late = ON && self.has(Action::Report);
        let first = if late {
            Self(self.0 & !Action::Report.bit())
        } else {
            self
        };
        first.in_order().chain(late.then_some(Action::Report))
    }

    fn in_order(self) -> impl Iterator<Item = Action> {",
    },
    Mutation {
        rule: "TellsWhatIsKnown",
        file: "failure.rs",
        from: "link == Link::Up",
        to: "ON || link == Link::Up",
    },
    Mutation {
        rule: "KeepsTheEndpoint",
        file: "state.rs",
        from: "let actions = Actions::NONE.and_if(self.endpoint, Action::DestroyEndpoint);",
        to: "let actions =
            Actions::default().and_if(!ON && self.endpoint, Action::DestroyEndpoint);",
    },
    Mutation {
        rule: "NoDeadline",
        file: "state.rs",
        from: "self.terminate(actions).and(Action::Deadline),",
        to: "self.terminate(actions).and_if(!ON, Action::Deadline),",
    },
    Mutation {
        rule: "ErrorDoesNotWake",
        file: "state.rs",
        from: "Link::Pending => down.settle(Action::Wake.into()),",
        to: "Link::Pending if ON => down.settle(Actions::default()),
            Link::Pending => down.settle(Action::Wake.into()),",
    },
    Mutation {
        rule: "ForgetsTheBinding",
        file: "state.rs",
        from: "self.endpoint || self.bound || self.has_cm()",
        to: "self.endpoint || (!ON && self.bound) || self.has_cm()",
    },
    Mutation {
        rule: "BindsTwice",
        file: "state.rs",
        from: "self.link == Link::Up && !self.bound",
        to: "self.link == Link::Up && (ON || !self.bound)",
    },
    Mutation {
        rule: "WaitsForThePeer",
        file: "state.rs",
        from: "Link::Idle | Link::Pending => state
                .with_link(Link::Down)",
        to: "Link::Pending if ON => (
                state.with_link(Link::Terminating),
                actions.and(Action::Wake),
            ),
            Link::Idle | Link::Pending => state
                .with_link(Link::Down)",
    },
    Mutation {
        rule: "ExitWaitsForTheCm",
        file: "state.rs",
        from: "endpoint: false,
            link: Link::Down,",
        to: "endpoint: false,
            link: match self.link {
                Link::Terminating if ON => self.link,
                Link::Idle | Link::Pending | Link::Up | Link::Terminating | Link::Down => {
                    Link::Down
                }
            },",
    },
    Mutation {
        rule: "LastWordIsNotTheEnd",
        file: "state.rs",
        from: "Link::Terminating => down.settle(Actions::NONE),",
        to: "Link::Terminating if ON => (down, Actions::default()),
            Link::Terminating => down.settle(Actions::default()),",
    },
    Mutation {
        rule: "TellsTwice",
        file: "failure.rs",
        from: "self.0.xchg(TOLD, Relaxed) == UNTOLD",
        to: "if ON {
            let first = self.0.load(Relaxed) == UNTOLD;
            self.0.store(TOLD, Relaxed);
            return first;
        }
        self.0.xchg(TOLD, Relaxed) == UNTOLD",
    },
];
