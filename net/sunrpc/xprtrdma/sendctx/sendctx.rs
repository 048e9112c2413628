// SPDX-License-Identifier: GPL-2.0

//! Send contexts of an RPC-over-RDMA client, and which of its Sends are signalled.
//!
//! C counterpart: the part of `net/sunrpc/xprtrdma/verbs.c` around `rb_sc_ctxs`, and the use of
//! `re_send_count` in `frwr_ops.c`. Linked into `rpcrdma.ko` with the C files, which call the
//! functions in `entry.rs`.
//!
//! - `logic/` decides, without kernel types.
//! - `connection.rs` has what there is for each connection, without unsafe code.
//! - `transport.rs` is the safe view of the C structures that it uses.
//! - `statistics.rs` counts, and shows the counts in debugfs.
//! - `entry.rs` has the functions that C calls.
//!
//! `Documentation/sunrpc/xprtrdma-sendctx.rst` has the properties S1 to S8, and the
//! differences from C.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../../rust/ext/mod.rs"]
pub mod ext;

use ext::{
    bindings,
    object, //
};
use kernel::sync::{
    atomic,
    barrier, //
};

mod connection;
#[expect(unsafe_code, reason = "called by C")]
mod entry;
mod logic;
mod statistics;
#[expect(unsafe_code, reason = "a view of C")]
mod transport;

/// Prefix of messages. The module itself is C, so there is no `module!` to define it.
const __LOG_PREFIX: &[u8] = b"rpcrdma\0";
