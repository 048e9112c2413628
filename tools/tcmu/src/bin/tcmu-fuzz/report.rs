// SPDX-License-Identifier: GPL-2.0
//! Counters of a run, and how they are shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{json, Map, Value};

use crate::class::{Class, Rule};
use crate::plan::Phase;

/// What became of the completions of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Completions given to the kernel.
    pub tried: u64,
    /// Of them, those after which the ring was broken, as it had to be.
    pub broke: u64,
    /// Those that the kernel took, as it had to.
    pub tolerated: u64,
    /// Those that nobody can judge: others wrote to the ring, or the state is not shown.
    pub unjudged: u64,
    /// Those after which something else was the case.
    pub wrong: u64,
    /// Choices that made no sense at that moment; an honest completion took their place.
    pub not_possible: u64,
}

/// How a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The ring is broken.
    Broke,
    /// The kernel took it.
    Tolerated,
    /// Nobody can say.
    Unjudged,
    /// Not as it has to be.
    Wrong,
}

/// All counters.
pub struct Report {
    classes: BTreeMap<Class, Tally>,
    /// Completions by what went on beside.
    phases: BTreeMap<Phase, u64>,
    start: Instant,
    /// Times `reset_ring` was written.
    pub resets: u64,
    /// Times the ring had to be reset because it could not be followed.
    pub lost: u64,
    /// Times no command came for a while.
    pub stalls: u64,
    /// Times the node was closed and opened again.
    pub reopened: u64,
    /// What others did to the mapping, by name.
    pub beside: BTreeMap<&'static str, u64>,
    /// Writes of the scribbling threads.
    pub scribbles: u64,
    /// Notifications that were read, and ids in them.
    pub tmrs: (u64, u64),
    recoveries: Vec<Duration>,
}

impl Report {
    /// All 0, from now on.
    pub fn new() -> Self {
        Self {
            classes: BTreeMap::new(),
            phases: BTreeMap::new(),
            start: Instant::now(),
            resets: 0,
            lost: 0,
            stalls: 0,
            reopened: 0,
            beside: BTreeMap::new(),
            scribbles: 0,
            tmrs: (0, 0),
            recoveries: Vec::new(),
        }
    }

    /// A completion of this class was given to the kernel.
    pub fn count(&mut self, phase: Phase, class: Class, outcome: Outcome) {
        let tally = self.classes.entry(class).or_default();
        tally.tried += 1;
        match outcome {
            Outcome::Broke => tally.broke += 1,
            Outcome::Tolerated => tally.tolerated += 1,
            Outcome::Unjudged => tally.unjudged += 1,
            Outcome::Wrong => tally.wrong += 1,
        }
        *self.phases.entry(phase).or_default() += 1;
    }

    /// A choice made no sense.
    pub fn not_possible(&mut self, class: Class) {
        self.classes.entry(class).or_default().not_possible += 1;
    }

    /// The ring worked again so long after it was broken.
    pub fn recovered(&mut self, after: Duration) {
        self.recoveries.push(after);
    }

    /// Completions that were not honest. What needs no completion is none.
    pub fn mutated(&self) -> u64 {
        let others = [Class::Honest, Class::PassedEntry];
        let mutated = self
            .classes
            .iter()
            .filter(|(class, _)| !others.contains(class));
        mutated.map(|(_, tally)| tally.tried).sum()
    }

    fn sum(&self, field: impl Fn(&Tally) -> u64) -> u64 {
        self.classes.values().map(field).sum()
    }

    /// Completions with a wrong outcome.
    pub fn wrong(&self) -> u64 {
        self.sum(|tally| tally.wrong)
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn per_second(&self) -> f64 {
        self.mutated() as f64 / self.elapsed().as_secs_f64().max(0.001)
    }

    /// Median and worst time to recover.
    fn recovery(&self) -> Option<(Duration, Duration)> {
        let mut sorted = self.recoveries.clone();
        sorted.sort();
        Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }

    /// One line on how far it is.
    pub fn progress(&self) -> String {
        format!(
            "{:.0} s: {} mutated completions ({:.0} a second), broke {}, tolerated {}, not judged {}, \
             wrong {}",
            self.elapsed().as_secs_f64(),
            self.mutated(),
            self.per_second(),
            self.sum(|tally| tally.broke),
            self.sum(|tally| tally.tolerated),
            self.sum(|tally| tally.unjudged),
            self.wrong(),
        )
    }

    /// The table of classes and what else happened.
    pub fn table(&self) -> Vec<String> {
        let columns = ["tried", "broke", "tolerated", "not judged", "wrong"];
        let head: String = columns.iter().map(|name| format!("{name:>11}")).collect();
        let mut lines = vec![format!("{:<16}{:<10}{head}", "class", "must")];
        let row = |name: &str, must: &str, t: &Tally| {
            let numbers = [t.tried, t.broke, t.tolerated, t.unjudged, t.wrong];
            let numbers: String = numbers.iter().map(|n| format!("{n:>11}")).collect();
            format!("{name:<16}{must:<10}{numbers}")
        };
        let mut all = Tally::default();
        for (class, tally) in &self.classes {
            let must = match class.rule() {
                Rule::Tolerate => "tolerate",
                Rule::Break => "break",
                Rule::Depends => "either",
            };
            lines.push(row(&class.name(), must, tally));
            all.tried += tally.tried;
            all.broke += tally.broke;
            all.tolerated += tally.tolerated;
            all.unjudged += tally.unjudged;
            all.wrong += tally.wrong;
        }
        lines.push(row("all", "", &all));
        let phases: Vec<_> = self
            .phases
            .iter()
            .map(|(phase, count)| format!("{} {count}", phase.name()))
            .collect();
        lines.push(format!("phases: {}", phases.join(", ")));
        lines.push(format!(
            "reset_ring {}, lost track {}, stalls {}, node reopened {}, notifications {} with {} ids, \
             scribbled words {}",
            self.resets, self.lost, self.stalls, self.reopened, self.tmrs.0, self.tmrs.1, self.scribbles,
        ));
        let beside: Vec<_> = self
            .beside
            .iter()
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        lines.push(format!("beside: {}", beside.join(", ")));
        if let Some((median, worst)) = self.recovery() {
            lines.push(format!(
                "from a broken ring to the next completed command: median {:.1} ms, worst {:.1} ms, of {}",
                median.as_secs_f64() * 1e3,
                worst.as_secs_f64() * 1e3,
                self.recoveries.len(),
            ));
        }
        lines
    }

    /// Everything, for programs.
    pub fn json(&self, seed: u64) -> Value {
        let classes: Map<String, Value> = self
            .classes
            .iter()
            .map(|(class, t)| {
                let value = json!({
                    "tried": t.tried, "broke": t.broke, "tolerated": t.tolerated,
                    "unjudged": t.unjudged, "wrong": t.wrong, "not_possible": t.not_possible,
                });
                (class.name(), value)
            })
            .collect();
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1e3;
        let recovery = self.recovery().map(|(median, worst)| {
            json!({ "count": self.recoveries.len(), "median_ms": milliseconds(median),
                    "worst_ms": milliseconds(worst) })
        });
        json!({
            "seed": seed,
            "mutated": self.mutated(),
            "completions": self.sum(|tally| tally.tried),
            "broke": self.sum(|tally| tally.broke),
            "tolerated": self.sum(|tally| tally.tolerated),
            "unjudged": self.sum(|tally| tally.unjudged),
            "wrong": self.wrong(),
            "seconds": self.elapsed().as_secs_f64(),
            "per_second": self.per_second(),
            "resets": self.resets,
            "lost": self.lost,
            "stalls": self.stalls,
            "reopened": self.reopened,
            "tmrs": self.tmrs.0,
            "tmr_ids": self.tmrs.1,
            "scribbles": self.scribbles,
            "beside": self.beside,
            "recovery": recovery,
            "classes": classes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_by_class() {
        let mut report = Report::new();
        for outcome in [
            Outcome::Broke,
            Outcome::Tolerated,
            Outcome::Unjudged,
            Outcome::Wrong,
        ] {
            report.count(Phase::Quiet, Class::ZeroId, outcome);
        }
        report.count(Phase::Scribble, Class::Honest, Outcome::Tolerated);
        report.not_possible(Class::Head);
        for ms in [3, 1, 100] {
            report.recovered(Duration::from_millis(ms));
        }
        let json = report.json(5);
        assert_eq!(json["mutated"], 4);
        assert_eq!(json["completions"], 5);
        assert_eq!(json["wrong"], 1);
        assert_eq!(json["classes"]["zero_id"]["broke"], 1);
        assert_eq!(json["classes"]["head"]["not_possible"], 1);
        assert_eq!(json["recovery"]["median_ms"], 3.0);
        assert_eq!(json["recovery"]["worst_ms"], 100.0);
        let table = report.table();
        let has = |text: &str| table.iter().any(|line| line.contains(text));
        assert!(has("zero_id") && !has("never") && has("median 3.0 ms, worst 100.0 ms"));
        assert!(has("quiet 4") && has("scribble 1"));
    }
}
