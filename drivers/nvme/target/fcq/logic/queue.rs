// SPDX-License-Identifier: GPL-2.0

//! The jobs of a target queue, and the commands that wait for one.

use core::{
    marker::PhantomData,
    mem::size_of,
    ops::DerefMut,
    ptr, //
};

use super::{
    deferred::{
        links,
        DeferredList,
        Link,
        Slot, //
    },
    request::{
        Cause,
        DeferredRequest,
        Place,
        Promoted,
        Received,
        Request, //
    },
};

/// A job that is not idle: whoever has this value executes a command in it. It is given out once,
/// and not copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Job(u32);

impl Job {
    /// The job's number, less than that of the jobs of its queue.
    pub(crate) fn index(&self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// As [`Self::index()`].
    pub(crate) fn number(&self) -> u32 {
        self.0
    }

    /// The job leaves Rust: C has it until [`Job::from_number()`].
    pub(crate) fn into_number(self) -> u32 {
        self.0
    }

    /// The job that C had. If it is idle, nothing comes of it.
    pub(crate) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    /// No command is in it, and this is the next such job.
    Idle(Next),
    /// Its command is executed.
    Running,
    /// It has a command that was deferred, which has not begun.
    Promoted,
    /// It has a command that was deferred, has not begun, and never will (I8).
    Cancelled(Cause),
}

/// The next idle job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next(Link);

impl JobState {
    /// A job without a command.
    pub(crate) const fn new() -> Self {
        Self::Idle(Next(Link::END))
    }
}

/// What becomes of a request that was received.
#[must_use]
pub(crate) enum Admission<V: Received> {
    /// It is executed, in this job.
    Run(Job, V),
    /// The queue keeps it until there is a job. The LLDD keeps the buffer of the command IU.
    Deferred(V::Proof),
    /// The LLDD has it back.
    Refused(V, Refusal),
}

/// Why a request is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// The queue is being deleted.
    Closed,
    /// All jobs are in use, and the LLDD cannot keep the buffer.
    NoDeferral,
    /// All jobs are in use, and as many requests as the queue has jobs are deferred: the initiator
    /// has sent more commands than the queue has entries.
    Full,
}

/// What becomes of a job whose command has ended.
#[must_use]
pub(crate) enum Recycled<R: Request> {
    /// Nothing waits for it.
    Idle,
    /// It has the oldest of the deferred requests (I3), which is yet to be accepted.
    Promoted(Job, Promoted<R>),
}

/// What an abort has found.
#[must_use]
pub(crate) enum Aborted<R: Request> {
    /// The request was deferred, and is so no longer.
    Dequeued(R::Deferred),
    /// It is executed, and ends when that has seen that it is aborted.
    Running,
    /// It has a job, but will not begin.
    Cancelled,
    /// The queue does not have it.
    Unknown,
}

/// Proof that the jobs of a queue are not changed by others as long as the value is there: whoever
/// made it has them alone, and so holds the lock that they are in.
///
/// It is of one queue only. Who gets it to do something to a queue asks which.
#[derive(Clone, Copy)]
pub(crate) struct Locked<'a> {
    /// Where the jobs are.
    address: usize,
    alone: PhantomData<&'a mut ()>,
}

impl Locked<'_> {
    /// Whether these are the jobs that are in `owner`, which has no others.
    #[inline]
    pub(crate) fn is_in<T>(self, owner: &T) -> bool {
        // The compiler knows the difference where it sees that the lock is a field of the owner.
        self.address.wrapping_sub(ptr::from_ref(owner).addr()) < size_of::<T>()
    }
}

/// A job whose command is executed and cannot end: the queue's lock is held as long as the value is
/// there.
pub(crate) struct Running<'a> {
    job: usize,
    lock: Locked<'a>,
}

impl<'a> Running<'a> {
    fn new(job: usize, lock: Locked<'a>) -> Self {
        Self { job, lock }
    }

    /// Proof that the command does not end.
    pub(crate) fn lock(&self) -> Locked<'a> {
        self.lock
    }

    /// The job's number.
    pub(crate) fn index(&self) -> usize {
        self.job
    }
}

/// How many there are, and how many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Counts {
    /// Jobs.
    pub(crate) jobs: usize,
    /// Jobs without a command.
    pub(crate) idle: usize,
    /// Requests that wait for a job.
    pub(crate) waiting: usize,
    /// Requests that ever had to wait.
    pub(crate) deferred: u64,
    /// Of these, those that were aborted before they had a job.
    pub(crate) dequeued: u64,
    /// Requests that were refused because too many waited.
    pub(crate) full: u64,
    /// Whether the queue is being deleted.
    pub(crate) closed: bool,
}

/// The jobs of a target queue and the requests that wait for one; used under the queue's lock.
///
/// The generic parameters are the request, and what has the states of the jobs and the slots of
/// deferred requests: memory of the queue.
///
/// C counterpart: `fod_list`, `pending_cmd_list`, `avail_defer_list`, `connected` of `struct
/// nvmet_fc_tgt_queue`, and `active` of `struct nvmet_fc_fcp_iod`.
///
/// # Invariants
///
/// - If requests wait, no job is idle, or the queue is closed (I1).
/// - A job is idle if and only if it is on the list that begins at `first_idle`, once (I6).
/// - Once the queue is `counts.closed`, no request is added to `deferred`, none gets a job, and no
///   job is [`JobState::Promoted`] (I4).
/// - A request is in `deferred`, or with whoever has its [`Job`], or nowhere: what is given out is
///   not kept (I2, I5).
pub(crate) struct JobQueue<R: Request, J, S> {
    jobs: J,
    first_idle: Link,
    deferred: DeferredList<R::Deferred, S>,
    /// Without what can be counted when it is asked for.
    counts: Counts,
}

impl<R, J, S> JobQueue<R, J, S>
where
    R: Request,
    J: DerefMut<Target = [JobState]>,
    S: DerefMut<Target = [Slot<R::Deferred>]>,
{
    /// A queue with these jobs, all of them idle. Requests are deferred if there are slots for
    /// them, and never more than there are jobs that may become idle.
    pub(crate) fn new(mut jobs: J, slots: S) -> Self {
        let number = jobs.len().min(Link::MOST);
        for (state, next) in jobs.iter_mut().zip(links(number)) {
            *state = JobState::Idle(Next(next));
        }
        // What a link cannot go to is never idle.
        for state in jobs.iter_mut().skip(number) {
            *state = JobState::Cancelled(Cause::QueueDeleted);
        }
        // INVARIANT: All jobs are idle, and no request is deferred.
        Self {
            first_idle: Link::first(number),
            jobs,
            deferred: DeferredList::new(slots, number),
            counts: Counts {
                jobs: number,
                ..Counts::default()
            },
        }
    }

    /// A request was received.
    #[inline]
    pub(crate) fn admit<V: Received<Request = R>>(&mut self, request: V) -> Admission<V> {
        // Looked at under the lock that closes it: a request that has found the queue before it
        // was closed is too late, too (I4).
        if self.counts.closed {
            return Admission::Refused(request, Refusal::Closed);
        }
        if let Some(job) = self.take_idle() {
            request.enter(job.index(), self.locked());
            return Admission::Run(job, request);
        }
        if let Some(why) = self.has_no_room() {
            return Admission::Refused(request, why);
        }
        // Another value than the one above, which is never in memory therefore.
        let (deferred, proof) = request.defer();
        self.keep(deferred);
        Admission::Deferred(proof)
    }

    /// All jobs are in use. Why a request that was received cannot wait, if it cannot.
    #[cold]
    #[inline(never)]
    fn has_no_room(&mut self) -> Option<Refusal> {
        if self.deferred.has_room() {
            return None;
        }
        if self.deferred.capacity() == 0 {
            return Some(Refusal::NoDeferral);
        }
        self.counts.full += 1;
        Some(Refusal::Full)
    }

    /// Keeps a request until there is a job. There is room.
    #[cold]
    #[inline(never)]
    fn keep(&mut self, request: R::Deferred) {
        // INVARIANT: No job is idle, under the same lock; the queue is not closed.
        let lock = self.alone();
        self.deferred.push(request, lock);
        self.counts.deferred += 1;
    }

    /// The command in `job` has ended; its request is no longer here.
    #[inline(always)]
    pub(crate) fn recycle(&mut self, job: Job) -> Recycled<R> {
        let Some(state) = self.jobs.get_mut(job.index()) else {
            return Recycled::Idle;
        };
        if let JobState::Idle(_) = state {
            return Recycled::Idle;
        }
        if !self.deferred.is_empty() {
            return match self.pass_on(job.index()) {
                Some(request) => Recycled::Promoted(job, request),
                None => Recycled::Idle,
            };
        }
        // INVARIANT: Nothing waits. The job becomes the first idle one.
        *state = JobState::Idle(Next(self.first_idle));
        self.first_idle = Link::to_job(&job);
        Recycled::Idle
    }

    /// The job with this number, whose command has ended, gets the oldest request that waits.
    /// `None`: it is idle.
    #[cold]
    #[inline(never)]
    fn pass_on(&mut self, index: usize) -> Option<Promoted<R>> {
        let lock = self.alone();
        let state = self.jobs.get_mut(index)?;
        // What waits in a closed queue is given back by whoever closes it.
        let oldest = if self.counts.closed {
            None
        } else {
            self.deferred.pop()
        };
        let promoted = oldest.and_then(|request| request.enter(index, lock));
        // INVARIANT: The job has a command before and after, and the queue is not closed; or it
        // becomes the first idle one, and the queue is closed. (Otherwise the request was lost.)
        if promoted.is_some() {
            *state = JobState::Promoted;
        } else {
            *state = JobState::Idle(Next(self.first_idle));
            self.first_idle = Link::to(index);
        }
        promoted
    }

    /// The command in `job`, which may have been deferred, is about to begin. An error: it must
    /// not, and for this reason (I8).
    pub(crate) fn begin(&mut self, job: &Job) -> Result<(), Cause> {
        match self.jobs.get_mut(job.index()) {
            Some(&mut JobState::Cancelled(cause)) => Err(cause),
            Some(state @ JobState::Promoted) => {
                *state = JobState::Running;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The initiator has aborted the request that is at `place`, as [`Request::put_at()`] has it.
    /// `running` is called with its job if it is executed.
    pub(crate) fn abort(
        &mut self,
        place: Option<Place>,
        running: impl FnOnce(Running<'_>),
    ) -> Aborted<R> {
        let lock = self.alone();
        match place {
            None => Aborted::Unknown,
            Some(Place::Deferred(slot)) => match self.deferred.remove(slot) {
                None => Aborted::Unknown,
                Some(request) => {
                    self.counts.dequeued += 1;
                    request.put_at(None, lock);
                    Aborted::Dequeued(request)
                }
            },
            Some(Place::Job(index)) => match self.jobs.get_mut(index) {
                Some(JobState::Running) => {
                    running(Running::new(index, lock));
                    Aborted::Running
                }
                Some(state @ (JobState::Promoted | JobState::Cancelled(_))) => {
                    *state = JobState::Cancelled(Cause::AbtsReceived);
                    Aborted::Cancelled
                }
                Some(JobState::Idle(_)) | None => Aborted::Unknown,
            },
        }
    }

    /// The queue is being deleted: nothing is admitted any more, and no command that was deferred
    /// begins. `running` is called with each job whose command is executed. False: it was closed
    /// before.
    pub(crate) fn close(&mut self, mut running: impl FnMut(Running<'_>)) -> bool {
        if self.counts.closed {
            return false;
        }
        // INVARIANT: Below, no job remains promoted.
        self.counts.closed = true;
        let lock = self.alone();
        for (index, state) in self.jobs.iter_mut().enumerate() {
            match state {
                JobState::Running => running(Running::new(index, lock)),
                JobState::Promoted => *state = JobState::Cancelled(Cause::QueueDeleted),
                JobState::Idle(_) | JobState::Cancelled(_) => {}
            }
        }
        true
    }

    /// Takes out the oldest request that waits in a closed queue, to be given back.
    pub(crate) fn drain(&mut self) -> Option<R::Deferred> {
        if !self.counts.closed {
            return None;
        }
        let request = self.deferred.pop()?;
        request.put_at(None, self.locked());
        Some(request)
    }

    /// How many there are.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            idle: self.idle(),
            waiting: self.deferred.length(),
            ..self.counts
        }
    }

    /// How many jobs are on the list of idle ones.
    fn idle(&self) -> usize {
        let mut number = 0;
        let mut link = self.first_idle;
        while let Some(&JobState::Idle(Next(next))) =
            link.get().and_then(|index| self.jobs.get(index))
        {
            number += 1;
            // The list has no end if a job is on it twice.
            if number > self.jobs.len() {
                break;
            }
            link = next;
        }
        number
    }

    /// Proof that whoever has this value alone does so.
    pub(super) fn locked(&mut self) -> Locked<'_> {
        self.alone()
    }

    /// As [`Self::locked()`], for methods that change the jobs, and so have them alone.
    fn alone<'a>(&self) -> Locked<'a> {
        Locked {
            address: ptr::from_ref(self).addr(),
            alone: PhantomData,
        }
    }

    /// Takes the first idle job.
    fn take_idle(&mut self) -> Option<Job> {
        // The end is the link to a job that there is not.
        let job = self.first_idle.job();
        let state = self.jobs.get_mut(job.index())?;
        let JobState::Idle(Next(next)) = *state else {
            return None;
        };
        // INVARIANT: It leaves the list and is not idle.
        *state = JobState::Running;
        self.first_idle = next;
        Some(job)
    }
}
