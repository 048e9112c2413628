// SPDX-License-Identifier: GPL-2.0

//! A command that is deferred: the LLDD keeps the buffer of its command IU.

use core::ptr::NonNull;

use super::{
    memory::Fod,
    received::CommandIu,
    request::FcpRequest, //
};
use crate::{
    logic::{
        queue::Locked,
        request::{
            DeferredRequest,
            Kept,
            Place, //
        }, //
    },
    object::CObject, //
};

/// A request that was deferred, and has no job.
///
/// # Invariants
///
/// The LLDD was told so, or is just being told, and was not told the contrary.
pub(crate) struct DeferredFcpRequest {
    request: FcpRequest,
    command: CommandIu,
}

// SAFETY: As `FcpRequest`; so is the buffer, for as long.
unsafe impl Send for DeferredFcpRequest {}

impl DeferredFcpRequest {
    /// A request that has become deferred.
    ///
    /// # Safety
    ///
    /// The LLDD is told so.
    #[inline(always)]
    pub(super) unsafe fn new(request: FcpRequest, command: CommandIu) -> Self {
        // INVARIANT: By the contract of this function.
        Self { request, command }
    }
}

impl Kept for DeferredFcpRequest {
    type Request = FcpRequest;

    fn defer_rcv(self) -> FcpRequest {
        let Self { request, .. } = self;
        // SAFETY: By the type invariant; this value is gone, so that it is the only time.
        unsafe { request.defer_rcv() };
        request
    }
}

impl DeferredRequest for DeferredFcpRequest {
    type Promoted = PromotedFcpRequest;

    fn put_at(&self, slot: Option<usize>, lock: Locked<'_>) {
        let _ = self.request.put_at(slot.map(Place::Deferred), lock);
    }

    fn enter(self, job: usize, lock: Locked<'_>) -> Option<PromotedFcpRequest> {
        let Self { request, command } = self;
        if !request.put_at(Some(Place::Job(job)), lock) {
            return None;
        }
        let fod = request.into_job()?;
        // INVARIANT: The job has the request; the LLDD has been told nothing.
        Some(PromotedFcpRequest { fod, command })
    }
}

/// A request that was deferred, in its job. It is small enough not to be in memory.
///
/// # Invariants
///
/// - The job has the request, and its reference to the queue, for this value alone.
/// - The LLDD was told that it is deferred, and was not told the contrary.
#[must_use]
pub(crate) struct PromotedFcpRequest {
    fod: NonNull<Fod>,
    command: CommandIu,
}

impl PromotedFcpRequest {
    /// Copies the command IU to the job.
    pub(crate) fn copy_command(&self) {
        // SAFETY: By the type invariant it is a job of a queue to which there is a reference.
        let fod = unsafe { self.fod.as_ref() };
        // SAFETY: By the type invariant the job is this value's.
        unsafe { self.command.copy_to(fod) };
    }
}

impl Kept for PromotedFcpRequest {
    type Request = FcpRequest;

    fn defer_rcv(self) -> FcpRequest {
        let Self { fod, .. } = self;
        // SAFETY: By the type invariants; this value is gone, so that it is the only time.
        let request = unsafe {
            let fod = fod.as_ref();
            let (_, request) =
                FcpRequest::from_job(fod.queue().get(), fod.as_raw()).unwrap_unchecked();
            request.defer_rcv();
            request
        };
        request
    }
}
