// SPDX-License-Identifier: GPL-2.0

//! Both ends at once, each in a thread of the kernel: KUnit's own posts Sends, and a workqueue's
//! learns that they have ended.

use core::{
    hint::spin_loop,
    ops::Deref, //
};

use kernel::{
    new_condvar, new_mutex, new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        ArcBorrow,
        CondVar,
        CondVarTimeoutResult,
        Mutex,
        SpinLock, //
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
        check_eq, //
    },
    ext::{
        completion::Completion,
        kunit::suite,
        work::{
            Work,
            WorkItem, //
        },
    },
    logic::{
        ring::{
            BufferSpace,
            Producer,
            Ring, //
        },
        signal::SendSignaling, //
    },
};

/// Sends on each ring.
const SENDS: usize = 25_000;

/// Work requests of a batch.
const BATCH: u32 = 16;

/// How long somebody waits for what never comes. Nobody waits as long unless a wake-up is lost.
const LOST_MS: u32 = 60_000;

/// Looks at the completion queue before a pause, and its microseconds.
const LOOKS: u32 = 500;
const PAUSE_US: i64 = 20;

/// How the sender sleeps, as the RPC client has it: a flag that says that it waits, which is looked
/// at without a lock, and a queue that it sleeps in.
#[pin_data]
struct Queue {
    waits: Atomic<bool>,
    #[pin]
    woken: SpinLock<bool>,
    #[pin]
    sleeper: CondVar,
}

impl Queue {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            waits: Atomic::new(false),
            woken <- new_spinlock!(false),
            sleeper <- new_condvar!(),
        })
    }

    /// Sleeps until it is woken. False: that does not happen.
    fn sleep(&self) -> bool {
        let mut woken = self.woken.lock();
        while !*woken {
            let end = self
                .sleeper
                .wait_interruptible_timeout(&mut woken, msecs_to_jiffies(LOST_MS));
            if matches!(end, CondVarTimeoutResult::Timeout) {
                return false;
            }
        }
        *woken = false;
        true
    }
}

impl BufferSpace for Queue {
    fn wait(&self) {
        self.waits.store(true, Relaxed);
    }

    fn wake(&self) {
        // As `xprt_write_space()`: a plain look first.
        if self.waits.load(Relaxed) && self.waits.xchg(false, Relaxed) {
            *self.woken.lock() = true;
            self.sleeper.notify_all();
        }
    }
}

/// For each context the number of its Send, from 1 on; 0 when nobody uses it.
type Contexts = KVec<Atomic<usize>>;

/// A ring, and the device's completion queue.
#[pin_data]
struct Connection {
    ring: Ring<Contexts>,
    /// Numbers of signalled Sends. There are never more of them than contexts.
    reports: KVec<Atomic<usize>>,
    /// How many of them there were.
    reported: Atomic<usize>,
    /// No more Sends are posted.
    over: Atomic<bool>,
    #[pin]
    queue: Queue,
}

#[derive(Clone)]
struct ConnectionRef(Arc<Connection>);

impl Deref for ConnectionRef {
    type Target = Ring<Contexts>;

    fn deref(&self) -> &Ring<Contexts> {
        &self.0.ring
    }
}

fn zeroes(number: usize) -> Result<Contexts> {
    let mut found = KVec::with_capacity(number, GFP_KERNEL)?;
    for _ in 0..number {
        found.push(Atomic::new(0), GFP_KERNEL)?;
    }
    Ok(found)
}

/// What the completer has found.
#[derive(Default)]
struct Found {
    released: usize,
    /// Completions that were refused, contexts that were not those of the next Send.
    refused: usize,
    wrong: usize,
}

/// The thread that learns which Sends have ended.
#[pin_data]
struct Completer {
    connection: Arc<Connection>,
    #[pin]
    producer: Mutex<Option<Producer<ConnectionRef>>>,
    #[pin]
    found: Mutex<Found>,
    #[pin]
    finished: Completion,
}

impl WorkItem for Completer {
    fn run(this: ArcBorrow<'_, Self>) {
        if let Some(producer) = &mut *this.producer.lock() {
            *this.found.lock() = complete(&this.connection, producer);
        }
        this.finished.complete_all();
    }
}

/// Handles all completions until no more come.
fn complete(connection: &Connection, producer: &mut Producer<ConnectionRef>) -> Found {
    let reports = &connection.reports;
    let mut found = Found::default();
    let (mut handled, mut looks) = (0, 0);
    loop {
        // The flag first: all reports came before it.
        let over = connection.over.load(Acquire);
        if handled == connection.reported.load(Acquire) {
            if over {
                return found;
            }
            looks += 1;
            if looks % LOOKS == 0 {
                fsleep(Delta::from_micros(PAUSE_US));
            }
            spin_loop();
            continue;
        }
        // As many of them as contexts.
        let place = reports[handled % reports.len()].load(Relaxed) % reports.len();
        handled += 1;
        let done = producer.put(
            |_, slot| slot.index() == place,
            |ended| {
                found.released += 1;
                let (contexts, slot) = ended.parts();
                let context = &contexts[slot.index()];
                if context.load(Relaxed) != found.released {
                    found.wrong += 1;
                }
                context.store(0, Relaxed);
            },
            &connection.queue,
        );
        if done.is_err() {
            found.refused += 1;
        }
    }
}

/// Posts [`SENDS`] Sends on a ring, whose completions another thread handles. Returns how often
/// this one slept.
fn race(number: usize) -> Result<usize> {
    let reports = zeroes(number)?;
    let (mut consumer, producer) = Ring::split(number, zeroes(number)?, |ring| -> Result<_> {
        let connection = Arc::pin_init(
            pin_init!(Connection {
                ring,
                reports,
                reported: Atomic::new(0),
                over: Atomic::new(false),
                queue <- Queue::new(),
            }),
            GFP_KERNEL,
        )?;
        Ok(ConnectionRef(connection))
    })?;
    let connection = consumer.ring().0.clone();
    let contexts = connection.ring.contexts();
    let shared = connection.clone();
    let completer = Arc::pin_init(
        pin_init!(Completer {
            connection: shared,
            producer <- new_mutex!(Some(producer)),
            found <- new_mutex!(Found::default()),
            finished <- Completion::new(),
        }),
        GFP_KERNEL,
    )?;
    let work = Work::new(completer.clone())?;

    let mut signaling = SendSignaling::new(BATCH, number);
    let (mut posted, mut reported, mut sleeps) = (0, 0, 0);
    let (mut lost, mut wrong) = (false, 0);
    let mut given_back = false;
    while posted < SENDS {
        let Some(slot) = consumer.get(&connection.queue) else {
            if sleeps == 0 {
                // Now that all contexts are in use, so that there is one sleep at least.
                work.queue(0);
            }
            sleeps += 1;
            if !connection.queue.sleep() {
                lost = true;
                break;
            }
            continue;
        };
        let context = &contexts[slot.index()];
        if slot.index() != posted % number || context.load(Relaxed) != 0 {
            wrong += 1;
        }
        // Now and then nothing is posted after all.
        given_back = !given_back && posted % 11 == 3;
        if given_back {
            wrong += usize::from(!consumer.unget(slot, &connection.queue));
            continue;
        }
        context.store(posted + 1, Relaxed);
        let wrs = 1 + (posted % 3) as u32;
        let signaled = signaling.post(wrs, false);
        consumer.post();
        if signaled {
            connection.reports[reported % number].store(posted, Relaxed);
            reported += 1;
            connection.reported.store(reported, Release);
        }
        posted += 1;
    }
    connection.over.store(true, Release);
    let end = completer
        .finished
        .wait_killable_timeout(msecs_to_jiffies(LOST_MS));
    // Waits until the thread is out of it, however long that takes.
    drop(work);

    check!(!lost);
    check_eq!(end, Ok(()));
    check_eq!(wrong, 0);
    let producer = completer.producer.lock().take().ok_or(EINVAL)?;
    let found = completer.found.lock();
    check_eq!((found.refused, found.wrong), (0, 0));
    check_eq!(connection.ring.counts(), (posted, found.released));
    // Those after the last signalled Send.
    let mut released = found.released;
    consumer.close(producer, |ended| {
        released += 1;
        let (contexts, slot) = ended.parts();
        let context = &contexts[slot.index()];
        check_eq!(context.load(Relaxed), released);
        context.store(0, Relaxed);
    });
    check_eq!(released, SENDS);
    check!(contexts.iter().all(|context| context.load(Relaxed) == 0));
    Ok(sleeps)
}

/// Both threads at once on a ring of so many contexts.
fn check_race(contexts: usize) {
    let sleeps = race(contexts);
    check!(sleeps.is_ok_and(|sleeps| sleeps > 0));
    pr_info!("{contexts} contexts, {SENDS} Sends: slept {sleeps:?} times\n");
}

fn one_context() {
    check_race(1);
}

fn two_contexts() {
    check_race(2);
}

fn as_many_contexts_as_a_batch() {
    check_race(BATCH as usize);
}

fn contexts_for_some_batches() {
    check_race(40);
}

suite!(sendctx_race:
    one_context,
    two_contexts,
    as_many_contexts_as_a_batch,
    contexts_for_some_batches,
);
