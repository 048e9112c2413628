// SPDX-License-Identifier: GPL-2.0

//! The receive queue of a queue pair that is drained, in all orders (D4).

use std::collections::{HashSet, VecDeque};

use crate::plain::logic::drain::PASSES;

/// Something that was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Posted {
    /// A buffer for a response.
    Buffer,
    /// What draining waits for.
    Marker,
}

/// A completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Completion {
    /// A response came: its handler posts the buffer again.
    Response,
    /// The queue pair was stopped before.
    Flushed(Posted),
}

/// The queues, and who drains.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Queues {
    posted: VecDeque<Posted>,
    completed: VecDeque<Completion>,
    stopped: bool,
    /// Passes that are over.
    passes: u32,
    /// One that has posted its marker.
    waiting: bool,
}

impl Queues {
    /// Two buffers are posted.
    fn new() -> Self {
        Self {
            posted: VecDeque::from([Posted::Buffer; 2]),
            completed: VecDeque::new(),
            stopped: false,
            passes: 0,
            waiting: false,
        }
    }

    /// All that can happen next, if it is drained so often.
    fn next(&self, passes: u32) -> Vec<Self> {
        let mut found = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            change(&mut next);
            found.push(next);
        };
        match self.posted.front().copied() {
            Some(Posted::Buffer) if !self.stopped => add(&|next| {
                next.posted.pop_front();
                next.completed.push_back(Completion::Response);
            }),
            Some(first) if self.stopped => add(&|next| {
                next.posted.pop_front();
                next.completed.push_back(Completion::Flushed(first));
            }),
            _ => {}
        }
        if let Some(first) = self.completed.front().copied() {
            add(&|next| {
                next.completed.pop_front();
                match first {
                    Completion::Response => next.posted.push_back(Posted::Buffer),
                    Completion::Flushed(Posted::Buffer) => {}
                    Completion::Flushed(Posted::Marker) => {
                        next.passes += 1;
                        next.waiting = false;
                    }
                }
            });
        }
        if !self.stopped {
            add(&|next| next.stopped = true);
        } else if !self.waiting && self.passes < passes {
            add(&|next| {
                next.posted.push_back(Posted::Marker);
                next.waiting = true;
            });
        }
        found
    }

    fn has_buffers(&self) -> bool {
        self.posted.contains(&Posted::Buffer)
            || self.completed.contains(&Completion::Response)
            || self
                .completed
                .contains(&Completion::Flushed(Posted::Buffer))
    }
}

/// Whether buffers may be left when it was drained so often, and the number of queues that were
/// looked at.
fn leaves_buffers(passes: u32) -> (bool, usize) {
    let mut seen = HashSet::from([Queues::new()]);
    let mut open = vec![Queues::new()];
    let mut left = false;
    while let Some(queues) = open.pop() {
        left |= queues.passes == passes && queues.has_buffers();
        for next in queues.next(passes) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    (left, seen.len())
}

#[test]
fn nothing_is_left() {
    let (left, number) = leaves_buffers(PASSES);
    println!("{number} states of the queues");
    assert!(!left);
    assert!(number > 20);
}

/// As C does: a completion comes for a buffer that was freed.
#[test]
fn once_is_not_enough() {
    assert!(leaves_buffers(PASSES - 1).0);
}
