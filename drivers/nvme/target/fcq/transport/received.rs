// SPDX-License-Identifier: GPL-2.0

//! A command that the LLDD hands over, until the LLDD is told what becomes of it.

use core::{
    marker::PhantomData,
    mem::size_of,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    prelude::*,
    sync::rcu, //
};

use super::{
    deferred::DeferredFcpRequest,
    memory::Fod,
    queue::{
        Queue,
        QueueRef, //
    },
    request::FcpRequest,
};
use crate::{
    bindings,
    logic::{
        queue::{
            Job,
            Locked,
            Refusal, //
        },
        request::{
            Place,
            Received,
            Request, //
        }, //
    },
};

/// A command IU in a buffer of the LLDD, whose beginning is right.
///
/// # Invariants
///
/// The buffer has a whole one, and the LLDD keeps it as long as this value is there.
pub(crate) struct CommandIu(NonNull<bindings::nvme_fc_cmd_iu>);

impl CommandIu {
    /// Looks at what was received. `None`: it is no command IU.
    ///
    /// # Safety
    ///
    /// `buffer` has `length` bytes as long as the value is there.
    pub(crate) unsafe fn new(buffer: *mut c_void, length: u32) -> Option<Self> {
        let size = size_of::<bindings::nvme_fc_cmd_iu>();
        if usize::try_from(length) != Ok(size) {
            return None;
        }
        // SAFETY: By the contract of this function there are so many bytes.
        let iu = unsafe { NonNull::new_unchecked(buffer.cast::<bindings::nvme_fc_cmd_iu>()) };
        // SAFETY: The buffer is large enough; nothing is said of its alignment.
        let (format, kind, words) = unsafe {
            let iu = iu.as_ptr();
            (
                (*iu).format_id,
                (*iu).fc_id,
                (&raw const (*iu).iu_len).read_unaligned(),
            )
        };
        let known = u32::from(format) == bindings::NVME_CMD_FORMAT_ID
            && kind == bindings::FCQ_CMD_FC_ID
            && usize::from(u16::from_be(words)) == size / size_of::<u32>();
        if !known {
            return None;
        }
        // INVARIANT: By the contract of this function.
        Some(Self(iu))
    }

    /// The connection that the command was sent on.
    pub(crate) fn connection(&self) -> u64 {
        // SAFETY: By the type invariant; nothing is said of its alignment.
        u64::from_be(unsafe { (&raw const (*self.0.as_ptr()).connection_id).read_unaligned() })
    }

    /// Copies it to a job.
    ///
    /// # Safety
    ///
    /// Nobody else uses the command of the job.
    pub(super) unsafe fn copy_to(&self, fod: &Fod) {
        let (from, to) = (self.0.as_ptr(), fod.command().get());
        let size = size_of::<bindings::nvme_fc_cmd_iu>();
        // SAFETY: By the type invariant and the contract of this function. Nothing is said of the
        // alignment of the buffer.
        unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), size) };
    }
}

/// What the LLDD is told of a request that it has handed over. Made by what has become of the
/// request; it is for who has called, and does not go to another thread.
#[must_use]
pub(crate) struct Answer(Result, PhantomData<*mut ()>);

impl Answer {
    fn new(result: Result) -> Self {
        Self(result, PhantomData)
    }

    /// For the LLDD.
    pub(crate) fn get(self) -> Result {
        self.0
    }
}

/// That a request was deferred.
#[must_use]
pub(crate) struct IsDeferred(PhantomData<*mut ()>);

impl IsDeferred {
    /// The LLDD has to keep the buffer of the command IU.
    pub(crate) fn answer(self) -> Answer {
        Answer::new(Err(EOVERFLOW))
    }
}

/// A request that the LLDD hands over just now. There is one for each call, which returns an
/// [`Answer`]: only what becomes of this value makes one.
///
/// # Invariants
///
/// The LLDD is told the answer that this value becomes.
pub(crate) struct ReceivedFcpRequest {
    request: FcpRequest,
    command: CommandIu,
}

impl ReceivedFcpRequest {
    /// A request that was received.
    ///
    /// # Safety
    ///
    /// The LLDD gives `exchange` to the port of `queue`, by calling a function that returns the
    /// answer to this request.
    pub(crate) unsafe fn new(
        exchange: NonNull<bindings::nvmefc_tgt_fcp_req>,
        command: CommandIu,
        queue: QueueRef,
    ) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            // SAFETY: As above.
            request: unsafe { FcpRequest::new(exchange, queue) },
            command,
        }
    }

    /// The queue of the request.
    pub(crate) fn queue(&self) -> &Queue {
        self.request.queue()
    }

    /// The queue of the request, even if the request goes: see [`QueueRef::under()`].
    pub(crate) fn queue_under<'a>(&self, guard: &'a rcu::Guard) -> &'a Queue {
        self.request.queue_under(guard)
    }

    /// The command begins: see [`FcpRequest::execute()`]. May sleep.
    #[inline]
    pub(crate) fn execute(self, job: Job) -> Answer {
        if let Some(fod) = self.request.job() {
            // SAFETY: The job is the request's.
            unsafe { self.command.copy_to(fod) };
        }
        self.request.execute(job);
        Answer::new(Ok(()))
    }

    /// The LLDD has the request back.
    pub(crate) fn refuse(self, why: Refusal) -> Answer {
        if self.request.is_somewhere() {
            // The LLDD must not have it back: it is lost.
            return Answer::new(Ok(()));
        }
        Answer::new(Err(match why {
            Refusal::Closed => ENOTCONN,
            Refusal::NoDeferral => ENOENT,
            Refusal::Full => EBUSY,
        }))
    }
}

impl Received for ReceivedFcpRequest {
    type Request = FcpRequest;
    type Proof = IsDeferred;

    #[inline(always)]
    fn enter(&self, job: usize, lock: Locked<'_>) {
        let _ = self.request.put_at(Some(Place::Job(job)), lock);
    }

    #[inline(always)]
    fn defer(self) -> (DeferredFcpRequest, IsDeferred) {
        let Self { request, command } = self;
        // Not in the memory of what is executed at once, which has none therefore.
        let request = request.again();
        // SAFETY: The LLDD gets the answer that says so: there is no other one any more.
        let deferred = unsafe { DeferredFcpRequest::new(request, command) };
        (deferred, IsDeferred(PhantomData))
    }
}
