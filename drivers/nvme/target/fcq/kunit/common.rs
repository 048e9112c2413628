// SPDX-License-Identifier: GPL-2.0

//! What the suites share: a queue, and an LLDD that notes what it is told.

use core::ops::Deref;

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        new_spinlock_irq,
        Arc,
        SpinLockIrq, //
    },
};

use super::logic::{
    deferred::Slot,
    operations::{
        abort,
        begin,
        recycle,
        Begun,
        TargetQueue, //
    },
    queue::{
        Admission,
        Counts,
        Job,
        JobQueue,
        JobState,
        Locked,
        Refusal,
        Running, //
    },
    request::{
        Cause,
        DeferredRequest,
        Kept,
        Place,
        Received,
        Request, //
    },
};

/// Fails the running test unless the condition holds.
macro_rules! check {
    ($condition:expr $(,)?) => {
        kernel::kunit_assert!("nvmet_fc", c"drivers/nvme/target/fcq/kunit", 0, $condition)
    };
}
pub(crate) use check;

/// Fails the running test unless both are equal.
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::common::check!($left == $right)
    };
}
pub(crate) use check_eq;

/// What the LLDD was told of an exchange, and where the queue has it.
pub(crate) struct Exchange {
    /// 0: nowhere. Otherwise twice the number of the job or slot, with 2 for a job and 3 for a slot
    /// added.
    place: Atomic<usize>,
    /// How often it was deferred, its buffer given back, its IU copied, itself executed, aborted by
    /// the target, told to end, given back.
    pub(crate) deferred: Atomic<u32>,
    pub(crate) defer_rcv: Atomic<u32>,
    pub(crate) copied: Atomic<u32>,
    pub(crate) executed: Atomic<u32>,
    pub(crate) fcp_abort: Atomic<u32>,
    pub(crate) terminated: Atomic<u32>,
    pub(crate) released: Atomic<u32>,
    /// How often something came that must not come, or not yet.
    pub(crate) faults: Atomic<u32>,
}

impl Exchange {
    const fn new() -> Self {
        Self {
            place: Atomic::new(0),
            deferred: Atomic::new(0),
            defer_rcv: Atomic::new(0),
            copied: Atomic::new(0),
            executed: Atomic::new(0),
            fcp_abort: Atomic::new(0),
            terminated: Atomic::new(0),
            released: Atomic::new(0),
            faults: Atomic::new(0),
        }
    }

    fn place(&self) -> Option<Place> {
        match self.place.load(Relaxed) {
            0 => None,
            place if place % 2 == 0 => Some(Place::Job(place / 2 - 1)),
            place => Some(Place::Deferred(place / 2 - 1)),
        }
    }

    fn fault_unless(&self, right: bool) {
        if !right {
            self.faults.fetch_add(1, Relaxed);
        }
    }

    /// `defer_rcv`, `fcp_req_release`, `fcp_abort`: how often each came.
    pub(crate) fn history(&self) -> (u32, u32, u32) {
        (
            self.defer_rcv.load(Relaxed),
            self.released.load(Relaxed),
            self.fcp_abort.load(Relaxed),
        )
    }

    /// Whether an exchange that was accepted got all that it is owed, and nothing twice.
    pub(crate) fn is_settled(&self) -> bool {
        self.released.load(Relaxed) == 1
            && self.defer_rcv.load(Relaxed) == self.deferred.load(Relaxed)
            && self.copied.load(Relaxed) >= self.executed.load(Relaxed)
            && self.faults.load(Relaxed) == 0
    }
}

/// What the queue has in its memory.
type Jobs = JobQueue<Command, KVec<JobState>, KVec<Slot<Deferred>>>;

/// A command that has a job, as C has it: by its number.
struct InJob {
    job: u32,
    command: Command,
}

/// A queue with the exchanges of its LLDD.
#[pin_data]
pub(crate) struct Queue {
    #[pin]
    jobs: SpinLockIrq<Jobs>,
    /// Threads that have the lock, or wait for it.
    inside: Atomic<usize>,
    /// How often one found another one there.
    pub(crate) met: Atomic<usize>,
    pub(crate) exchanges: KVec<Exchange>,
    /// Commands that were promoted and have not begun. There is room for all jobs.
    #[pin]
    scheduled: SpinLockIrq<KVec<InJob>>,
    /// Commands that are executed. There is room for all jobs.
    #[pin]
    running: SpinLockIrq<KVec<InJob>>,
}

/// A reference to it.
#[derive(Clone)]
pub(crate) struct QueueRef(Arc<Queue>);

impl Deref for QueueRef {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.0
    }
}

/// What the receiver returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Deferred,
    Refused(Refusal),
}

impl QueueRef {
    /// A queue with so many jobs and slots, for so many exchanges.
    pub(crate) fn new(jobs: usize, slots: usize, exchanges: usize) -> Result<Self> {
        let states = KVec::from_elem(JobState::new(), jobs, GFP_KERNEL)?;
        let mut free = KVec::with_capacity(slots, GFP_KERNEL)?;
        for _ in 0..slots {
            free.push(Slot::new(), GFP_KERNEL)?;
        }
        let mut seen = KVec::with_capacity(exchanges, GFP_KERNEL)?;
        for _ in 0..exchanges {
            seen.push(Exchange::new(), GFP_KERNEL)?;
        }
        let room = || KVec::with_capacity(jobs, GFP_KERNEL);
        let (scheduled, running) = (room()?, room()?);
        let queue = Arc::pin_init(
            pin_init!(Queue {
                jobs <- new_spinlock_irq!(JobQueue::new(states, free)),
                inside: Atomic::new(0),
                met: Atomic::new(0),
                exchanges: seen,
                scheduled <- new_spinlock_irq!(scheduled),
                running <- new_spinlock_irq!(running),
            }),
            GFP_KERNEL,
        )?;
        Ok(Self(queue))
    }

    /// Command `id` is received. If it gets a job it is executed until [`Queue::finish()`].
    pub(crate) fn receive(&self, id: usize) -> Answer {
        let command = Command {
            id,
            queue: self.clone(),
        };
        match self.locked(|jobs| jobs.admit(command)) {
            Admission::Run(job, command) => {
                command.copy();
                self.execute(job, command);
                Answer::Accepted
            }
            Admission::Deferred(()) => Answer::Deferred,
            Admission::Refused(_, why) => Answer::Refused(why),
        }
    }
}

impl Queue {
    fn execute(&self, job: Job, command: Command) {
        command.exchange().executed.fetch_add(1, Relaxed);
        let pushed = self.running.lock().push_within_capacity(InJob {
            job: job.into_number(),
            command,
        });
        check!(pushed.is_ok());
    }

    /// The oldest of the commands that are executed ends. False: there is none.
    pub(crate) fn finish(&self) -> bool {
        let first = {
            let mut running = self.running.lock();
            if running.is_empty() {
                return false;
            }
            running.remove(0)
        };
        if let Ok(InJob { job, command }) = first {
            drop(recycle(Job::from_number(job), command));
        }
        true
    }

    /// The oldest of the commands that were promoted begins. False: there is none.
    pub(crate) fn work(&self) -> bool {
        let first = {
            let mut scheduled = self.scheduled.lock();
            if scheduled.is_empty() {
                return false;
            }
            scheduled.remove(0)
        };
        if let Ok(InJob { job, command }) = first {
            match begin(Job::from_number(job), command) {
                Begun::Execute(job, command) => {
                    let queue = command.queue.clone();
                    queue.execute(job, command);
                }
                Begun::Cancelled(queue) => drop(queue),
            }
        }
        true
    }

    /// Everything comes to its end.
    pub(crate) fn drain(&self) {
        while self.work() || self.finish() {}
    }

    /// Fails the running test unless each of the first so many exchanges, all of them accepted, has
    /// got what it is owed, and was given back once.
    pub(crate) fn check_settled(&self, number: usize) {
        check_eq!(self.exchanges[..number].len(), number);
        for exchange in &self.exchanges[..number] {
            check_eq!(exchange.released.load(Relaxed), 1);
            check!(exchange.is_settled());
        }
    }

    /// An ABTS for exchange `id` is received.
    pub(crate) fn abort(&self, id: usize) {
        abort(self, || self.exchanges[id].place());
    }

    /// What the queue says of itself.
    pub(crate) fn counts(&self) -> Counts {
        self.jobs.lock().counts()
    }

    /// `defer_rcv`, `fcp_req_release`, `fcp_abort` of exchange `id`.
    pub(crate) fn history(&self, id: usize) -> (u32, u32, u32) {
        self.exchanges[id].history()
    }

    /// How often exchange `id` was executed.
    pub(crate) fn executed(&self, id: usize) -> u32 {
        self.exchanges[id].executed.load(Relaxed)
    }
}

impl TargetQueue for Queue {
    type Request = Command;
    type Jobs = KVec<JobState>;
    type Slots = KVec<Slot<Deferred>>;

    fn locked<T>(&self, action: impl FnOnce(&mut Jobs) -> T) -> T {
        if self.inside.fetch_add(1, Full) != 0 {
            self.met.fetch_add(1, Relaxed);
        }
        let result = action(&mut self.jobs.lock());
        self.inside.fetch_sub(1, Full);
        result
    }

    fn terminate(&self, job: &Running<'_>, _cause: Cause) {
        check!(job.lock().is_in(self));
        let place = Some(Place::Job(job.index()));
        let exchange = self
            .exchanges
            .iter()
            .find(|exchange| exchange.place() == place);
        check!(exchange.is_some());
        if let Some(exchange) = exchange {
            exchange.terminated.fetch_add(1, Relaxed);
        }
    }

    fn copy_command(&self, _job: &Job, Promoted(command): &Promoted) {
        command.copy();
    }

    fn schedule(&self, job: Job, command: Command) {
        let pushed = self.scheduled.lock().push_within_capacity(InJob {
            job: job.into_number(),
            command,
        });
        check!(pushed.is_ok());
    }
}

/// A command, and its reference to the queue.
pub(crate) struct Command {
    id: usize,
    queue: QueueRef,
}

impl Command {
    fn exchange(&self) -> &Exchange {
        &self.queue.exchanges[self.id]
    }

    fn copy(&self) {
        let exchange = self.exchange();
        exchange.fault_unless(exchange.defer_rcv.load(Relaxed) == 0);
        exchange.copied.fetch_add(1, Relaxed);
    }

    fn put_at(&self, place: Option<Place>, lock: Locked<'_>) {
        let exchange = self.exchange();
        exchange.fault_unless(lock.is_in(&*self.queue));
        let place = match place {
            None => 0,
            Some(Place::Job(job)) => 2 * job + 2,
            Some(Place::Deferred(slot)) => 2 * slot + 3,
        };
        exchange.place.store(place, Relaxed);
    }
}

impl Received for Command {
    type Request = Self;
    type Proof = ();

    fn enter(&self, job: usize, lock: Locked<'_>) {
        self.put_at(Some(Place::Job(job)), lock);
    }

    fn defer(self) -> (Deferred, ()) {
        self.exchange().deferred.fetch_add(1, Relaxed);
        (Deferred(self), ())
    }
}

/// One that was deferred.
pub(crate) struct Deferred(Command);

/// One of those that has a job.
pub(crate) struct Promoted(Command);

impl DeferredRequest for Deferred {
    type Promoted = Promoted;

    fn put_at(&self, slot: Option<usize>, lock: Locked<'_>) {
        self.0.put_at(slot.map(Place::Deferred), lock);
    }

    fn enter(self, job: usize, lock: Locked<'_>) -> Option<Promoted> {
        self.0.put_at(Some(Place::Job(job)), lock);
        Some(Promoted(self.0))
    }
}

impl Kept for Deferred {
    type Request = Command;

    fn defer_rcv(self) -> Command {
        self.0.defer_rcv()
    }
}

impl Kept for Promoted {
    type Request = Command;

    fn defer_rcv(self) -> Command {
        self.0.defer_rcv()
    }
}

impl Command {
    fn defer_rcv(self) -> Self {
        let exchange = self.exchange();
        exchange.fault_unless(exchange.released.load(Relaxed) == 0);
        if exchange.deferred.load(Relaxed) > exchange.defer_rcv.load(Relaxed) {
            exchange.defer_rcv.fetch_add(1, Relaxed);
        } else {
            exchange.fault_unless(false);
        }
        self
    }
}

impl Request for Command {
    type Queue = Queue;
    type QueueRef = QueueRef;
    type Deferred = Deferred;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn leave(&self, lock: Locked<'_>) {
        self.put_at(None, lock);
    }

    fn fcp_abort(&self) {
        let exchange = self.exchange();
        exchange.fault_unless(exchange.released.load(Relaxed) == 0);
        exchange.fcp_abort.fetch_add(1, Relaxed);
    }

    fn release(self) -> QueueRef {
        let exchange = self.exchange();
        exchange.fault_unless(exchange.place().is_none());
        exchange.released.fetch_add(1, Relaxed);
        self.queue
    }
}

/// Runs a test with a new queue.
pub(crate) fn with_queue(
    jobs: usize,
    slots: usize,
    exchanges: usize,
    test: impl FnOnce(&QueueRef),
) {
    let queue = QueueRef::new(jobs, slots, exchanges);
    check!(queue.is_ok());
    if let Ok(queue) = queue {
        test(&queue);
    }
}
