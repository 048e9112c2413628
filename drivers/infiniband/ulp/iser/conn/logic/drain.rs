// SPDX-License-Identifier: GPL-2.0

//! How a queue pair is drained (D4, D5).
//!
//! C counterpart: the calls of `ib_drain_qp()`.

/// How often it is drained before nothing comes any more.
///
/// Draining waits for the completion of something that is posted for that, behind all else. A
/// response that came before the queue pair was stopped may only be handled meanwhile, and posts
/// its buffer again: behind that. What is handled after the first time has failed, and posts
/// nothing.
pub(crate) const PASSES: u32 = 2;
