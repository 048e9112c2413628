// SPDX-License-Identifier: GPL-2.0

//! LS (link service) requests that an LLDD has received.

use core::ptr::NonNull;

use super::{
    private,
    remote_port::RemotePort, //
};
use crate::{
    bindings,
    logic::holder::Holder,
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
        /// The use of its remote port that it has until it was responded to.
        pub(crate) fn active: Holder = active;
    }
}

impl LsRequest {
    /// The remote port that it comes from.
    pub(crate) fn port(&self) -> &RemotePort {
        self.remote_port().get()
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
