// SPDX-License-Identifier: GPL-2.0

//! The C structures of the transport, as far as the gates of ports need them.
//!
//! C source: `drivers/nvme/host/fc.c`, which alone defines most of them

pub(crate) mod controller;
pub(crate) mod local_port;
pub(crate) mod ls_request;
mod private;
pub(crate) mod reference;
pub(crate) mod remote_port;
pub(crate) mod template;
pub(crate) mod wait;
