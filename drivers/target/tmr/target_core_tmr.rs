// SPDX-License-Identifier: GPL-2.0

//! Task management of the SCSI target core.
//!
//! C counterpart: `drivers/target/target_core_tmr.c`. Linked into `target_core_mod.ko` with the C
//! files of the core, which call the functions in `entry.rs`.
//!
//! Standards: SAM-5 clause 7 (task management functions), SAM-4 5.6 (aborting commands) and
//! SPC-4 5.12.11.2.6 (PREEMPT AND ABORT).
//!
//! - `logic.rs` decides, without kernel types.
//! - `abort.rs`, `reset.rs` and `submission.rs` carry it out, without unsafe code.
//! - `core/` is the safe view of the core's C structures that they use.
//!
//! `Documentation/target/core-tmr.rst` has the properties and the differences from C.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../rust/ext/mod.rs"]
pub mod ext;
#[path = "../../../rust/target/tmr_function.rs"]
pub mod tmr_function;

use ext::{
    bindings,
    list,
    lock,
    object, //
};

mod abort;
#[expect(unsafe_code, reason = "a view of C")]
mod core;
mod log;
mod logic;
mod reset;
mod submission;

/// Prefix of messages. The module itself is C, so there is no `module!` to define it.
const __LOG_PREFIX: &[u8] = b"target_core_mod\0";
