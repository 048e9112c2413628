// SPDX-License-Identifier: GPL-2.0

//! All states of small queues, and in each of them all that may happen. From each state the queue
//! is then brought to its end, in three ways: nothing waits for ever, and nothing is lost.
//!
//! ```text
//! cargo test -p nvmet-fc-logic states -- --nocapture
//! ```

use std::collections::HashSet;

use crate::plain::logic::deferred::Slot;
use crate::plain::logic::queue::{Job, JobQueue, JobState, Recycled};
use crate::plain::rig::{Command, Deferred};
use crate::reference::{Op, Rig, ENDINGS};

/// All that can happen to such a queue.
fn ops(jobs: usize, slots: usize) -> Vec<Op> {
    let in_jobs = (0..jobs).flat_map(|job| [Op::Finish(job), Op::Work(job), Op::AbortInJob(job)]);
    [Op::Receive, Op::AbortEnded, Op::Delete]
        .into_iter()
        .chain(in_jobs)
        .chain((0..slots).map(Op::AbortWaiting))
        .collect()
}

fn replay(jobs: usize, slots: usize, history: &[Op]) -> Rig {
    let mut rig = Rig::new(jobs, slots, history.len());
    for &op in history {
        rig.step(op);
    }
    rig
}

/// Goes through all states of a queue with so many jobs and slots. How many there are, and how many
/// steps were taken.
pub(crate) fn search(jobs: usize, slots: usize) -> (usize, usize) {
    let ops = ops(jobs, slots);
    let mut seen = HashSet::from([Rig::new(jobs, slots, 0).state()]);
    let mut generation = vec![Vec::new()];
    let mut steps = 0;
    while !generation.is_empty() {
        let mut next = Vec::new();
        for history in &generation {
            for &op in &ops {
                let mut longer: Vec<Op> = history.clone();
                longer.push(op);
                steps += 1;
                let state = replay(jobs, slots, &longer).state();
                for ending in ENDINGS {
                    replay(jobs, slots, &longer).end(ending);
                }
                if seen.insert(state) {
                    next.push(longer);
                }
            }
        }
        generation = next;
    }
    (seen.len(), steps)
}

/// A queue without jobs defers nothing; slots that no job can take from are not used.
/// The last number is that of states: a search that finds fewer is none.
const SIZES: &[(usize, usize, usize)] = &[
    (0, 0, 2),
    (0, 2, 2),
    (1, 0, 12),
    (1, 1, 22),
    (1, 2, 22),
    (2, 0, 34),
    (2, 1, 86),
    (2, 2, 190),
    (3, 1, 386),
    (3, 2, 870),
    (3, 3, 2910),
];

/// Goes through all states of queues of these sizes.
pub(crate) fn every_small_queue() {
    for &(jobs, slots, number) in SIZES {
        let (states, steps) = search(jobs, slots);
        println!("{jobs} jobs, {slots} slots: {states} states, {steps} steps");
        assert_eq!(states, number, "{jobs} jobs, {slots} slots");
    }
}

#[test]
fn every_state_of_small_queues() {
    every_small_queue();
}

/// What the queue of the rig has its lock for.
type Queue = JobQueue<Command, Vec<JobState>, Vec<Slot<Deferred>>>;

/// C says that the command in a job has ended, and there is none.
pub(crate) fn idle_job_ends() {
    let mut queue: Queue = JobQueue::new(vec![JobState::new(); 2], Vec::new());
    let counts = queue.counts();
    for index in 0..3 {
        let recycled = queue.recycle(Job::from_number(index));
        assert!(matches!(recycled, Recycled::Idle));
        assert_eq!(queue.counts(), counts, "I6: job {index} is idle already");
    }
}

#[test]
fn idle_job_remains_idle() {
    idle_job_ends();
}

/// Each job of it has a number that stands for a job.
#[test]
fn largest_queue_has_all_its_jobs() {
    let jobs = usize::from(u16::MAX);
    let queue: Queue = JobQueue::new(vec![JobState::new(); jobs], Vec::new());
    assert_eq!(queue.counts().idle, jobs);
}
