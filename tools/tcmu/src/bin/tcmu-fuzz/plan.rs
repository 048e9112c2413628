// SPDX-License-Identifier: GPL-2.0
//! The choices of a run. They follow from the seed alone, not from what the kernel does.

use clap::ValueEnum;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

use crate::class::{Class, Rule};

/// What goes on beside the completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Phase {
    /// Nothing: every outcome is checked
    Quiet,
    /// Nothing, nothing breaks the ring, and commands are kept back until others give them up: every
    /// outcome is checked
    Slow,
    /// Threads and children map, move, unmap, fork, exec: every outcome is checked
    Mappings,
    /// Threads write to mailbox and ring: the kernel must survive, outcomes are not checked
    Scribble,
    /// Both
    Everything,
}

impl Phase {
    /// Whether others write to mailbox and ring.
    pub fn scribbles(self) -> bool {
        matches!(self, Self::Scribble | Self::Everything)
    }

    /// Whether others map and unmap.
    pub fn maps(self) -> bool {
        matches!(self, Self::Mappings | Self::Everything)
    }

    fn weight(self) -> u32 {
        match self {
            Self::Quiet => 5,
            Self::Mappings => 3,
            Self::Slow | Self::Scribble | Self::Everything => 1,
        }
    }

    /// One completion in how many has a command kept back.
    fn hold_one_in(self) -> u32 {
        match self {
            Self::Slow => 32,
            Self::Quiet | Self::Mappings | Self::Scribble | Self::Everything => 512,
        }
    }

    /// Its name on the command line and in reports.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().into())
    }
}

/// One choice: what is done with the next completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is wrong with it.
    pub class: Class,
    /// Numbers for whatever the class needs; most of it is taken modulo what there is at that time.
    pub a: u64,
    /// Another one.
    pub b: u64,
    /// Keep the oldest command back first, for so many milliseconds.
    pub hold: Option<u32>,
    /// Tell the kernel after this one.
    pub kick: bool,
}

/// What a run is restricted to.
#[derive(Clone, Debug, Default)]
pub struct Only {
    /// Classes beside honest completions; empty for all.
    pub classes: Vec<Class>,
    /// Phases; empty for all.
    pub phases: Vec<Phase>,
    /// Factor for the weight of what breaks the ring; 0 stands for 1.
    pub breaks: u32,
}

impl Only {
    /// Whether a class is to be used.
    pub fn allows(&self, class: Class) -> bool {
        class == Class::Honest || self.classes.is_empty() || self.classes.contains(&class)
    }

    fn weight(&self, class: Class) -> u32 {
        match class.rule() {
            Rule::Tolerate => class.weight(),
            Rule::Break | Rule::Depends => class.weight() * self.breaks.max(1),
        }
    }
}

/// The choices of one phase.
pub struct Steps {
    phase: Phase,
    random: ChaCha8Rng,
    classes: Vec<(Class, u32)>,
    total: u32,
}

/// A generator of its own for each purpose: what one of them uses up does not change the others.
pub fn generator(seed: u64, phase: u64, purpose: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(phase << 8 | purpose);
    random
}

/// Picks by weight with `number`.
fn pick<T: Copy>(choices: &[(T, u32)], mut number: u32) -> Option<T> {
    for (choice, weight) in choices {
        if number < *weight {
            return Some(*choice);
        }
        number -= weight;
    }
    None
}

/// What phase number `phase` of a run is.
pub fn phase(seed: u64, number: u64, only: &Only) -> Phase {
    let chosen = |p: &&Phase| only.phases.is_empty() || only.phases.contains(p);
    let phases: Vec<_> = Phase::value_variants()
        .iter()
        .filter(chosen)
        .map(|p| (*p, p.weight()))
        .collect();
    let total: u32 = phases.iter().map(|(_, weight)| weight).sum();
    let mut random = generator(seed, number, 0);
    pick(&phases, random.random_range(0..total)).unwrap_or(Phase::Quiet)
}

impl Steps {
    /// The choices of phase number `number`.
    pub fn new(seed: u64, number: u64, only: &Only) -> Self {
        let phase = phase(seed, number, only);
        // After a reset of the ring, what was kept back is complete.
        let fits = |c: &&Class| phase != Phase::Slow || c.rule() == Rule::Tolerate;
        let classes: Vec<_> = Class::value_variants()
            .iter()
            .filter(|c| only.allows(**c))
            .filter(fits)
            .map(|c| (*c, only.weight(*c)))
            .collect();
        let total = classes.iter().map(|(_, weight)| weight).sum();
        Self {
            phase,
            random: generator(seed, number, 1),
            classes,
            total,
        }
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let class = pick(&self.classes, self.random.random_range(0..self.total))?;
        let (a, b) = (self.random.next_u64(), self.random.next_u64());
        let (held, ms) = (
            self.random.random_ratio(1, self.phase.hold_one_in()),
            self.random.random_range(0..4000),
        );
        Some(Step {
            class,
            a,
            b,
            hold: held.then_some(ms),
            kick: self.random.random_bool(1.0 / 16.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    /// Only phases of this kind.
    fn only(phase: Phase) -> Only {
        Only {
            phases: vec![phase],
            ..Only::default()
        }
    }

    fn steps(seed: u64, number: u64, count: usize) -> Vec<Step> {
        Steps::new(seed, number, &only(Phase::Quiet))
            .take(count)
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_choices() {
        assert_eq!(steps(7, 3, 5000), steps(7, 3, 5000));
        assert_ne!(steps(7, 3, 50), steps(8, 3, 50));
        assert_ne!(steps(7, 3, 50), steps(7, 4, 50));
        let phases =
            |seed| -> Vec<_> { (0..100).map(|n| phase(seed, n, &Only::default())).collect() };
        assert_eq!(phases(7), phases(7));
        assert_ne!(phases(7), phases(8));
    }

    #[test]
    fn every_class_is_reached_as_often_as_its_weight_says() {
        let mut found: HashMap<Class, u32> = HashMap::new();
        let count = 1_200_000;
        for step in steps(1, 0, count) {
            *found.entry(step.class).or_default() += 1;
        }
        let total: u32 = Class::value_variants().iter().map(|c| c.weight()).sum();
        for class in Class::value_variants() {
            let expected = f64::from(class.weight()) / f64::from(total) * count as f64;
            let real = f64::from(found.get(class).copied().unwrap_or(0));
            assert!(
                (real - expected).abs() <= expected * 0.3,
                "{class:?}: {real}, {expected}"
            );
        }
    }

    #[test]
    fn every_phase_is_reached_and_all_numbers_vary() {
        let phases: HashSet<_> = (0..100).map(|n| phase(1, n, &Only::default())).collect();
        assert_eq!(phases.len(), Phase::value_variants().len());
        let steps = steps(2, 0, 10_000);
        let held = steps.iter().filter(|s| s.hold.is_some()).count();
        assert!((5..50).contains(&held), "{held} held");
        let kicks = steps.iter().filter(|s| s.kick).count();
        assert!((500..750).contains(&kicks), "{kicks} kicks");
        assert_eq!(
            steps.iter().map(|s| s.a).collect::<HashSet<_>>().len(),
            10_000
        );
    }

    #[test]
    fn a_slow_phase_breaks_nothing_and_keeps_commands_back() {
        let steps: Vec<_> = Steps::new(1, 0, &only(Phase::Slow)).take(10_000).collect();
        assert!(steps.iter().all(|s| s.class.rule() == Rule::Tolerate));
        let held = steps.iter().filter(|s| s.hold.is_some()).count();
        assert!((250..400).contains(&held), "{held} held");
    }

    #[test]
    fn a_run_can_be_restricted() {
        let only = Only {
            classes: vec![Class::ZeroId],
            phases: vec![Phase::Scribble],
            breaks: 0,
        };
        let classes: HashSet<_> = Steps::new(1, 0, &only)
            .take(1000)
            .map(|s| s.class)
            .collect();
        assert_eq!(classes, HashSet::from([Class::Honest, Class::ZeroId]));
        assert!((0..20).all(|n| phase(1, n, &only) == Phase::Scribble));
    }

    #[test]
    fn what_breaks_can_be_made_more_frequent() {
        let breaking = |breaks| {
            let only = Only {
                breaks,
                ..only(Phase::Quiet)
            };
            let steps = Steps::new(1, 0, &only).take(10_000);
            steps.filter(|s| s.class.rule() != Rule::Tolerate).count()
        };
        let (usual, more) = (breaking(0), breaking(20));
        assert!(more > 10 * usual && usual > 15, "{usual}, {more}");
    }

    #[test]
    fn restricted_to_what_circumstances_choose_the_rest_is_honest() {
        let only = Only {
            classes: vec![Class::LateId],
            phases: vec![],
            breaks: 0,
        };
        assert!(Steps::new(1, 0, &only)
            .take(100)
            .all(|s| s.class == Class::Honest));
    }
}
