// SPDX-License-Identifier: GPL-2.0

//! What several threads do with a target queue at the same time, on loom: in every order of their
//! sections under the lock, of the calls of the LLDD between them, and of the queue's references.
//!
//! Buffers of command IUs, what the jobs have copied, and the queue's memory are loom's cells: who
//! gets at one without being ordered after who had it before is found, whatever came of it.

use std::sync::{Arc as StdArc, Mutex as StdMutex};

use loom::sync::Arc;
use loom::thread;

use crate::model::logic::queue::Refusal;
use crate::model::rig::{delete, put, receive, receive_abts, Lldd, Queue};

/// See [`Race::explore()`].
const PREEMPTIONS: usize = 3;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Receives the command of this exchange.
    Receive(usize),
    /// Ends the command of this exchange, which is executed, then does what is scheduled for its
    /// job.
    Finish(usize),
    /// Receives an ABTS for this exchange.
    Abort(usize),
    /// Deletes the queue.
    Delete,
}

impl Actor {
    fn act(self, lldd: &Arc<Lldd>, queue: &Arc<Queue>) {
        match self {
            Self::Receive(id) => {
                receive(queue, id);
            }
            Self::Finish(id) => {
                let running = lldd.running().into_iter();
                for (job, _) in running.filter(|&(_, other)| other == id) {
                    lldd.finish(id);
                    lldd.work(Some(job));
                }
            }
            Self::Abort(id) => receive_abts(queue, id),
            Self::Delete => {
                delete(queue);
            }
        }
    }
}

/// How often there was something in all orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Orders.
    pub(crate) interleavings: usize,
    /// In how many a command was deferred.
    pub(crate) deferred: usize,
    /// In how many one that was deferred was executed.
    pub(crate) promoted: usize,
    /// In how many one was given back that was never executed.
    pub(crate) cancelled: usize,
    /// In how many one came too late.
    pub(crate) closed: usize,
}

/// Threads that meet at a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Race {
    /// Number of jobs, all of them in use by exchanges that were received before, the first ones.
    pub(crate) jobs: usize,
    /// Number of slots for deferred commands.
    pub(crate) slots: usize,
    /// How many commands were deferred before: the exchanges after those.
    pub(crate) waiting: usize,
    /// The threads.
    pub(crate) actors: &'static [Actor],
}

impl Race {
    /// Goes through all orders; with three threads, through those in which at most so many times
    /// a thread has to stop where it could go on.
    pub(crate) fn explore(self) -> Findings {
        let findings = StdArc::<StdMutex<Findings>>::default();
        let to = findings.clone();
        let number = 1 + self
            .actors
            .iter()
            .map(|actor| match *actor {
                Actor::Receive(id) | Actor::Finish(id) | Actor::Abort(id) => id,
                Actor::Delete => 0,
            })
            .max()
            .unwrap_or_default()
            .max(self.jobs + self.waiting - 1);
        let mut model = loom::model::Builder::new();
        if self.actors.len() > 2 {
            model.preemption_bound = Some(PREEMPTIONS);
        }
        model.check(move || {
            let this = self.once(number);
            let mut all = to.lock().expect("nobody panics");
            all.interleavings += 1;
            all.deferred += this.deferred;
            all.promoted += this.promoted;
            all.cancelled += this.cancelled;
            all.closed += this.closed;
        });
        let findings = findings.lock().expect("nobody panics");
        *findings
    }

    fn once(&self, exchanges: usize) -> Findings {
        let lldd = Lldd::new(exchanges);
        let queue = Queue::new(&lldd, self.jobs, self.slots);
        for id in 0..self.jobs + self.waiting {
            receive(&queue, id);
        }
        let (first, others) = self.actors.split_first().expect("there is a thread");
        let threads: Vec<_> = others
            .iter()
            .map(|&actor| {
                let (lldd, queue) = (Arc::clone(&lldd), Arc::clone(&queue));
                thread::spawn(move || actor.act(&lldd, &queue))
            })
            .collect();
        first.act(&lldd, &queue);
        for thread in threads {
            thread.join().expect("it ends");
        }

        let deletes = self.actors.contains(&Actor::Delete);
        settle(&lldd, exchanges);
        let counts = queue.counts();
        assert_eq!(
            (counts.waiting, counts.idle),
            (0, counts.jobs),
            "I1: a command is stranded"
        );
        assert_eq!(delete(&queue), !deletes, "I4: it is closed once");
        settle(&lldd, exchanges);

        let mut findings = Findings::default();
        for id in 0..exchanges {
            let exchange = lldd.exchange(id);
            if exchange == Default::default() {
                // Never received, or the queue was not found.
                continue;
            }
            lldd.settle(id);
            let set = |to: &mut usize, value: bool| *to |= usize::from(value);
            set(&mut findings.deferred, exchange.deferred);
            set(
                &mut findings.promoted,
                exchange.deferred && exchange.executed,
            );
            set(
                &mut findings.cancelled,
                exchange.deferred && !exchange.executed,
            );
            set(
                &mut findings.closed,
                exchange.refused == Some(Refusal::Closed),
            );
        }
        assert_eq!(queue.references(), 1, "I5: the association's alone");
        let seen = Arc::clone(&queue);
        put(queue);
        assert!(seen.is_freed(), "I5: no reference is left");
        findings
    }
}

/// All that can end does.
fn settle(lldd: &Lldd, exchanges: usize) {
    loop {
        let finished = (0..exchanges).filter(|&id| lldd.finish(id)).count();
        let worked = lldd.work(None);
        if finished == 0 && !worked {
            break;
        }
    }
}
