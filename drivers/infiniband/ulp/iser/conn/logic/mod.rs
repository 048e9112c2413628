// SPDX-License-Identifier: GPL-2.0

//! The life of an iSER connection: what is done when, and who gives it up last.
//!
//! Three own a connection: the *endpoint* (from `ep_connect` to `ep_disconnect`), the *binding*
//! (from `conn_bind` to `conn_stop` or the destruction of the iSCSI connection), and the *CM* (from
//! the creation of its id to its last word: disconnected, refused, failed). Each gives it up once;
//! the last one frees.
//!
//! # Invariants
//!
//! - D1: `ep_disconnect` waits for no event of the CM, and for nothing that does.
//! - D2: a connection is freed once, when it has no owner and its CM id is destroyed; whatever the
//!   peer does, or does not, it comes to that.
//! - D3: no handler of a CM id destroys this id, or a queue pair: the work item does, and waits for
//!   handlers.
//! - D4: the queue pair is drained before what was posted to it is unmapped or destroyed; and then
//!   it is unmapped, before the device or the binding goes.
//! - D5: nothing is posted any more once the disconnection has begun.
//! - D6: iSCSI is told of a bound connection that breaks, and told once (`failure.rs` has the
//!   second half); not of one that iSCSI itself ends.
//! - D7: an endpoint is destroyed once.
//! - D8: a command that is given while the connection ends is not refused for good.
//!
//! No kernel types and no `unsafe`: the same files are compiled for the host, where they are
//! tested. Who mounts this folder has `atomic`, the kernel crate's or that of the host.

use super::atomic;

pub(crate) mod action;
pub(crate) mod drain;
pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod state;
