// SPDX-License-Identifier: GPL-2.0

//! What holds in all orders.

use crate::explore::explore;
use crate::plain::logic::action::{Action, Actions};
use crate::plain::logic::event::Event;
use crate::plain::logic::state::{step, State};
use crate::world::is_free;

/// All events.
pub(crate) const EVENTS: [Event; 16] = [
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

#[test]
fn all_orders() {
    let found = explore();
    println!(
        "{} worlds, {} steps, {} states",
        found.worlds,
        found.steps,
        found.states.len()
    );
    found.expect_none();
    // None was left out by a change of the world around.
    assert!(found.worlds > 150);
    assert!(found.states.len() > 15);
}

#[test]
fn nothing_happens_to_what_is_freed() {
    let freed: Vec<State> = explore()
        .states
        .into_iter()
        .filter(|state| is_free(*state))
        .collect();
    assert!(!freed.is_empty());
    for state in freed {
        for event in EVENTS {
            let expected = match event {
                Event::ConnBind => Action::Refuse.into(),
                _ => Actions::NONE,
            };
            // The module's end asks all that there are, which this is not.
            if event != Event::ModuleExit {
                assert_eq!(step(state, event), (state, expected), "{event:?}");
            }
        }
    }
}

#[test]
fn actions_are_done_in_order() {
    for state in explore().states {
        for event in EVENTS {
            let done: Vec<Action> = step(state, event).1.iter().collect();
            assert!(done.is_sorted(), "{done:?}");
        }
    }
    assert!(Action::ALL.is_sorted());
}
