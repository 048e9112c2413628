// SPDX-License-Identifier: GPL-2.0

//! What target queues see of C: the port and its LLDD, requests of the LLDD, and the memory of a
//! queue, which both languages use.
//!
//! C sources: `drivers/nvme/target/fc.c`, `include/linux/nvme-fc-driver.h`

pub(crate) mod association;
pub(crate) mod deferred;
pub(crate) mod memory;
pub(crate) mod port;
pub(crate) mod queue;
pub(crate) mod received;
pub(crate) mod request;

crate::bindings::generated! {
    /// Bindings of what only `fc.c` defines.
    pub(crate) mod private of "RUST_PRIVATE_BINDINGS" {
        use crate::bindings::*;
    }
}
