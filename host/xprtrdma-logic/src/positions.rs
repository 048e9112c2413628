// SPDX-License-Identifier: GPL-2.0

//! All states of small rings: each place of each of the three positions, and all that may happen
//! there.

use std::collections::HashSet;

use crate::reference::{Op, Rig};

type State = ((usize, usize, usize), (usize, bool));

fn state(rig: &Rig) -> State {
    (rig.positions(), rig.knowledge())
}

/// Goes through all states of a ring of `contexts` contexts. How many there are, and how many
/// different positions.
pub(crate) fn search(contexts: usize) -> (usize, usize) {
    let ops: Vec<Op> = [Op::Get, Op::Post]
        .into_iter()
        // One place more than there are: a context of another ring.
        .chain((0..=contexts).flat_map(|place| [Op::Unget(place), Op::Put(place)]))
        .collect();
    let mut seen = HashSet::from([state(&Rig::new(contexts))]);
    let mut generation = vec![Vec::new()];
    while !generation.is_empty() {
        let mut next = Vec::new();
        for history in &generation {
            for &op in &ops {
                let mut longer: Vec<Op> = history.clone();
                longer.push(op);
                let mut rig = Rig::new(contexts);
                for &op in &longer {
                    rig.step(op);
                }
                let state = state(&rig);
                rig.close();
                if seen.insert(state) {
                    next.push(longer);
                }
            }
        }
        generation = next;
    }
    let positions: HashSet<_> = seen.iter().map(|state| state.0).collect();
    (seen.len(), positions.len())
}

#[test]
fn every_position_of_small_rings() {
    for contexts in 0..=7 {
        let (states, positions) = search(contexts);
        println!("{contexts} contexts: {states} states");
        // The next place, how many are in use, and how many of them are posted.
        let all = contexts.max(1) * (contexts + 1) * (contexts + 2) / 2;
        assert_eq!(positions, all, "{contexts} contexts");
    }
}

/// Nothing is released if they are closed together.
pub(crate) fn ends_of_two_rings() {
    let mut rigs = [Rig::new(2), Rig::new(2)];
    for rig in &mut rigs {
        rig.step(Op::Get);
        rig.step(Op::Post);
    }
    let [one, other] = rigs;
    one.close_with(other);
}

#[test]
fn ends_of_two_rings_release_nothing() {
    ends_of_two_rings();
}

/// Those of a connection: once round for each state would be too much, so it is filled and emptied
/// by each number of contexts, from each place.
#[test]
fn rings_of_connections() {
    for contexts in [3, 6, 18, 130] {
        for number in 1..=contexts {
            let mut rig = Rig::new(contexts);
            for _ in 0..contexts + 1 {
                for _ in 0..number {
                    rig.step(Op::Get);
                }
                let (next, ..) = rig.positions();
                let last = (next + contexts - 1) % contexts;
                rig.step(Op::Post);
                rig.step(Op::Unget(last));
                rig.step(Op::Put(last));
                rig.step(Op::Put(last));
            }
            rig.close();
        }
    }
}
