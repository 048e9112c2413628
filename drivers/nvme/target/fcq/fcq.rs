// SPDX-License-Identifier: GPL-2.0

//! Target queues of NVMe over Fibre Channel: their jobs, the commands that wait for one, and their
//! life.
//!
//! C counterpart: the part of `drivers/nvme/target/fc.c` around `struct nvmet_fc_tgt_queue`, with
//! `nvmet_fc_rcv_fcp_req()` and `nvmet_fc_rcv_fcp_abort()`. Linked into `nvmet-fc.ko` with the C
//! file, which calls the functions in `entry.rs`.
//!
//! - `logic/` decides, without kernel types; it has the properties I1 to I8.
//! - `target_queue.rs` is what the logic is told of a target queue, without unsafe code.
//! - `transport/` is the safe view of the C structures.
//! - `statistics.rs` counts, and shows the counts in debugfs.
//! - `entry.rs` has the functions that C calls.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../../rust/ext/mod.rs"]
pub mod ext;

use ext::{
    bindings,
    object, //
};

#[expect(unsafe_code, reason = "called by C")]
mod entry;
mod logic;
mod statistics;
mod target_queue;
#[expect(unsafe_code, reason = "a view of C")]
mod transport;

/// Prefix of messages. The module itself is C, so there is no `module!` to define it.
const __LOG_PREFIX: &[u8] = b"nvmet_fc\0";
