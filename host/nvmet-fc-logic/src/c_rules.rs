// SPDX-License-Identifier: GPL-2.0

//! A target queue as C has it, see `nvmet_fc_rcv_fcp_req()`, `nvmet_fc_free_fcp_iod()`,
//! `nvmet_fc_rcv_fcp_abort()` and `nvmet_fc_delete_target_queue()`: loom finds what goes wrong. The
//! first way to each is printed:
//!
//! ```text
//! cargo test -p nvmet-fc-logic c_rules -- --nocapture
//! ```

use std::collections::VecDeque;
use std::sync::{Arc as StdArc, Mutex as StdMutex};

use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{AcqRel, Acquire};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// What has gone wrong in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A command waits, and all jobs are free.
    Stranded,
    /// A command was added to a queue after it had been emptied for good.
    AfterDelete,
    /// A command was executed after its abort was answered.
    AbortIgnored,
    /// The queue was used after it had been freed.
    UseAfterFree,
    /// The memory that a command was deferred in is freed never.
    Leak,
}

/// In how many of all orders there was a fault, and the steps of the first one.
#[derive(Default)]
struct Findings {
    interleavings: usize,
    faulty: usize,
    first: Vec<&'static str>,
}

/// The lists under `qlock`.
#[derive(Default)]
struct Lists {
    fod_list: usize,
    pending_cmd_list: VecDeque<usize>,
    avail_defer_list: usize,
}

/// What is known from outside.
#[derive(Default)]
struct Seen {
    steps: Vec<&'static str>,
    references: usize,
    freed: bool,
    used_after_free: bool,
    /// `struct nvmet_fc_defer_fcp_req`: allocated, and freed.
    nodes: (usize, usize),
    /// Commands whose abort was answered before they had begun.
    answered: Vec<usize>,
    executed: Vec<usize>,
    /// What `defer_work` has to do.
    work: Vec<usize>,
}

struct CQueue {
    qlock: Mutex<Lists>,
    connected: AtomicBool,
    seen: StdMutex<Seen>,
}

impl CQueue {
    /// One job, which is in use by a command.
    fn new() -> Arc<Self> {
        Arc::new(Self {
            qlock: Mutex::new(Lists::default()),
            connected: AtomicBool::new(true),
            seen: StdMutex::new(Seen {
                references: 2,
                ..Seen::default()
            }),
        })
    }

    fn seen<T>(&self, step: &'static str, note: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen = self.seen.lock().expect("nobody panics");
        seen.steps.push(step);
        note(&mut seen)
    }

    fn with_qlock<T>(&self, step: &'static str, action: impl FnOnce(&mut Lists) -> T) -> T {
        let mut lists = self.qlock.lock().expect("nobody panics");
        self.seen(step, |seen| seen.used_after_free |= seen.freed);
        action(&mut lists)
    }

    fn put(&self, step: &'static str) {
        self.seen(step, |seen| {
            seen.references -= 1;
            seen.freed |= seen.references == 0;
        });
    }

    fn rcv_fcp_req(&self, id: usize) {
        // nvmet_fc_find_target_queue()
        if !self.connected.load(Acquire) {
            return;
        }
        self.seen(
            "receive: finds the queue connected, takes a reference",
            |seen| {
                seen.references += 1;
            },
        );
        enum Found {
            Job,
            Node,
            Nothing,
        }
        let found = self.with_qlock("receive: looks for a free job, then for a node", |lists| {
            if lists.fod_list > 0 {
                lists.fod_list -= 1;
                Found::Job
            } else if lists.avail_defer_list > 0 {
                lists.avail_defer_list -= 1;
                lists.pending_cmd_list.push_back(id);
                Found::Node
            } else {
                Found::Nothing
            }
        });
        match found {
            Found::Job => self.seen("receive: executes it", |seen| seen.executed.push(id)),
            Found::Node => {}
            Found::Nothing => {
                self.seen("receive: kmalloc(), qlock is not held", |seen| {
                    seen.nodes.0 += 1
                });
                self.with_qlock("receive: adds the command to those that wait", |lists| {
                    lists.pending_cmd_list.push_back(id);
                });
            }
        }
    }

    fn free_fcp_iod(&self) {
        self.put("end: puts the queue");
        let next = self.with_qlock(
            "end: takes the oldest that waits, or frees the job",
            |lists| {
                let next = lists.pending_cmd_list.pop_front();
                match next {
                    None => lists.fod_list += 1,
                    Some(_) => lists.avail_defer_list += 1,
                }
                next
            },
        );
        if let Some(id) = next {
            self.seen("end: defer_rcv(), queue_work()", |seen| seen.work.push(id));
        }
    }

    fn defer_work(&self) {
        self.seen("work: executes it", |seen| {
            let ids = std::mem::take(&mut seen.work);
            seen.executed.extend(ids);
        });
    }

    /// `nvmet_fc_private` of a command that waits is null: nothing is done, and the LLDD sends
    /// BA_ACC.
    fn rcv_fcp_abort(&self, id: usize) {
        self.with_qlock("abort: answered", |lists| {
            let waits = lists.pending_cmd_list.contains(&id);
            self.seen("abort: the command waits, or not", |seen| {
                if waits && !seen.executed.contains(&id) {
                    seen.answered.push(id);
                }
            });
        });
    }

    fn delete_target_queue(&self) {
        if !self.connected.swap(false, AcqRel) {
            return;
        }
        self.with_qlock("delete: frees the nodes that are not used", |lists| {
            let nodes = std::mem::take(&mut lists.avail_defer_list);
            self.seen("delete: kfree()", |seen| seen.nodes.1 += nodes);
        });
        while self
            .with_qlock("delete: takes the oldest that waits", |lists| {
                lists.pending_cmd_list.pop_front()
            })
            .is_some()
        {
            self.put("delete: releases it, puts the queue");
            self.seen("delete: kfree()", |seen| seen.nodes.1 += 1);
        }
        self.put("delete: puts the queue");
    }
}

/// Goes through all orders of `scenario`, which says what came of one.
fn explore(
    fault: Fault,
    scenario: impl Fn(&Arc<CQueue>) -> Option<Fault> + Send + Sync + 'static,
) -> Findings {
    let findings = StdArc::<StdMutex<Findings>>::default();
    let to = findings.clone();
    loom::model(move || {
        let queue = CQueue::new();
        let found = scenario(&queue);
        let mut all = to.lock().expect("nobody panics");
        all.interleavings += 1;
        if found == Some(fault) {
            all.faulty += 1;
            if all.first.is_empty() {
                let seen = queue.seen.lock().expect("nobody panics");
                all.first.clone_from(&seen.steps);
            }
        }
    });
    let findings = StdArc::into_inner(findings).expect("the model has ended");
    let findings = findings.into_inner().expect("nobody panics");
    let Findings {
        interleavings,
        faulty,
        first,
    } = &findings;
    println!("{fault:?}: {faulty} of {interleavings} interleavings, for instance");
    for (number, step) in (1..).zip(first) {
        println!("    {number}. {step}");
    }
    assert!(
        0 < *faulty && faulty <= interleavings,
        "{fault:?} is not found"
    );
    findings
}

/// Does one thing in another thread, and another one here.
fn both(queue: &Arc<CQueue>, there: impl FnOnce(&CQueue) + 'static, here: impl FnOnce(&CQueue)) {
    let theirs = Arc::clone(queue);
    let thread = thread::spawn(move || there(&theirs));
    here(queue);
    thread.join().expect("it ends");
}

/// The lock is dropped to allocate, and the job ends meanwhile: weakness 1.
#[test]
fn command_is_stranded() {
    let findings = explore(Fault::Stranded, |queue| {
        both(queue, |queue| queue.rcv_fcp_req(1), CQueue::free_fcp_iod);
        let lists = queue.qlock.lock().expect("nobody panics");
        (lists.fod_list == 1 && !lists.pending_cmd_list.is_empty()).then_some(Fault::Stranded)
    });
    assert!(findings.faulty < findings.interleavings);
}

/// The queue is looked up connected, and a command added when it is not any more.
#[test]
fn command_is_added_to_a_deleted_queue() {
    let findings = explore(Fault::AfterDelete, |queue| {
        both(
            queue,
            |queue| queue.rcv_fcp_req(1),
            CQueue::delete_target_queue,
        );
        let lists = queue.qlock.lock().expect("nobody panics");
        (!lists.pending_cmd_list.is_empty()).then_some(Fault::AfterDelete)
    });
    assert!(findings.faulty < findings.interleavings);
}

/// A command that waits is aborted, that is answered, and then it is executed.
#[test]
fn abort_is_ignored() {
    let findings = explore(Fault::AbortIgnored, |queue| {
        queue.rcv_fcp_req(1);
        both(queue, |queue| queue.rcv_fcp_abort(1), CQueue::free_fcp_iod);
        queue.defer_work();
        let seen = queue.seen.lock().expect("nobody panics");
        let executed = |id| seen.executed.contains(id);
        seen.answered
            .iter()
            .any(executed)
            .then_some(Fault::AbortIgnored)
    });
    assert!(findings.faulty < findings.interleavings);
}

/// The reference that keeps the queue is given up before the queue is used.
#[test]
fn queue_is_used_after_free() {
    let findings = explore(Fault::UseAfterFree, |queue| {
        both(queue, CQueue::free_fcp_iod, CQueue::delete_target_queue);
        let seen = queue.seen.lock().expect("nobody panics");
        seen.used_after_free.then_some(Fault::UseAfterFree)
    });
    assert!(findings.faulty < findings.interleavings);
}

/// A job gives a node back after those that are not used were freed.
#[test]
fn node_is_leaked() {
    let findings = explore(Fault::Leak, |queue| {
        queue.rcv_fcp_req(1);
        both(queue, CQueue::free_fcp_iod, CQueue::delete_target_queue);
        let lists = queue.qlock.lock().expect("nobody panics");
        let seen = queue.seen.lock().expect("nobody panics");
        let (allocated, freed) = seen.nodes;
        (lists.pending_cmd_list.is_empty() && allocated > freed).then_some(Fault::Leak)
    });
    assert!(findings.faulty < findings.interleavings);
}
