// SPDX-License-Identifier: GPL-2.0

//! The table of states in `Documentation/infiniband/iser-connection.rst` is that of the code.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::explore::explore;
use crate::orders::EVENTS;
use crate::plain::logic::action::{Action, Actions};
use crate::plain::logic::event::Event;
use crate::plain::logic::state::{step, Id, Link, State};
use crate::world::is_free;

/// From the folder of this crate.
const DOCUMENT: &str = "../../Documentation/infiniband/iser-connection.rst";

/// Before the table, and behind it.
const BEGIN: &str = ".. The table is checked by host/iser-logic.\n\n";
const END: &str = "\n.. End of the table.\n";

fn name(state: State) -> String {
    if is_free(state) {
        return "freed".to_owned();
    }
    let link = match state.link() {
        Link::Idle => "idle",
        Link::Pending => "pending",
        Link::Up => "up",
        Link::Terminating => "terminating",
        Link::Down => "down",
    };
    let mut name = link.to_owned();
    for (is_so, what) in [
        (state.has_endpoint(), "E"),
        (state.is_bound(), "B"),
        (state.has_cm(), "C"),
    ] {
        if is_so {
            name.push(' ');
            name.push_str(what);
        }
    }
    match state.id() {
        Id::None if state.link() == Link::Idle => {}
        Id::None => name.push_str(", no id"),
        Id::Live => {}
        Id::Queued => name.push_str(", queued"),
        Id::Destroying => name.push_str(", destroying"),
    }
    name
}

/// The words of a name like `DestroyByCm`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn done(actions: Actions) -> String {
    let names: Vec<String> = actions
        .iter()
        .map(|action| words(&format!("{action:?}")))
        .collect();
    if names.is_empty() {
        "\\-".to_owned()
    } else {
        names.join(", ")
    }
}

/// Each state, and in each what changes it or does something; events with the same result in one
/// row.
fn table() -> String {
    let mut table = String::from(
        ".. list-table::\n   :header-rows: 1\n   :widths: 18 26 20 36\n\n   * - State\n     - Event\n     - \
         Next state\n     - What is done\n",
    );
    for state in explore().states {
        let mut rows: Vec<(Vec<&str>, State, Actions)> = Vec::new();
        let names: Vec<(Event, String)> = EVENTS
            .into_iter()
            .map(|event| (event, format!("{event:?}")))
            .collect();
        for (event, event_name) in &names {
            let (next, actions) = step(state, *event);
            // A session that has a binding keeps the module.
            let cannot_be = *event == Event::ModuleExit && state.is_bound();
            let refuses = actions == Action::Refuse.into();
            let nothing = next == state && (actions == Actions::NONE || refuses);
            if cannot_be || nothing || is_free(state) {
                continue;
            }
            match rows
                .iter_mut()
                .find(|row| row.1 == next && row.2 == actions)
            {
                Some(row) => row.0.push(event_name),
                None => rows.push((vec![event_name], next, actions)),
            }
        }
        for (events, next, actions) in rows {
            let events = events.join(", ");
            let (from, to, what) = (name(state), name(next), done(actions));
            writeln!(
                table,
                "   * - {from}\n     - {events}\n     - {to}\n     - {what}"
            )
            .unwrap();
        }
    }
    table
}

#[test]
fn document_has_the_table_of_the_code() {
    let document = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let text = fs::read_to_string(document).unwrap();
    let (_, rest) = text.split_once(BEGIN).expect("the begin of the table");
    let (found, _) = rest.split_once(END).expect("the end of the table");
    let expected = table();
    if found != expected {
        println!("{expected}");
    }
    assert!(found == expected, "the table is another one, see above");
}
