// SPDX-License-Identifier: GPL-2.0

//! Which job a command of a target queue gets, what waits for one, and how a queue ends.
//!
//! Only `core`, no kernel types and no `unsafe`: the same files are compiled for the host, where
//! they are tested. All of it is either under the queue's lock (`queue.rs`) or owned by whoever
//! has the value, so that there are no atomics.
//!
//! # Invariants
//!
//! - I1: no command waits while a job is idle, unless the queue is being deleted.
//! - I2: a request that was deferred gets one `defer_rcv`, then one `fcp_req_release`; one that
//!   found a job at once the latter alone, one that was refused neither.
//! - I3: what waits gets jobs in the order in which it was received.
//! - I4: a queue that is being deleted accepts nothing, and promotes nothing.
//! - I5: each accepted command has one reference to the queue, from the lookup to its release. The
//!   queue is not used after the last one.
//! - I6: each job is idle or has one command.
//! - I7: the command IU is copied before the LLDD may reuse its buffer.
//! - I8: a command that was deferred does not begin after its abort was answered.

pub(crate) mod deferred;
pub(crate) mod operations;
pub(crate) mod queue;
pub(crate) mod request;
