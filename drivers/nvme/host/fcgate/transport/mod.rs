// SPDX-License-Identifier: GPL-2.0

//! The C structures of the transport, as far as the gates of ports need them.
//!
//! C source: `drivers/nvme/host/fc.c`, which alone defines most of them

pub(crate) mod controller;
pub(crate) mod local_port;
pub(crate) mod ls_request;
pub(crate) mod reference;
pub(crate) mod remote_port;
pub(crate) mod template;
pub(crate) mod wait;

crate::bindings::generated! {
    /// Bindings of the structures that only `fc.c` defines.
    ///
    /// Prototypes in headers are of incomplete structures with the same names: pointers to the one
    /// are cast to pointers to the other.
    mod private of "RUST_PRIVATE_BINDINGS" {
        use crate::bindings::*;
    }
}
