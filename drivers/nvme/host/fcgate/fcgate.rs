// SPDX-License-Identifier: GPL-2.0

//! The ports of the NVMe host's FC transport: whether an LLDD (low-level driver) has registered
//! them, when it is told that they are deleted, and what controllers do that have lost theirs.
//!
//! C counterpart: the parts of `drivers/nvme/host/fc.c` around `port_state`, `act_rport_cnt`,
//! `act_ctrl_cnt` and `dev_loss_end`. Linked into `nvme-fc.ko` with the rest of that file, which
//! calls the functions in `entry.rs`.
//!
//! - `logic/` decides, without kernel types.
//! - `registration.rs` has what an LLDD does with its ports, `usage.rs` what the transport does
//!   with them, without unsafe code.
//! - `transport/` is the safe view of the C structures that they use.
//! - `entry.rs` has the functions that C calls.
//!
//! `logic/mod.rs` has the properties G1 to G7.
//!
//! Locks: `nvme_fc_lock` comes before the lock of a remote port. The LLDD is called under neither,
//! and references are given back under neither.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../../rust/ext/mod.rs"]
pub mod ext;

use ext::{
    bindings,
    list,
    lock,
    object, //
};
use kernel::sync::atomic;

#[expect(unsafe_code, reason = "called by C")]
mod entry;
mod logic;
mod registration;
#[expect(unsafe_code, reason = "a view of C")]
mod transport;
mod usage;

/// Prefix of messages. The module itself is C, so there is no `module!` to define it.
const __LOG_PREFIX: &[u8] = b"nvme_fc\0";
