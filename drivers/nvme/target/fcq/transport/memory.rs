// SPDX-License-Identifier: GPL-2.0

//! The memory of a target queue: what C knows of it, and its jobs.

use core::{
    alloc::Layout,
    marker::PhantomData,
    mem::{
        align_of,
        offset_of,
        size_of, //
    },
    num::NonZeroU16,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    alloc::{
        allocator::Kmalloc,
        Allocator,
        Flags,
        NumaNode, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
    types::Opaque, //
};

use super::{
    association::Association,
    port::{
        Port,
        PortRef, //
    },
    private::{
        nvmet_fc_fcp_iod,
        nvmet_fc_tgt_queue, //
    },
};
use crate::{
    bindings,
    ext::{
        foreign::ForeignPtr,
        lock::IrqSaveSpinLock, //
    },
    logic::{
        queue::Locked,
        request::{
            Cause,
            Place, //
        }, //
    },
    object::{
        c_object,
        CObject,
        Constant, //
    },
};

c_object! {
    /// A job (`struct nvmet_fc_fcp_iod`).
    // SAFETY: `nvmet_fc_prep_fcp_iodlist()` initialises jobs and sets the constants before there is
    // a reference to one. C changes the flags with the lock held, or as plain bytes, and reads
    // `fcpreq` only while the job has a command. Nobody but whoever has the command uses
    // `cmdiubuf`.
    pub(crate) unsafe struct Fod(nvmet_fc_fcp_iod) {
        /// The LLDD's request, if the job is not idle.
        fn fcpreq: Atomic<*mut bindings::nvmefc_tgt_fcp_req> = fcpreq;
        /// The command is to end at its next step.
        fn abort: Atomic<bool> = abort;
        /// The LLDD knows that the exchange is aborted.
        fn aborted: Atomic<bool> = aborted;
        /// The LLDD waits for data, which may never come.
        fn writedataactive: Atomic<bool> = writedataactive;
        /// Protects the flags.
        fn flock: IrqSaveSpinLock<()> = flock;
        pub(super) fn command: Opaque<bindings::nvme_fc_cmd_iu> = cmdiubuf;
        pub(super) fn queue: Constant<*mut nvmet_fc_tgt_queue> = queue;
        /// The number of the job among those of its queue.
        pub(super) fn index: Constant<u32> = index;
        fn rspdma: Constant<bindings::dma_addr_t> = rspdma;
    }
}

impl Fod {
    /// The request of the command that is in the job, if there is one.
    pub(super) fn request(&self) -> Option<NonNull<bindings::nvmefc_tgt_fcp_req>> {
        NonNull::new(self.fcpreq().load(Relaxed))
    }

    /// The command waits for data of the initiator from now on. An error: it is to end instead.
    #[inline]
    pub(crate) fn begin_writedata(&self) -> Result {
        // ORDERING: Full, as in `LockedFod::terminate()`, which has the flags the other way round:
        // one of the two sees what the other has written. Both may; then the command ends, and its
        // exchange is aborted, too.
        self.writedataactive().xchg(true, Full);
        if self.abort().load(Relaxed) {
            return self.end_writedata();
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn end_writedata(&self) -> Result {
        self.writedataactive().store(false, Relaxed);
        Err(ECANCELED)
    }
}

/// A job of a queue whose lock is held: nobody gives it a command, or takes that away.
pub(super) struct LockedFod<'a> {
    fod: &'a Fod,
    lock: PhantomData<Locked<'a>>,
}

impl<'a> LockedFod<'a> {
    /// Says that the lock is held.
    ///
    /// # Safety
    ///
    /// `fod` is a job of the queue that `lock` is of.
    pub(super) unsafe fn new(fod: &'a Fod, _lock: Locked<'a>) -> Self {
        Self {
            fod,
            lock: PhantomData,
        }
    }

    /// The job, beyond the lock.
    pub(super) fn fod(&self) -> &'a Fod {
        self.fod
    }

    /// The request of the command that is in the job, if there is one. It is there as long as this
    /// value is.
    pub(super) fn request(&self) -> Option<NonNull<bindings::nvmefc_tgt_fcp_req>> {
        self.fod.request()
    }

    /// The job, which is idle, gets a command. False: it has one.
    pub(super) fn enter(&self, request: NonNull<bindings::nvmefc_tgt_fcp_req>) -> bool {
        let idle = self.request().is_none();
        if idle {
            self.fod.fcpreq().store(request.as_ptr(), Relaxed);
        }
        idle
    }

    /// The job has no command any more. Nobody sets a flag for the command that has ended.
    pub(super) fn clear(&self) {
        self.fod.fcpreq().store(ptr::null_mut(), Relaxed);
        self.fod.abort().store(false, Relaxed);
        self.fod.aborted().store(false, Relaxed);
        self.fod.writedataactive().store(false, Relaxed);
    }

    /// The command is to end when it can. True: it waits for data, and will not end by itself.
    pub(super) fn terminate(&self, cause: Cause) -> bool {
        self.fod.flock().with(|()| {
            // ORDERING: Full, see `Fod::begin_writedata()`.
            self.fod.abort().xchg(true, Full);
            let waits = self.fod.writedataactive().load(Relaxed);
            if waits || cause == Cause::AbtsReceived {
                self.fod.aborted().store(true, Relaxed);
            }
            waits
        })
    }
}

/// What lies in the lowest bit of the address of a job that stands for a slot.
const SLOT: usize = 1;

/// The memory of a queue and its jobs: `struct nvmet_fc_tgt_queue`.
///
/// # Invariants
///
/// It was allocated for so many jobs, zeroed, and belongs to this value.
pub(super) struct Memory {
    queue: NonNull<nvmet_fc_tgt_queue>,
    jobs: usize,
}

// SAFETY: It is a pointer to memory that no thread owns; what is in it has its own rules.
unsafe impl Send for Memory {}
// SAFETY: As above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Allocates the memory of queue `qid` of `association`, which is not connected, with one
    /// reference. The jobs are not prepared.
    pub(super) fn new(association: &Association, qid: u16, jobs: NonZeroU16) -> Result<Self> {
        let memory = Kmalloc::alloc(
            Self::layout(jobs.get().into())?,
            flags() | __GFP_ZERO,
            NumaNode::NO_NODE,
        )?;
        let queue = memory.cast::<nvmet_fc_tgt_queue>();
        // SAFETY: The memory is large enough, zeroed, which is valid for all fields, and nobody
        // else has it.
        unsafe {
            let queue = queue.as_ptr();
            (*queue).qid = qid;
            (*queue).sqsize = jobs.get();
            (*queue).assoc = association.as_raw();
            (*queue).rsn.counter = 1;
            bindings::refcount_set(&raw mut (*queue).ref_.refcount, 1);
        }
        // INVARIANT: It was just allocated.
        Ok(Self {
            queue,
            jobs: jobs.get().into(),
        })
    }

    /// The C structure.
    pub(super) fn as_ptr(&self) -> *mut nvmet_fc_tgt_queue {
        self.queue.as_ptr()
    }

    fn layout(jobs: usize) -> Result<Layout> {
        let jobs = jobs * size_of::<nvmet_fc_fcp_iod>();
        let size =
            (offset_of!(nvmet_fc_tgt_queue, fod) + jobs).max(size_of::<nvmet_fc_tgt_queue>());
        Layout::from_size_align(size, align_of::<nvmet_fc_tgt_queue>()).map_err(|_| EOVERFLOW)
    }

    /// The first job.
    fn first(&self) -> *mut nvmet_fc_fcp_iod {
        // SAFETY: By the type invariant the jobs are there, behind the structure.
        unsafe {
            self.as_ptr()
                .byte_add(offset_of!(nvmet_fc_tgt_queue, fod))
                .cast()
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Ok(layout) = Self::layout(self.jobs) {
            // SAFETY: By the type invariant it was allocated so, and nobody uses it any more.
            unsafe { Kmalloc::free(self.queue.cast(), layout) };
        }
    }
}

/// How memory is allocated. That there is none is no reason for a warning: the initiator has chosen
/// how much it is.
pub(super) fn flags() -> Flags {
    GFP_KERNEL | __GFP_NOWARN
}

/// The jobs of a queue, each with a buffer that is mapped for the port's device.
///
/// # Invariants
///
/// The jobs in the memory are prepared.
// The order of the fields matters: the port may go, and the LLDD, with the last reference to it.
pub(super) struct Jobs {
    memory: Memory,
    port: PortRef,
}

impl Jobs {
    /// Prepares the jobs. `ENOMEM`: the device cannot have their buffers.
    pub(super) fn new(memory: Memory, port: PortRef) -> Result<Self> {
        // SAFETY: The memory has a queue whose size and number of jobs agree.
        let error = unsafe {
            bindings::nvmet_fc_prep_fcp_iodlist(port.as_raw().cast(), memory.as_ptr().cast())
        };
        kernel::error::to_result(error)?;
        // INVARIANT: All of them are.
        Ok(Self { memory, port })
    }

    /// The C structure of the queue.
    pub(super) fn as_ptr(&self) -> *mut nvmet_fc_tgt_queue {
        self.memory.as_ptr()
    }

    /// The port.
    pub(super) fn port(&self) -> &Port {
        &self.port
    }

    /// The job with a number.
    #[inline]
    pub(super) fn at(&self, index: usize) -> Option<&Fod> {
        if index >= self.memory.jobs {
            return None;
        }
        // SAFETY: By the type invariants there are so many, and they are prepared.
        Some(unsafe { Fod::from_raw(self.memory.first().add(index)) })
    }

    /// What `nvmet_fc_private` of a request at `place` is. Each slot has a job to stand for it, as
    /// there are not more of them.
    pub(super) fn address(&self, place: Place) -> *mut c_void {
        let (index, tag) = match place {
            Place::Job(index) => (index, 0),
            Place::Deferred(index) => (index, SLOT),
        };
        self.at(index).map_or(ptr::null_mut(), |fod| {
            fod.as_raw().cast::<c_void>().wrapping_byte_add(tag)
        })
    }

    /// The place that has this address, if it is of this queue.
    pub(super) fn place(&self, address: *mut c_void) -> Option<Place> {
        let (offset, tag) = (
            untagged(address)
                .addr()
                .checked_sub(self.memory.first().addr())?,
            address.addr() & SLOT,
        );
        let index = offset / size_of::<nvmet_fc_fcp_iod>();
        self.at(index)?;
        Some(match tag {
            0 => Place::Job(index),
            _ => Place::Deferred(index),
        })
    }

    /// The device has sent the response of a job.
    pub(super) fn sync_response(&self, fod: &Fod) {
        let size = size_of::<bindings::nvme_fc_ersp_iu>();
        // SAFETY: By the type invariant it is mapped for the device of this port.
        unsafe { self.port.sync_for_cpu(fod.rspdma().get(), size) };
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        // SAFETY: By the type invariant they are prepared; nobody uses the queue any more.
        unsafe {
            bindings::nvmet_fc_destroy_fcp_iodlist(
                self.port.as_raw().cast(),
                self.memory.as_ptr().cast(),
            );
        }
    }
}

/// The job that an address is of, whether it stands for a slot or not.
pub(super) fn untagged(address: *mut c_void) -> *mut nvmet_fc_fcp_iod {
    address.map_addr(|address| address & !SLOT).cast()
}

/// The workqueue of a queue.
///
/// # Invariants
///
/// It is not destroyed before the value is dropped.
pub(super) struct WorkQueue(ForeignPtr<bindings::workqueue_struct>);

impl WorkQueue {
    /// Makes the workqueue of queue `qid` of an association. It is flushed by `nvmet_wq`, and has
    /// its kind of worker for that.
    pub(super) fn new(port: &Port, association: &Association, qid: u16) -> Result<Self> {
        let kind = bindings::wq_flags_WQ_PERCPU | bindings::wq_flags_WQ_MEM_RECLAIM;
        // SAFETY: The format is for three integers.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"ntfc%d.%d.%d".as_char_ptr(),
                kind,
                0,
                port.number(),
                association.number(),
                c_uint::from(qid),
            )
        };
        let queue = NonNull::new(queue).ok_or(ENOMEM)?;
        // INVARIANT: It was just made.
        // SAFETY: Workqueues do their own locking.
        Ok(Self(unsafe { ForeignPtr::new(queue) }))
    }

    /// The C structure.
    pub(super) fn as_ptr(&self) -> *mut bindings::workqueue_struct {
        self.0.as_ptr()
    }

    /// Waits for what is queued.
    pub(super) fn flush(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::__flush_workqueue(self.as_ptr()) };
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Waits for works that are still running.
        unsafe { bindings::destroy_workqueue(self.as_ptr()) };
    }
}
