// SPDX-License-Identifier: GPL-2.0

//! The C core as task management sees it: its structures, and the functions that it calls.
//!
//! What is unsafe in task management is in this folder.

pub(crate) mod command;
pub(crate) mod device;
mod entry;
pub(crate) mod request;
pub(crate) mod trace;
