// SPDX-License-Identifier: GPL-2.0

//! A target queue, references to it, and its life.

use core::{
    num::NonZeroU16,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        new_spinlock_irq,
        rcu, //
    }, //
};

use super::{
    association::Association,
    deferred::DeferredFcpRequest,
    memory::{
        flags,
        Jobs,
        LockedFod,
        Memory,
        WorkQueue, //
    },
    port::{
        Port,
        PortRef, //
    },
    private::nvmet_fc_tgt_queue,
    request::FcpRequest, //
};
use crate::{
    bindings,
    ext::{
        foreign::Foreign,
        lock::IrqSaveSpinLock, //
    },
    logic::{
        deferred::Slot,
        queue::{
            JobQueue,
            JobState,
            Locked, //
        }, //
    },
    statistics::Counted,
};

/// The jobs of a queue and what waits for one.
pub(crate) type Admissions = JobQueue<FcpRequest, KVec<JobState>, KVec<Slot<DeferredFcpRequest>>>;

/// What people know a queue by.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    /// The number of the target port.
    pub(crate) port: u32,
    /// That of the association.
    pub(crate) association: u32,
    /// That of the queue.
    pub(crate) queue: u16,
}

/// A target queue: Rust's part of it (`struct fcq`), which owns the whole.
///
/// It has a reference to the port, but none to the association, which deletes its queues when it
/// goes. Commands have references to the queue, and some are late.
///
/// # Invariants
///
/// Once anybody but its maker knows it, it is in a box that is the `fcq` of its C structure, and
/// [`release()`] frees it: a grace period after the last of the references that C counts.
// The order of the fields matters: works are in the memory of the jobs, and the port goes last.
#[pin_data]
pub(crate) struct Queue {
    _counted: Counted,
    #[pin]
    admissions: IrqSaveSpinLock<Admissions>,
    /// Frees the queue, in a context that may sleep.
    #[pin]
    release: Foreign<bindings::work_struct>,
    work_q: WorkQueue,
    jobs: Jobs,
    name: Name,
}

impl Queue {
    /// Makes queue `qid` of `association`, which is its `queues[qid]` then and has the only
    /// reference. It is not connected.
    pub(crate) fn create(
        association: &Association,
        qid: u16,
        size: NonZeroU16,
    ) -> Result<*mut nvmet_fc_tgt_queue> {
        if !Association::has_room_for(qid) {
            return Err(EINVAL);
        }
        let queue = Self::new(association, qid, size)?;
        let raw = queue.jobs.as_ptr();
        // SAFETY: Nobody else knows the queue yet, and its memory is zeroed.
        let error = unsafe {
            (*raw).work_q = queue.work_q.as_ptr();
            bindings::nvmet_cq_init(&raw mut (*raw).nvme_cq);
            bindings::nvmet_sq_init(&raw mut (*raw).nvme_sq, &raw mut (*raw).nvme_cq)
        };
        if error != 0 {
            // SAFETY: It was just initialised, and the other one was not.
            unsafe { bindings::nvmet_cq_put(&raw mut (*raw).nvme_cq) };
            return Err(Error::from_errno(error));
        }
        // SAFETY: It is not moved out of its box.
        let owner = KBox::into_raw(unsafe { Pin::into_inner_unchecked(queue) });
        // SAFETY: As above.
        unsafe { (*raw).fcq = owner.cast() };
        // SAFETY: All of it was made, with one reference.
        if !unsafe { association.add(qid, raw) } {
            // SAFETY: Nobody else has come to know it.
            let queue = unsafe { Pin::new_unchecked(KBox::from_raw(owner)) };
            // SAFETY: It goes, and this is the only time.
            unsafe { queue.end() };
            return Err(EEXIST);
        }
        Ok(raw)
    }

    fn new(association: &Association, qid: u16, size: NonZeroU16) -> Result<Pin<KBox<Self>>> {
        let port = association.port().get();
        let name = Name {
            port: port.number(),
            association: association.number(),
            queue: qid,
        };
        let number = usize::from(size.get());
        let memory = Memory::new(association, qid, size)?;
        let work_q = WorkQueue::new(port, association, qid)?;
        let jobs = Jobs::new(memory, PortRef::new(port).ok_or(ENODEV)?)?;
        let states = KVec::from_elem(JobState::new(), number, flags())?;
        // Without them nothing is deferred.
        let number = if port.defers() { number } else { 0 };
        let mut slots = KVec::with_capacity(number, flags())?;
        for _ in 0..number {
            slots.push(Slot::new(), flags())?;
        }
        let admissions = JobQueue::new(states, slots);
        KBox::pin_init(
            pin_init!(Self {
                admissions <- IrqSaveSpinLock::new(
                    new_spinlock_irq!((), "nvmet_fc_queue"),
                    admissions
                ),
                // SAFETY: The helper initialises the whole struct. Workqueues do their own locking.
                release <- unsafe {
                    Foreign::ffi_init(|work| bindings::init_work(work, Some(release)))
                },
                work_q,
                jobs,
                name,
                _counted: Counted::new(),
            }),
            flags(),
        )
    }

    /// Jobs and deferred requests, under the queue's lock.
    pub(crate) fn admissions(&self) -> &IrqSaveSpinLock<Admissions> {
        &self.admissions
    }

    /// Whether this is proof that this queue's lock is held.
    pub(super) fn is_locked(&self, lock: Locked<'_>) -> bool {
        // The box has no other jobs than those behind the lock.
        lock.is_in(self)
    }

    /// The job with a number, if this is proof that this queue's lock is held.
    pub(super) fn locked_job<'a>(
        &'a self,
        index: usize,
        lock: Locked<'a>,
    ) -> Option<LockedFod<'a>> {
        let fod = self.jobs.at(index).filter(|_| self.is_locked(lock))?;
        // SAFETY: It is a job of this queue, and so is the lock.
        Some(unsafe { LockedFod::new(fod, lock) })
    }

    /// The port.
    pub(crate) fn port(&self) -> &Port {
        self.jobs.port()
    }

    /// What people know it by.
    pub(crate) fn name(&self) -> Name {
        self.name
    }

    /// The jobs.
    pub(super) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The workqueue of commands that were deferred.
    pub(super) fn work_q(&self) -> &WorkQueue {
        &self.work_q
    }

    /// No command finds the queue from now on, but one may just have found it.
    pub(crate) fn disconnect(&self) {
        let queue = self.jobs.as_ptr();
        // SAFETY: The structure is valid; C changes the field atomically.
        let connected = unsafe { Atomic::from_ptr(&raw mut (*queue).connected.counter) };
        connected.store(0, Relaxed);
    }

    /// Waits for commands that were deferred and just begin, and takes the queue from the NVMe
    /// target core. Those that begin after that are refused there.
    ///
    /// # Safety
    ///
    /// Called once for each queue, where one may sleep, but not by a command that was deferred.
    pub(crate) unsafe fn end(&self) {
        self.work_q.flush();
        let queue = self.jobs.as_ptr();
        // SAFETY: The structure is valid, and both were initialised when the queue was made. By the
        // contract of this function they still are.
        unsafe {
            bindings::nvmet_sq_destroy(&raw mut (*queue).nvme_sq);
            bindings::nvmet_cq_put(&raw mut (*queue).nvme_cq);
        }
    }

    /// The number of references.
    fn references(&self) -> *mut bindings::refcount_t {
        let queue = self.jobs.as_ptr();
        // SAFETY: The structure is valid; only the address of the field is taken.
        unsafe { &raw mut (*queue).ref_.refcount }
    }
}

/// Rust's part of a queue.
///
/// # Safety
///
/// `queue` comes from [`Queue::create()`] and is not freed.
unsafe fn owner(queue: *mut nvmet_fc_tgt_queue) -> NonNull<Queue> {
    // SAFETY: By the contract of this function, and the type invariant of `Queue`.
    unsafe { NonNull::new_unchecked((*queue).fcq.cast()) }
}

/// Frees a queue to which there are no references any more.
///
/// # Safety
///
/// Called by the workqueue with the work of a [`Queue`], once.
unsafe extern "C" fn release(work: *mut bindings::work_struct) {
    // Who has found the queue under RCU may still use it, and who has given up the reference before
    // the last one may still be about to unlock it.
    rcu::synchronize_rcu();
    // SAFETY: By the contract of this function, and `create()` has made the box. There are no
    // references, of neither kind.
    let queue = unsafe {
        let work = work.cast::<Foreign<bindings::work_struct>>();
        Pin::new_unchecked(KBox::from_raw(kernel::container_of!(work, Queue, release)))
    };
    let counts = queue.admissions.with(|jobs| jobs.counts());
    if counts.idle != counts.jobs || counts.waiting != 0 {
        kernel::pr_err_once!("a queue goes that has commands\n");
    }
}

/// A reference to a target queue. It may be dropped in any context.
///
/// # Invariants
///
/// One of those that C counts belongs to it.
pub(crate) struct QueueRef(NonNull<Queue>);

// SAFETY: References are counted atomically, and all threads may use a queue.
unsafe impl Send for QueueRef {}

impl QueueRef {
    /// Looks for the queue that a connection is of, and takes a reference, if it is connected.
    pub(crate) fn find(port: &Port, connection: u64, guard: &rcu::Guard) -> Option<Self> {
        let queue = Association::find_queue(port, connection, guard)?.as_ptr();
        // SAFETY: The queue is not freed before the RCU section is over; C changes the field
        // atomically.
        let connected = unsafe { Atomic::from_ptr(&raw mut (*queue).connected.counter) };
        if connected.load(Relaxed) == 0 {
            return None;
        }
        // SAFETY: As above; associations have queues of `create()`.
        unsafe { Self::get(queue) }
    }

    /// Takes a reference to a queue that may have none any more.
    ///
    /// # Safety
    ///
    /// `queue` comes from [`Queue::create()`] and is not freed before this returns.
    pub(super) unsafe fn get(queue: *mut nvmet_fc_tgt_queue) -> Option<Self> {
        // SAFETY: By the contract of this function; C counts references atomically.
        let count = unsafe { Atomic::from_ptr(&raw mut (*queue).ref_.refcount.refs.counter) };
        let mut references = count.load(Relaxed);
        while references > 0 {
            let Some(more) = references.checked_add(1) else {
                break;
            };
            match count.cmpxchg(references, more, Relaxed) {
                // INVARIANT: It was just taken.
                // SAFETY: By the contract of this function.
                Ok(_) => return Some(Self(unsafe { owner(queue) })),
                Err(other) => references = other,
            }
        }
        // There are none, or too many: C knows what it does then.
        // SAFETY: By the contract of this function.
        unsafe { Self::get_unusual(queue) }
    }

    /// As [`Self::get()`].
    ///
    /// # Safety
    ///
    /// As above.
    #[cold]
    #[inline(never)]
    unsafe fn get_unusual(queue: *mut nvmet_fc_tgt_queue) -> Option<Self> {
        // SAFETY: By the contract of this function.
        let taken = unsafe { bindings::nvmet_fc_tgt_q_get(queue.cast()) };
        // INVARIANT: It was just taken.
        // SAFETY: As above.
        (taken != 0).then(|| Self(unsafe { owner(queue) }))
    }

    /// A reference that C has given away.
    ///
    /// # Safety
    ///
    /// The queue has such a reference, and nobody else uses it.
    pub(crate) unsafe fn from_raw(queue: *mut nvmet_fc_tgt_queue) -> Self {
        // INVARIANT: By the contract of this function.
        // SAFETY: As above.
        Self(unsafe { owner(queue) })
    }

    /// The queue, even if the reference goes: it is not freed before the RCU section is over.
    pub(crate) fn under<'a>(&self, _guard: &'a rcu::Guard) -> &'a Queue {
        // SAFETY: There is a reference now, within the section. `release()`, which comes after the
        // last one, waits for it.
        unsafe { self.0.as_ref() }
    }
}

impl Deref for QueueRef {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for QueueRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the queue is there, until its last reference is given up;
        // who gives up that one has it alone. The workqueue of the target core is flushed before
        // this module goes.
        unsafe {
            let queue = self.0.as_ptr();
            if bindings::refcount_dec_and_test((*queue).references()) {
                bindings::queue_work_on(
                    bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                    bindings::nvmet_wq,
                    (*queue).release.as_ptr(),
                );
            }
        }
    }
}
