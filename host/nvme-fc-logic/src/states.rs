// SPDX-License-Identifier: GPL-2.0

//! All states of a local port with two remote ports and three controllers, and in each of them all
//! that may be done, also while a callback runs.

use std::collections::HashSet;

use crate::reference::{all_ops, Op, Rig, State, PORTS};

type Step = (Op, Option<Op>);

/// Goes there, and says where that is. Whether a callback was there for the last nested operation.
fn replay(history: &[Step]) -> (State, bool) {
    let rig = Rig::new();
    let rig = rig.start();
    let mut all = true;
    for &(op, nested) in history {
        all = rig.step_with(op, nested);
    }
    let state = rig.state();
    rig.drain();
    (state, all)
}

/// Goes through all states that are reached when at most `unregistering` threads are about to
/// unregister ports at the same time. How many there are, and how many steps.
pub(crate) fn search(unregistering: usize) -> (usize, usize) {
    let ops = all_ops();
    let mut seen = HashSet::from([replay(&[]).0]);
    let mut generation = vec![Vec::<Step>::new()];
    let mut steps = 0;
    while !generation.is_empty() {
        let mut next = Vec::new();
        for history in &generation {
            let mut go = |step: Step| {
                let mut longer = history.clone();
                longer.push(step);
                let (state, all) = replay(&longer);
                steps += 1;
                if state.unregistering() <= unregistering && seen.insert(state) {
                    next.push(longer);
                }
                all
            };
            for &op in &ops {
                go((op, None));
                for &nested in &ops {
                    // Without a callback, all of them are the same.
                    if !go((op, Some(nested))) {
                        break;
                    }
                }
            }
        }
        generation = next;
    }
    (seen.len(), steps)
}

#[test]
fn every_state() {
    let (states, steps) = search(2);
    println!("{states} states, {steps} steps");
    // For each port registered, unregistered and deleted, and at least that.
    assert!(states > 3usize.pow(PORTS as u32) * 10, "{states}");
}
