// SPDX-License-Identifier: GPL-2.0

//! Two threads of the kernel at one queue: KUnit's own receives commands, and a workqueue's
//! completes, begins, and aborts them.

use core::hint::spin_loop;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        ArcBorrow, //
    },
    time::{
        delay::fsleep,
        msecs_to_jiffies,
        Delta, //
    },
};

use super::{
    common::{
        check,
        check_eq,
        Answer,
        QueueRef, //
    },
    ext::{
        completion::Completion,
        kunit::suite,
        work::{
            Work,
            WorkItem, //
        },
    },
    logic::operations::close,
};

/// Commands of each race.
const COMMANDS: usize = 20_000;

/// Races of each test until the threads have met: on a busy machine one may run after the other.
const ATTEMPTS: usize = 20;

/// How long somebody waits for what never comes.
const LOST_MS: u32 = 60_000;

/// Looks at the queue before a pause, and its microseconds.
const LOOKS: u32 = 500;
const PAUSE_US: i64 = 20;

/// The other thread.
#[pin_data]
struct Other {
    queue: QueueRef,
    /// How many commands were received.
    received: Atomic<usize>,
    /// No more are.
    over: Atomic<bool>,
    /// Each so many commands are aborted; 0: none.
    aborts: usize,
    /// The queue is deleted after so many.
    closes: usize,
    #[pin]
    finished: Completion,
}

impl WorkItem for Other {
    fn run(this: ArcBorrow<'_, Self>) {
        let queue = &this.queue;
        let (mut looks, mut aborted, mut closed) = (0, 0, false);
        loop {
            let over = this.over.load(Acquire);
            let received = this.received.load(Acquire);
            while this.aborts != 0 && aborted < received {
                queue.abort(aborted);
                aborted += this.aborts;
            }
            if !closed && received >= this.closes {
                closed = close(&**queue);
            }
            let done = queue.finish();
            let begun = queue.work();
            if !done && !begun {
                if over {
                    break;
                }
                looks += 1;
                if looks % LOOKS == 0 {
                    fsleep(Delta::from_micros(PAUSE_US));
                }
                spin_loop();
            }
        }
        this.finished.complete_all();
    }
}

/// What came of a race.
#[derive(Clone, Copy, Default)]
struct Numbers {
    /// Commands that were accepted at once, deferred, and refused.
    accepted: usize,
    deferred: usize,
    refused: usize,
    /// Those that an abort, or the end of the queue, has found in it.
    found: usize,
    /// How often one of the threads came to the queue while the other one was in it.
    met: usize,
}

/// Receives [`COMMANDS`] commands while another thread ends them.
fn race(jobs: usize, aborts: usize, closes: usize) -> Result<Numbers> {
    let queue = QueueRef::new(jobs, jobs, COMMANDS)?;
    let shared = queue.clone();
    let other = Arc::pin_init(
        pin_init!(Other {
            queue: shared,
            received: Atomic::new(0),
            over: Atomic::new(false),
            aborts,
            closes,
            finished <- Completion::new(),
        }),
        GFP_KERNEL,
    )?;
    let work = Work::new(other.clone())?;
    work.queue(0);
    let mut numbers = Numbers::default();
    let mut accepted = KVec::with_capacity(COMMANDS, GFP_KERNEL)?;
    for id in 0..COMMANDS {
        let answer = queue.receive(id);
        match answer {
            Answer::Accepted => numbers.accepted += 1,
            Answer::Deferred => numbers.deferred += 1,
            Answer::Refused(_) => {
                numbers.refused += 1;
                // The other thread gets on.
                fsleep(Delta::from_micros(PAUSE_US));
            }
        }
        accepted.push(!matches!(answer, Answer::Refused(_)), GFP_KERNEL)?;
        other.received.store(id + 1, Release);
    }
    other.over.store(true, Release);
    let end = other
        .finished
        .wait_killable_timeout(msecs_to_jiffies(LOST_MS));
    // Waits until the thread is out of it, however long that takes.
    drop(work);
    check_eq!(end, Ok(()));
    numbers.met = queue.met.load(Relaxed);
    queue.drain();

    let counts = queue.counts();
    check_eq!((counts.idle, counts.waiting), (jobs, 0));
    for (exchange, accepted) in queue.exchanges.iter().zip(&accepted) {
        check_eq!(exchange.faults.load(Relaxed), 0);
        if *accepted {
            check_eq!(exchange.released.load(Relaxed), 1);
            check!(exchange.is_settled());
            let executed = exchange.executed.load(Relaxed);
            check!(executed <= 1);
            let terminated = exchange.terminated.load(Relaxed);
            numbers.found += usize::from(executed == 0 || terminated != 0);
        } else {
            check_eq!(exchange.history(), (0, 0, 0));
        }
    }
    Ok(numbers)
}

/// Runs it until the threads have met, and what came of it is `enough`.
fn check_race(jobs: usize, aborts: usize, closes: usize, enough: impl Fn(&Numbers) -> bool) {
    for attempt in 1..=ATTEMPTS {
        let numbers = race(jobs, aborts, closes);
        check!(numbers.is_ok());
        let numbers = numbers.unwrap_or_default();
        let Numbers {
            accepted,
            deferred,
            refused,
            found,
            met,
        } = numbers;
        pr_info!(
            "{} jobs: {} accepted, {} deferred, {} refused, {} ended early, met {} times\n",
            jobs,
            accepted,
            deferred,
            refused,
            found,
            met
        );
        check_eq!(accepted + deferred + refused, COMMANDS);
        if met > 0 && enough(&numbers) {
            return;
        }
        check!(attempt < ATTEMPTS);
    }
}

fn one_job() {
    check_race(1, 0, usize::MAX, |numbers| numbers.deferred > 0);
}

fn some_jobs() {
    check_race(8, 0, usize::MAX, |numbers| numbers.deferred > 0);
}

fn aborts() {
    for jobs in [1, 8] {
        check_race(jobs, 3, usize::MAX, |numbers| {
            numbers.deferred > 0 && numbers.found > 0
        });
    }
}

fn deleted_meanwhile() {
    for closes in [1, COMMANDS / 2, COMMANDS - 1] {
        check_race(4, 5, closes, |numbers| {
            numbers.accepted > 0 && (numbers.refused > 0 || closes > COMMANDS / 2)
        });
    }
}

suite!(nvmet_fc_race:
    one_job,
    some_jobs,
    aborts,
    deleted_meanwhile,
);
