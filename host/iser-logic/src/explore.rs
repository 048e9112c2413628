// SPDX-License-Identifier: GPL-2.0

//! All orders of what can happen to a connection.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::plain::logic::state::State;
use crate::world::{Property, Step, World};

/// What was found.
pub(crate) struct Found {
    /// Number of different worlds.
    pub(crate) worlds: usize,
    /// Number of steps from one to another.
    pub(crate) steps: usize,
    /// The states of the connection.
    pub(crate) states: BTreeSet<State>,
    /// What does not hold, each with the shortest way there.
    pub(crate) broken: BTreeMap<Property, Vec<Step>>,
}

impl Found {
    /// A way, for people.
    pub(crate) fn way(&self, property: Property) -> Option<String> {
        let steps = self.broken.get(&property)?;
        let names: Vec<String> = steps.iter().map(Step::to_string).collect();
        Some(names.join(", "))
    }

    /// Complains unless all holds.
    pub(crate) fn expect_none(&self) {
        for property in self.broken.keys() {
            let way = self.way(*property).unwrap_or_default();
            println!("{property:?}: {way}");
        }
        let first = self.broken.keys().next();
        assert!(first.is_none(), "{first:?} does not hold");
    }
}

struct Search {
    places: HashMap<World, usize>,
    worlds: Vec<World>,
    from: Vec<Option<(usize, Step)>>,
    broken: BTreeMap<Property, Vec<Step>>,
}

impl Search {
    fn place(&mut self, world: World, from: Option<(usize, Step)>) -> (usize, bool) {
        if let Some(place) = self.places.get(&world) {
            return (*place, false);
        }
        let place = self.worlds.len();
        self.places.insert(world.clone(), place);
        self.worlds.push(world);
        self.from.push(from);
        (place, true)
    }

    fn way(&self, place: usize, last: Option<Step>) -> Vec<Step> {
        let mut way: Vec<Step> = last.into_iter().collect();
        let mut at = place;
        while let Some((before, step)) = self.from[at] {
            way.push(step);
            at = before;
        }
        way.reverse();
        way
    }

    /// Which worlds can come to their end with certain steps.
    fn ends(&self, steps: impl Fn(&World) -> Vec<Step>) -> Vec<bool> {
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.worlds.len()];
        for (place, world) in self.worlds.iter().enumerate() {
            for step in steps(world) {
                let mut next = world.clone();
                next.take(step, &mut Vec::new());
                if let Some(next) = self.places.get(&next) {
                    before[*next].push(place);
                }
            }
        }
        let mut ends: Vec<bool> = self.worlds.iter().map(World::is_freed).collect();
        let mut queue: VecDeque<usize> = (0..ends.len()).filter(|place| ends[*place]).collect();
        while let Some(place) = queue.pop_front() {
            for earlier in &before[place] {
                if !ends[*earlier] {
                    ends[*earlier] = true;
                    queue.push_back(*earlier);
                }
            }
        }
        ends
    }

    fn expect_ends(
        &mut self,
        property: Property,
        which: impl Fn(&World) -> bool,
        steps: impl Fn(&World) -> Vec<Step>,
    ) {
        let ends = self.ends(steps);
        let stuck = (0..ends.len()).find(|place| !ends[*place] && which(&self.worlds[*place]));
        if let Some(place) = stuck {
            let way = self.way(place, None);
            self.broken.entry(property).or_insert(way);
        }
    }
}

/// Goes through all worlds, nearest first.
pub(crate) fn explore() -> Found {
    use crate::plain::logic::event::Event;

    let mut search = Search {
        places: HashMap::new(),
        worlds: Vec::new(),
        from: Vec::new(),
        broken: BTreeMap::new(),
    };
    let mut queue = VecDeque::from([search.place(World::new(), None).0]);
    let mut number = 0;
    let mut states = BTreeSet::new();
    while let Some(place) = queue.pop_front() {
        let world = search.worlds[place].clone();
        states.insert(world.state);
        for step in world.steps() {
            number += 1;
            let mut next = world.clone();
            let mut broken = Vec::new();
            next.take(step, &mut broken);
            for property in broken {
                let way = search.way(place, Some(step));
                search.broken.entry(property).or_insert(way);
            }
            let (next, new) = search.place(next, Some((place, step)));
            if new {
                queue.push_back(next);
            }
        }
    }
    search.expect_ends(Property::Ends, |_| true, World::local_steps);
    search.expect_ends(Property::EndsWithCm, |_| true, World::local_steps_and_cm);
    search.expect_ends(Property::ModuleExit, World::may_exit, |world| {
        let mut steps = world.own_steps();
        steps.extend(
            world
                .steps()
                .into_iter()
                .filter(|step| *step == Step::Event(Event::ModuleExit)),
        );
        steps
    });
    Found {
        worlds: search.worlds.len(),
        steps: number,
        states,
        broken: search.broken,
    }
}
