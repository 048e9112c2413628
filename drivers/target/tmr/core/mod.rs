// SPDX-License-Identifier: GPL-2.0

//! The C core as task management sees it: its structures, and the functions that it calls.
//!
//! What is unsafe in task management is in this folder. A file uses those that are listed before
//! it:
//!
//! - `trace.rs`, `session.rs`
//! - `command.rs`
//! - `request.rs`, `task_set.rs`, `registration.rs`
//! - `device.rs`
//! - `taken.rs`
//! - `entry.rs`, which calls `../abort.rs` and `../reset.rs`

pub(crate) mod command;
pub(crate) mod device;
mod entry;
pub(crate) mod registration;
pub(crate) mod request;
pub(crate) mod session;
pub(crate) mod taken;
pub(crate) mod task_set;
pub(crate) mod trace;
