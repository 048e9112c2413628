// SPDX-License-Identifier: GPL-2.0

//! A target queue and the LLDD that it belongs to, for tests: what the kernel's part of the driver
//! is otherwise.
//!
//! The LLDD keeps account of what it is told and complains at once. Memory of which the order of
//! accesses matters is in cells, which are loom's where this file is compiled with loom. The LLDD's
//! own lists are not: what they order is not for the target queue to rely on.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Mutex as StdMutex, MutexGuard as StdMutexGuard};

use super::logic::deferred::Slot;
use super::logic::operations::{abort, begin, close, recycle, Begun, TargetQueue};
use super::logic::queue::{Admission, Counts, Job, JobQueue, JobState, Locked, Refusal, Running};
use super::logic::request::{Cause, DeferredRequest, Kept, Place, Received, Request};
use super::primitives::{AcqRel, Arc, AtomicUsize, Cell, Mutex, Relaxed};

/// What a buffer has in it when the LLDD has used it for something else.
const REUSED: usize = usize::MAX;

/// What the LLDD knows of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// Where the queue has it (`nvmet_fc_private`).
    pub(crate) place: Option<Place>,
    /// It was deferred at some time.
    pub(crate) deferred: bool,
    /// Its command IU has been copied.
    pub(crate) copied: bool,
    /// It has begun.
    pub(crate) executed: bool,
    /// Calls of `defer_rcv`.
    pub(crate) defer_rcv: usize,
    /// Calls of `fcp_abort`.
    pub(crate) fcp_abort: usize,
    /// Calls of `fcp_req_release`.
    pub(crate) released: usize,
    /// It was not accepted, for this reason.
    pub(crate) refused: Option<Refusal>,
    /// What it was terminated by while it was executed.
    pub(crate) terminated: Option<Cause>,
    /// It was deferred, and an abort was answered or the queue closed before it had begun.
    pub(crate) never_begins: bool,
}

impl Exchange {
    /// From now on the command does not begin. What is executed, and was terminated therefore, goes
    /// on until it sees that.
    fn ends_unless_begun(&mut self) {
        let begun = self.executed || self.terminated.is_some();
        self.never_begins |= self.deferred && !begun;
    }
}

/// A command that is executed, or scheduled.
struct InJob {
    job: Job,
    command: Command,
}

/// The LLDD, and all who work for it: threads that execute commands, a workqueue.
pub(crate) struct Lldd {
    exchanges: StdMutex<Vec<Exchange>>,
    /// The buffers of the command IUs: one for each exchange.
    buffers: Vec<Cell<usize>>,
    running: StdMutex<Vec<InJob>>,
    work: StdMutex<VecDeque<InJob>>,
}

impl Lldd {
    /// One with so many exchanges.
    pub(crate) fn new(exchanges: usize) -> Arc<Self> {
        Arc::new(Self {
            exchanges: StdMutex::new(vec![Exchange::default(); exchanges]),
            buffers: (0..exchanges).map(|_| Cell::new(REUSED)).collect(),
            running: StdMutex::new(Vec::new()),
            work: StdMutex::new(VecDeque::new()),
        })
    }

    fn exchanges(&self) -> StdMutexGuard<'_, Vec<Exchange>> {
        self.exchanges
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }

    /// What it knows of an exchange.
    pub(crate) fn exchange(&self, id: usize) -> Exchange {
        self.exchanges()[id].clone()
    }

    /// Notes something about an exchange.
    fn note<T>(&self, id: usize, note: impl FnOnce(&mut Exchange) -> T) -> T {
        note(&mut self.exchanges()[id])
    }

    /// The command begins, as `nvmet_fc_handle_fcp_rqst()` has it.
    fn execute(&self, queue: &Queue, job: Job, command: Command) {
        let id = command.id;
        assert_eq!(queue.commands[job.index()].get(), id, "the job's command");
        self.note(id, |exchange| {
            assert!(!exchange.executed, "{id} begins twice");
            assert_eq!(exchange.released, 0, "{id} begins after it was released");
            assert!(exchange.copied, "I7: {id} begins without its command IU");
            assert_eq!(
                exchange.defer_rcv,
                usize::from(exchange.deferred),
                "I2: {id} begins, and its buffer is not the LLDD's"
            );
            assert!(
                !exchange.never_begins,
                "I8: {id} begins after it was aborted or the queue closed"
            );
            exchange.executed = true;
        });
        let running = InJob { job, command };
        self.running.lock().expect("nobody panics").push(running);
    }

    /// The commands that are executed, by the number of their job.
    pub(crate) fn running(&self) -> Vec<(usize, usize)> {
        let running = self.running.lock().expect("nobody panics");
        let mut running: Vec<_> = running
            .iter()
            .map(|in_job| (in_job.job.index(), in_job.command.id))
            .collect();
        running.sort_unstable();
        running
    }

    /// The command of an exchange ends, if it is executed.
    pub(crate) fn finish(&self, id: usize) -> bool {
        let finished = {
            let mut running = self.running.lock().expect("nobody panics");
            let at = running.iter().position(|in_job| in_job.command.id == id);
            at.map(|at| running.swap_remove(at))
        };
        let Some(InJob { job, command }) = finished else {
            return false;
        };
        assert_eq!(
            command.queue.commands[job.index()].get(),
            id,
            "the job's command"
        );
        drop(recycle(job, command));
        true
    }

    /// The jobs that are scheduled, and their exchanges.
    pub(crate) fn scheduled(&self) -> Vec<(usize, usize)> {
        let work = self.work.lock().expect("nobody panics");
        work.iter()
            .map(|in_job| (in_job.job.index(), in_job.command.id))
            .collect()
    }

    /// The workqueue does what is scheduled for a job, or for any. False: nothing is.
    pub(crate) fn work(&self, job: Option<usize>) -> bool {
        let scheduled = {
            let mut work = self.work.lock().expect("nobody panics");
            let at = work
                .iter()
                .position(|in_job| job.is_none_or(|job| in_job.job.index() == job));
            at.and_then(|at| work.remove(at))
        };
        let Some(InJob { job, command }) = scheduled else {
            return false;
        };
        match begin(job, command) {
            Begun::Execute(job, command) => {
                let queue = Arc::clone(&command.queue.0);
                self.execute(&queue, job, command);
            }
            Begun::Cancelled(queue) => drop(queue),
        }
        true
    }

    /// Whether the LLDD has each exchange back that it had handed over, with all that it is owed.
    pub(crate) fn settle(&self, id: usize) {
        let exchange = self.exchange(id);
        if exchange.refused.is_some() {
            assert_eq!(exchange.released, 0, "I2: {id} was refused");
            assert_eq!(exchange.defer_rcv, 0, "I2: {id} was refused");
            return;
        }
        assert_eq!(exchange.released, 1, "I2: {id} is released once");
        assert_eq!(
            exchange.defer_rcv,
            usize::from(exchange.deferred),
            "I2: {id} gives its buffer back once"
        );
        assert_eq!(exchange.place, None, "{id} is nowhere");
    }
}

/// What the LLDD is told of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 0
    Accepted,
    /// `-EOVERFLOW`
    Deferred,
    /// Another error.
    Refused(Refusal),
    /// `-ENOTCONN`: the queue is gone.
    NotFound,
}

type Jobs = JobQueue<Command, Vec<JobState>, Vec<Slot<Deferred>>>;

/// A target queue.
pub(crate) struct Queue {
    lldd: Arc<Lldd>,
    jobs: Mutex<Jobs>,
    references: AtomicUsize,
    /// Whether its memory is gone.
    freed: Cell<bool>,
    /// What the jobs have copied: the exchange's number.
    commands: Vec<Cell<usize>>,
}

impl Queue {
    /// One with so many jobs and room for so many deferred requests, and the reference that the
    /// association has.
    pub(crate) fn new(lldd: &Arc<Lldd>, jobs: usize, slots: usize) -> Arc<Self> {
        Arc::new(Self {
            lldd: Arc::clone(lldd),
            jobs: Mutex::new(JobQueue::new(
                vec![JobState::new(); jobs],
                (0..slots).map(|_| Slot::new()).collect(),
            )),
            references: AtomicUsize::new(1),
            freed: Cell::new(false),
            commands: (0..jobs).map(|_| Cell::new(REUSED)).collect(),
        })
    }

    /// References that are left.
    pub(crate) fn references(&self) -> usize {
        self.references.load(Relaxed)
    }

    /// Whether the last one is gone.
    pub(crate) fn is_freed(&self) -> bool {
        self.freed.get()
    }

    /// What the queue says of itself.
    pub(crate) fn counts(&self) -> Counts {
        self.jobs.lock().expect("nobody panics").counts()
    }
}

/// A command is received: `nvmet_fc_rcv_fcp_req()`.
pub(crate) fn receive(queue: &Arc<Queue>, id: usize) -> Answer {
    let lldd = Arc::clone(&queue.lldd);
    lldd.buffers[id].set(id);
    let Some(reference) = QueueRef::get(queue) else {
        return Answer::NotFound;
    };
    let command = Command {
        id,
        queue: reference,
    };
    match queue.locked(|jobs| jobs.admit(command)) {
        Admission::Run(job, command) => {
            command.copy(&job);
            lldd.execute(queue, job, command);
            Answer::Accepted
        }
        Admission::Deferred(()) => Answer::Deferred,
        Admission::Refused(command, refusal) => {
            lldd.note(id, |exchange| exchange.refused = Some(refusal));
            drop(command);
            Answer::Refused(refusal)
        }
    }
}

/// An ABTS for an exchange is received: `nvmet_fc_rcv_fcp_abort()`. Afterwards it is answered.
pub(crate) fn receive_abts(queue: &Arc<Queue>, id: usize) {
    let Some(reference) = QueueRef::get(queue) else {
        return;
    };
    let mut found = None;
    abort(&*reference, || {
        found = reference.lldd.exchange(id).place;
        found
    });
    reference.lldd.note(id, |exchange| {
        if found.is_some() {
            exchange.ends_unless_begun();
        }
    });
}

/// The queue is deleted: `nvmet_fc_delete_target_queue()`, up to the reference that the association
/// has.
pub(crate) fn delete(queue: &Arc<Queue>) -> bool {
    let closed = close(&**queue);
    if closed {
        for exchange in &mut *queue.lldd.exchanges() {
            exchange.ends_unless_begun();
        }
    }
    closed
}

/// The association gives up its reference.
pub(crate) fn put(queue: Arc<Queue>) {
    drop(QueueRef(queue));
}

impl TargetQueue for Queue {
    type Request = Command;
    type Jobs = Vec<JobState>;
    type Slots = Vec<Slot<Deferred>>;

    fn locked<T>(&self, action: impl FnOnce(&mut Jobs) -> T) -> T {
        assert!(!self.freed.get(), "the queue is used after it was freed");
        let mut jobs = self.jobs.lock().expect("nobody panics");
        let result = action(&mut jobs);
        check(&jobs.counts());
        result
    }

    fn terminate(&self, job: &Running<'_>, cause: Cause) {
        assert!(job.lock().is_in(self), "the job of another queue");
        let mut exchanges = self.lldd.exchanges();
        let exchange = exchanges
            .iter_mut()
            .find(|exchange| exchange.place == Some(Place::Job(job.index())))
            .expect("a job that runs has a command");
        exchange.terminated.get_or_insert(cause);
    }

    fn copy_command(&self, job: &Job, Promoted(command): &Promoted) {
        assert!(std::ptr::eq(self, &*command.queue), "the queue of another");
        command.copy(job);
    }

    fn schedule(&self, job: Job, command: Command) {
        let mut work = self.lldd.work.lock().expect("nobody panics");
        work.push_back(InJob { job, command });
    }
}

/// What holds whenever nobody has the lock.
fn check(counts: &Counts) {
    let &Counts {
        jobs,
        idle,
        waiting,
        closed,
        ..
    } = counts;
    assert!(idle <= jobs, "I6: {idle} of {jobs} jobs are idle");
    assert!(
        waiting == 0 || idle == 0 || closed,
        "I1: {waiting} requests wait, {idle} jobs are idle"
    );
}

/// A reference to a queue.
pub(crate) struct QueueRef(Arc<Queue>);

impl QueueRef {
    /// Takes one, unless the last one is gone (`kref_get_unless_zero()`).
    fn get(queue: &Arc<Queue>) -> Option<Self> {
        let mut references = queue.references.load(Relaxed);
        while references > 0 {
            match queue
                .references
                .compare_exchange(references, references + 1, Relaxed, Relaxed)
            {
                Ok(_) => return Some(Self(Arc::clone(queue))),
                Err(other) => references = other,
            }
        }
        None
    }
}

impl Deref for QueueRef {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.0
    }
}

impl Drop for QueueRef {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let before = self.0.references.fetch_sub(1, AcqRel);
        assert_ne!(before, 0, "I5: there is no reference left to give up");
        if before == 1 {
            assert!(!self.0.freed.replace(true), "the queue is freed twice");
        }
    }
}

/// A request of the LLDD.
pub(crate) struct Command {
    id: usize,
    queue: QueueRef,
}

impl Command {
    /// Copies the command IU to its job.
    fn copy(&self, job: &Job) {
        let lldd = &self.queue.lldd;
        let read = lldd.buffers[self.id].get();
        assert_eq!(read, self.id, "I7: the LLDD has reused the buffer");
        self.queue.commands[job.index()].set(read);
        lldd.note(self.id, |exchange| {
            assert!(!exchange.copied, "{} is copied once", self.id);
            exchange.copied = true;
        });
    }

    fn put_at(&self, place: Option<Place>, lock: Locked<'_>) {
        assert!(lock.is_in(&*self.queue), "the lock of another queue");
        self.queue
            .lldd
            .note(self.id, |exchange| exchange.place = place);
    }
}

impl Received for Command {
    type Request = Self;
    type Proof = ();

    fn enter(&self, job: usize, lock: Locked<'_>) {
        self.put_at(Some(Place::Job(job)), lock);
    }

    fn defer(self) -> (Deferred, ()) {
        self.queue
            .lldd
            .note(self.id, |exchange| exchange.deferred = true);
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
        let Self { id, queue } = &self;
        queue.lldd.note(*id, |exchange| {
            assert!(exchange.deferred, "I2: {id} was never deferred");
            assert_eq!(exchange.released, 0, "I2: {id} was released");
            exchange.defer_rcv += 1;
            assert_eq!(exchange.defer_rcv, 1, "I2: {id} is received once");
        });
        queue.lldd.buffers[*id].set(REUSED);
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
        self.queue.lldd.note(self.id, |exchange| {
            assert_eq!(exchange.released, 0, "{} is aborted, released", self.id);
            exchange.fcp_abort += 1;
        });
    }

    fn release(self) -> QueueRef {
        let Self { id, queue } = self;
        queue.lldd.note(id, |exchange| {
            exchange.released += 1;
            assert_eq!(exchange.released, 1, "I2: {id} is released once");
            assert_eq!(
                exchange.defer_rcv,
                usize::from(exchange.deferred),
                "I2: {id} is released, and its buffer is not the LLDD's"
            );
            assert_eq!(
                exchange.place, None,
                "{id} is released where it can be found"
            );
        });
        queue
    }
}
