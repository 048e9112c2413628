// SPDX-License-Identifier: GPL-2.0

//! The model check: every interleaving of a few events, shortest first.
//!
//! A breadth-first search over the states of a [`Rig`]: the engine, which is the kernel's own source,
//! with the reference and the properties beside it. In each state that is new, each event that is
//! left is tried; then user space completes everything, and nothing may be left over. The first
//! violation is found on a shortest way, which is printed.
//!
//! Why no model checker from the shelf (stateright was looked at): they copy and compare states. An
//! engine cannot be copied, on purpose: it owns commands of LIO, and that they cannot be copied is
//! what makes P7 hold. So a state is kept as the events that led to it, which are played again from
//! the start when it is looked at; what remains for a checker is a queue and a table.
//!
//! Histories that nothing outside of the engine can tell apart ([`Rig::fingerprint`]) count as one
//! state, and only the first of them goes on. A fault inside of the engine that one of them has, and
//! that shows only later, would be lost with it: for that there are the sequences in
//! `exhaustive.rs`, which are played without any such merging, and the random ones.

use super::properties::Property;
use super::rig::{Action, Rig};
use crate::logic::engine::Config;
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{catch_unwind, set_hook, take_hook, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

/// An event with the name that a printed trace gives it.
pub(crate) type Event = (&'static str, Action);

/// Events of one kind, of which so many may happen.
pub(crate) struct Events {
    pub(crate) at_most: usize,
    pub(crate) choices: Vec<Event>,
}

/// What is searched.
pub(crate) struct Scenario {
    pub(crate) config: Config,
    /// What has happened before.
    pub(crate) start: Vec<Event>,
    pub(crate) events: Vec<Events>,
    /// Called before a history is played.
    pub(crate) prepare: fn(),
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Number of different states.
    pub(crate) states: usize,
    /// Number of events tried.
    pub(crate) transitions: usize,
    /// The first violation of each property, and of what the reference says (`None`).
    pub(crate) violations: Vec<(Option<Property>, Trace)>,
}

/// A way to a violation.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) events: Vec<&'static str>,
    pub(crate) violation: String,
}

impl std::fmt::Display for Trace {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, event) in self.events.iter().enumerate() {
            writeln!(to, "  {}. {event}", nth + 1)?;
        }
        writeln!(to, "  -> {}", self.violation)
    }
}

impl Findings {
    /// Whether there are violations of all these properties.
    fn has(&self, wanted: &[Property]) -> bool {
        let violated = |property: &Property| {
            let mut found = self.violations.iter();
            found.any(|(violated, _)| *violated == Some(*property))
        };
        !wanted.is_empty() && wanted.iter().all(violated)
    }
}

/// A state, and how many events of each limited kind have happened.
type State = (u64, Vec<u8>);

/// A history: for each event the kind and the choice.
type History = Vec<(u8, u8)>;

std::thread_local! {
    /// What a caught panic has said; `None` while panics are not to be caught.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn text(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    match (
        payload.downcast_ref::<String>(),
        payload.downcast_ref::<&str>(),
    ) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => "a panic".to_owned(),
    }
}

/// Runs `work`; an error is what it panicked with.
fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            let is_caught =
                SAID.with_borrow_mut(|said| said.as_mut().map(|said| *said = text(info)));
            if is_caught.is_none() {
                usual(info);
            }
        }));
    });
    SAID.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(work));
    let said = SAID.take().unwrap_or_default();
    result.map_err(|_| said)
}

impl Scenario {
    fn event(&self, (kind, choice): (u8, u8)) -> &Event {
        &self.events[usize::from(kind)].choices[usize::from(choice)]
    }

    fn play(&self, history: &[(u8, u8)]) -> Rig {
        (self.prepare)();
        let mut rig = Rig::new(&self.config, Some(20));
        rig.qfull_time = 40;
        for (_, action) in &self.start {
            rig.step(action);
        }
        for &event in history {
            rig.step(&self.event(event).1);
        }
        rig
    }

    fn trace(&self, history: &History, violation: &str) -> Trace {
        let start = self.start.iter().map(|(name, _)| *name);
        let events = history.iter().map(|&event| self.event(event).0);
        Trace {
            events: start.chain(events).collect(),
            violation: violation.to_owned(),
        }
    }

    /// Goes through all interleavings, or until violations of these properties are found.
    pub(crate) fn search(&self, wanted: &[Property]) -> Findings {
        let mut findings = Findings::default();
        let mut seen: HashSet<State> = HashSet::new();
        let mut generation = vec![History::new()];
        while !generation.is_empty() && !findings.has(wanted) {
            let mut next = Vec::new();
            for history in &generation {
                if findings.has(wanted) {
                    break;
                }
                self.expand(history, &mut seen, &mut next, &mut findings);
            }
            generation = next;
        }
        findings.states = seen.len();
        findings
    }

    /// Tries each event that may follow `history`.
    fn expand(
        &self,
        history: &History,
        seen: &mut HashSet<State>,
        next: &mut Vec<History>,
        findings: &mut Findings,
    ) {
        for (kind, events) in (0..).zip(&self.events) {
            let so_far = history.iter().filter(|event| event.0 == kind).count();
            let choices = if so_far < events.at_most {
                events.choices.len()
            } else {
                0
            };
            for choice in 0..choices as u8 {
                let mut longer = history.clone();
                longer.push((kind, choice));
                let mut rig = self.play(history);
                let done = caught(|| {
                    let enabled = rig.step(&self.event((kind, choice)).1);
                    enabled.then(|| rig.fingerprint())
                });
                let result = match done {
                    Ok(None) => continue,
                    Ok(Some(state)) => {
                        findings.transitions += 1;
                        if !seen.insert((state, self.used(&longer))) {
                            continue;
                        }
                        caught(|| rig.drain())
                    }
                    Err(said) => {
                        findings.transitions += 1;
                        Err(said)
                    }
                };
                match result {
                    Ok(()) => next.push(longer),
                    Err(said) => findings.note(&said, |violation| self.trace(&longer, violation)),
                }
            }
        }
    }

    /// How many events of each limited kind have happened.
    fn used(&self, history: &History) -> Vec<u8> {
        let mut used = vec![0; self.events.len()];
        for &(kind, _) in history {
            let kind = usize::from(kind);
            used[kind] += u8::from(self.events[kind].at_most < usize::MAX);
        }
        used
    }
}

impl Findings {
    /// Notes the properties that a panic names, and where in its text.
    fn note(&mut self, said: &str, trace: impl Fn(&str) -> Trace) {
        let mut named: Vec<(Option<Property>, &str)> = Vec::new();
        for property in Property::ALL {
            if let Some(at) = said.find(&format!("{property}: ")) {
                let line = said[at..].lines().next().unwrap_or_default();
                let end = line.find("; ").unwrap_or(line.len());
                named.push((Some(property), &line[..end]));
            }
        }
        if named.is_empty() {
            named.push((None, said));
        }
        for (violated, text) in named {
            if self.violations.iter().all(|(known, _)| *known != violated) {
                self.violations.push((violated, trace(text)));
            }
        }
    }
}
