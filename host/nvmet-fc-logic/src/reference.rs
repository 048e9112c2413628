// SPDX-License-Identifier: GPL-2.0

//! A target queue beside what it should be: lists of numbers.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::plain::logic::queue::{Counts, Refusal};
use crate::plain::logic::request::{Cause, Place};
use crate::plain::rig::{delete, put, receive, receive_abts, Answer, Exchange, Lldd, Queue};

/// What can happen to a target queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A command is received.
    Receive,
    /// The command that is executed in this job ends, if there is one.
    Finish(usize),
    /// What is scheduled for this job is done, if something is.
    Work(usize),
    /// The command in this job is aborted, if there is one.
    AbortInJob(usize),
    /// The command that has waited longer than all but so many others is aborted.
    AbortWaiting(usize),
    /// A command that has ended is aborted.
    AbortEnded,
    /// The queue is deleted.
    Delete,
}

/// How a queue comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All that was accepted is executed.
    Executed,
    /// It is aborted.
    Aborted,
    /// The queue is deleted before that.
    Deleted,
}

/// All of them.
pub(crate) const ENDINGS: [Ending; 3] = [Ending::Executed, Ending::Aborted, Ending::Deleted];

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Job<T> {
    Idle,
    Running(T, Option<Cause>),
    Promoted(T),
    Cancelled(T, Cause),
}

impl<T> Job<T> {
    fn command(self) -> Option<T> {
        match self {
            Self::Idle => None,
            Self::Running(id, _) | Self::Promoted(id) | Self::Cancelled(id, _) => Some(id),
        }
    }

    /// The same without the command.
    fn shape(self) -> Job<()> {
        match self {
            Self::Idle => Job::Idle,
            Self::Running(_, cause) => Job::Running((), cause),
            Self::Promoted(_) => Job::Promoted(()),
            Self::Cancelled(_, cause) => Job::Cancelled((), cause),
        }
    }
}

/// All that matters for what comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    jobs: Vec<Job<()>>,
    idle: Vec<usize>,
    waiting: Vec<usize>,
    free: Vec<usize>,
    closed: bool,
    any_ended: bool,
}

/// A queue, its LLDD, and what they should be.
pub(crate) struct Rig {
    lldd: Rc<Lldd>,
    queue: Rc<Queue>,
    jobs: Vec<Job<usize>>,
    /// Idle jobs; the last one is the next.
    idle: Vec<usize>,
    /// Requests that wait, the oldest first, and their slots.
    waiting: VecDeque<(usize, usize)>,
    /// Free slots; the last one is the next.
    free: Vec<usize>,
    slots: usize,
    exchanges: Vec<Exchange>,
    ended: Vec<usize>,
    counts: Counts,
}

impl Rig {
    pub(crate) fn new(jobs: usize, slots: usize, most: usize) -> Self {
        let used = slots.min(jobs);
        let lldd = Lldd::new(most);
        Self {
            queue: Queue::new(&lldd, jobs, slots),
            lldd,
            jobs: vec![Job::Idle; jobs],
            idle: (0..jobs).rev().collect(),
            waiting: VecDeque::new(),
            free: (0..used).rev().collect(),
            slots: used,
            exchanges: Vec::new(),
            ended: Vec::new(),
            counts: Counts {
                jobs,
                idle: jobs,
                ..Counts::default()
            },
        }
    }

    pub(crate) fn state(&self) -> State {
        State {
            jobs: self.jobs.iter().map(|job| job.shape()).collect(),
            idle: self.idle.clone(),
            waiting: self.waiting.iter().map(|&(_, slot)| slot).collect(),
            free: self.free.clone(),
            closed: self.counts.closed,
            any_ended: !self.ended.is_empty(),
        }
    }

    /// Does it, and compares. False: it is not possible here.
    pub(crate) fn step(&mut self, op: Op) -> bool {
        let possible = match op {
            Op::Receive => self.receive(),
            Op::Finish(job) => self.finish(job),
            Op::Work(job) => self.work(job),
            Op::AbortInJob(job) => self.abort_in_job(job),
            Op::AbortWaiting(at) => self.abort_waiting(at),
            Op::AbortEnded => self.abort_ended(),
            Op::Delete => self.delete(),
        };
        self.compare(op);
        possible
    }

    /// Everything comes to its end.
    pub(crate) fn end(mut self, ending: Ending) {
        match ending {
            Ending::Executed => {}
            Ending::Aborted => {
                while self.step(Op::AbortWaiting(0)) {}
                for job in 0..self.jobs.len() {
                    self.step(Op::AbortInJob(job));
                }
            }
            Ending::Deleted => {
                self.step(Op::Delete);
            }
        }
        self.settle();
        self.step(Op::Delete);
        self.settle();
        for id in 0..self.exchanges.len() {
            self.lldd.settle(id);
        }
        let queue = self.queue;
        assert_eq!(queue.references(), 1, "I5: the association's alone");
        assert!(!queue.is_freed());
        put(Rc::clone(&queue));
        assert!(queue.is_freed(), "I5: no reference is left");
    }

    /// What can end does; afterwards all jobs are idle, and nothing waits (I1).
    fn settle(&mut self) {
        loop {
            let ops = (0..self.jobs.len()).flat_map(|job| [Op::Finish(job), Op::Work(job)]);
            let done = ops.filter(|&op| self.step(op)).count();
            if done == 0 {
                break;
            }
        }
        let Counts {
            jobs,
            idle,
            waiting,
            ..
        } = self.queue.counts();
        assert_eq!((idle, waiting), (jobs, 0), "I1: nothing waits for ever");
    }

    fn receive(&mut self) -> bool {
        let id = self.exchanges.len();
        self.exchanges.push(Exchange::default());
        let exchange = &mut self.exchanges[id];
        let expected = if self.counts.closed {
            Answer::Refused(Refusal::Closed)
        } else if let Some(job) = self.idle.pop() {
            self.jobs[job] = Job::Running(id, None);
            exchange.place = Some(Place::Job(job));
            exchange.copied = true;
            exchange.executed = true;
            Answer::Accepted
        } else if let Some(slot) = self.free.pop() {
            self.waiting.push_back((id, slot));
            exchange.place = Some(Place::Deferred(slot));
            exchange.deferred = true;
            self.counts.deferred += 1;
            Answer::Deferred
        } else if self.slots == 0 {
            Answer::Refused(Refusal::NoDeferral)
        } else {
            self.counts.full += 1;
            Answer::Refused(Refusal::Full)
        };
        if let Answer::Refused(refusal) = expected {
            exchange.refused = Some(refusal);
        }
        assert_eq!(receive(&self.queue, id), expected, "the answer to {id}");
        true
    }

    /// A command has ended; the oldest one that waits has its job.
    fn release(&mut self, job: usize) {
        let Some(id) = self.jobs[job].command() else {
            return;
        };
        let exchange = &mut self.exchanges[id];
        exchange.place = None;
        exchange.released = 1;
        self.ended.push(id);
        let oldest = match self.counts.closed {
            true => None,
            false => self.waiting.pop_front(),
        };
        self.jobs[job] = match oldest {
            None => {
                self.idle.push(job);
                Job::Idle
            }
            Some((id, slot)) => {
                self.free.push(slot);
                let exchange = &mut self.exchanges[id];
                exchange.place = Some(Place::Job(job));
                exchange.copied = true;
                exchange.defer_rcv = 1;
                Job::Promoted(id)
            }
        };
    }

    fn finish(&mut self, job: usize) -> bool {
        let Job::Running(id, _) = self.jobs[job] else {
            return false;
        };
        self.release(job);
        assert!(self.lldd.finish(id), "{id} is executed");
        true
    }

    fn work(&mut self, job: usize) -> bool {
        match self.jobs[job] {
            Job::Idle | Job::Running(..) => {
                assert!(!self.lldd.work(Some(job)), "nothing is scheduled");
                return false;
            }
            Job::Promoted(id) => {
                self.exchanges[id].executed = true;
                self.jobs[job] = Job::Running(id, None);
            }
            Job::Cancelled(id, cause) => {
                let aborts = usize::from(cause == Cause::QueueDeleted);
                self.exchanges[id].fcp_abort = aborts;
                self.release(job);
            }
        }
        assert!(self.lldd.work(Some(job)), "it is scheduled");
        true
    }

    fn abort_in_job(&mut self, job: usize) -> bool {
        let abts = Cause::AbtsReceived;
        let id = match &mut self.jobs[job] {
            Job::Idle => return false,
            Job::Running(id, cause) => {
                let first = cause.get_or_insert(abts);
                self.exchanges[*id].terminated = Some(*first);
                *id
            }
            &mut (Job::Promoted(id) | Job::Cancelled(id, _)) => {
                self.exchanges[id].never_begins = true;
                self.jobs[job] = Job::Cancelled(id, abts);
                id
            }
        };
        receive_abts(&self.queue, id);
        true
    }

    fn abort_waiting(&mut self, at: usize) -> bool {
        let Some((id, slot)) = self.waiting.remove(at) else {
            return false;
        };
        self.free.push(slot);
        self.counts.dequeued += 1;
        self.given_back(id);
        self.exchanges[id].never_begins = true;
        receive_abts(&self.queue, id);
        true
    }

    fn abort_ended(&mut self) -> bool {
        let Some(&id) = self.ended.last() else {
            return false;
        };
        receive_abts(&self.queue, id);
        true
    }

    /// A request that waited is the LLDD's.
    fn given_back(&mut self, id: usize) {
        let exchange = &mut self.exchanges[id];
        exchange.place = None;
        exchange.defer_rcv = 1;
        exchange.released = 1;
        self.ended.push(id);
    }

    fn delete(&mut self) -> bool {
        let closed = self.counts.closed;
        self.counts.closed = true;
        let deleted = Cause::QueueDeleted;
        if !closed {
            for job in &mut self.jobs {
                match job {
                    Job::Running(id, cause) => {
                        self.exchanges[*id].terminated = Some(*cause.get_or_insert(deleted));
                    }
                    &mut Job::Promoted(id) => *job = Job::Cancelled(id, deleted),
                    Job::Idle | Job::Cancelled(..) => {}
                }
            }
            while let Some((id, slot)) = self.waiting.pop_front() {
                self.free.push(slot);
                self.given_back(id);
                self.exchanges[id].fcp_abort = 1;
            }
            for exchange in &mut self.exchanges {
                exchange.never_begins |= exchange.deferred && !exchange.executed;
            }
        }
        assert_eq!(delete(&self.queue), !closed, "I4: it is closed once");
        !closed
    }

    fn compare(&mut self, op: Op) {
        self.counts.idle = self.idle.len();
        self.counts.waiting = self.waiting.len();
        assert_eq!(self.queue.counts(), self.counts, "I1, I6: after {op:?}");
        for (id, expected) in self.exchanges.iter().enumerate() {
            assert_eq!(&self.lldd.exchange(id), expected, "{id} after {op:?}");
        }
        let jobs = || self.jobs.iter().copied().enumerate();
        let running: Vec<_> = jobs()
            .filter_map(|(at, job)| match job {
                Job::Running(id, _) => Some((at, id)),
                _ => None,
            })
            .collect();
        assert_eq!(self.lldd.running(), running, "I6: after {op:?}");
        let mut scheduled = self.lldd.scheduled();
        scheduled.sort_unstable();
        let promoted: Vec<_> = jobs()
            .filter_map(|(at, job)| match job {
                Job::Promoted(id) | Job::Cancelled(id, _) => Some((at, id)),
                _ => None,
            })
            .collect();
        assert_eq!(scheduled, promoted, "I3: after {op:?}");
        let commands = running.len() + promoted.len() + self.waiting.len();
        assert_eq!(self.queue.references(), 1 + commands, "I5: after {op:?}");
    }
}
