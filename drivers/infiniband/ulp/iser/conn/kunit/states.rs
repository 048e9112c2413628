// SPDX-License-Identifier: GPL-2.0

//! All states that a connection can come to.

use kernel::prelude::*;

use super::{
    common::check,
    ext::kunit::suite,
    logic::{
        action::Action,
        event::Event,
        state::{
            step,
            Id,
            Link,
            State, //
        },
    },
};

/// All events.
const EVENTS: [Event; 16] = [
    Event::Connect,
    Event::ConnBind,
    Event::EpDisconnect,
    Event::ConnStop,
    Event::ModuleExit,
    Event::AddrResolved,
    Event::RouteResolved,
    Event::Established,
    Event::ConnectError,
    Event::Unreachable,
    Event::AddrChange,
    Event::Disconnected,
    Event::TimewaitExit,
    Event::DeviceRemoval,
    Event::Work,
    Event::Destroyed,
];

/// How many there are, as the host has found.
const STATES: usize = 23;

fn is_free(state: State) -> bool {
    let owned = state.has_endpoint() || state.is_bound() || state.has_cm();
    !owned && state.link() == Link::Down && state.id() == Id::None
}

fn found() -> KVec<State> {
    let mut states = KVec::new();
    check!(states.push(State::NEW, GFP_KERNEL).is_ok());
    let mut next = 0;
    while let Some(state) = states.get(next).copied() {
        next += 1;
        for event in EVENTS {
            // Sessions keep the module.
            if event == Event::ModuleExit && state.is_bound() {
                continue;
            }
            let (after, _) = step(state, event);
            if !states.contains(&after) {
                check!(states.push(after, GFP_KERNEL).is_ok());
            }
        }
    }
    states
}

fn are_those_of_the_host() {
    check!(found().len() == STATES);
}

/// What this side does by itself ends a connection in a few steps.
fn end_without_the_peer() {
    for start in &found() {
        let mut state = *start;
        let mut freed = is_free(state);
        for _ in 0..2 {
            for event in [
                Event::EpDisconnect,
                Event::ConnStop,
                Event::Work,
                // Time was over: it is queued anew.
                Event::Work,
                Event::Destroyed,
            ] {
                let (after, actions) = step(state, event);
                check!(!(freed && actions.has(Action::Free)));
                freed |= actions.has(Action::Free);
                state = after;
            }
        }
        check!(freed && is_free(state));
    }
}

suite!(iser_conn_states:
    are_those_of_the_host,
    end_without_the_peer,
);
