// SPDX-License-Identifier: GPL-2.0

//! LS (link service) requests that an LLDD has received.

use core::ptr::NonNull;

use super::{
    local_port::LocalPort,
    private,
    remote_port::RemotePort, //
};
use crate::{
    bindings,
    logic::{
        holder::{
            Holder,
            NotBegun, //
        },
        ports::RemoteUse,
    },
    object::{
        c_object,
        CObject,
        Constant, //
    },
};

c_object! {
    /// A received LS request (`struct nvmefc_ls_rcv_op`).
    // SAFETY: C makes it with zeroes, and sets the remote port, of which it has a reference, before
    // it uses the request.
    pub(crate) unsafe struct LsRequest(private::nvmefc_ls_rcv_op) {
        fn remote_port: Constant<&'a RemotePort> = rport;
        fn active: Holder<'a, RemotePort> = active;
    }
}

impl LsRequest {
    /// The remote port that it comes from.
    pub(crate) fn port(&self) -> &RemotePort {
        self.remote_port().get()
    }

    /// It begins to use the remote port, until it was responded to, see [`Holder::begin()`].
    pub(crate) fn begin(&self) -> Result<(), NotBegun<'_, LocalPort>> {
        self.active().begin(self.port(), || ())
    }

    /// Takes out its use of `port`, which is its remote port, see [`Holder::take()`].
    pub(crate) fn take<'a>(&self, port: &'a RemotePort) -> Option<RemoteUse<'a, RemotePort>> {
        self.active().take(port)
    }
}

/// A received LS request whose response is ready.
///
/// # Invariants
///
/// It is valid, and nobody else responds to it.
pub(crate) struct LsResponse(NonNull<private::nvmefc_ls_rcv_op>);

impl LsResponse {
    /// Takes over a request from C.
    ///
    /// # Safety
    ///
    /// It is valid, its response is ready, and nobody else responds to it.
    pub(crate) unsafe fn from_raw(request: NonNull<bindings::nvmefc_ls_rcv_op>) -> Self {
        // INVARIANT: By the contract of this function.
        Self(request.cast())
    }

    /// The request.
    pub(crate) fn request(&self) -> &LsRequest {
        // SAFETY: By the type invariant.
        unsafe { LsRequest::from_raw(self.0.as_ptr()) }
    }

    /// Gives the response to the LLDD, which frees the request. May sleep.
    pub(crate) fn send(self) {
        // SAFETY: By the type invariant, and nobody uses `self` any more.
        unsafe { bindings::__nvme_fc_xmt_ls_rsp(self.0.as_ptr().cast()) };
    }
}
