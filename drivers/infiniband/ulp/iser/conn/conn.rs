// SPDX-License-Identifier: GPL-2.0

//! Connections of an iSER initiator: when they are made, ended and freed.
//!
//! C counterpart: the part of `iser_verbs.c` around `enum iser_conn_state`, and the operations of
//! the iSCSI transport class in `iscsi_iser.c` that change it. Linked into `ib_iser.ko` with the C
//! files, which call the functions in `entry.rs`.
//!
//! - `logic/` decides, without kernel types; it has the properties D1 to D8.
//! - `connection.rs` does what was decided, without unsafe code.
//! - `transport/` is the safe view of the C structures: a connection, its CM id, iSCSI.
//! - `entry.rs` has the functions that C calls.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../../../rust/ext/mod.rs"]
pub mod ext;

use ext::{
    bindings,
    list,
    lock,
    object, //
};
use kernel::sync::atomic;

mod connection;
#[expect(unsafe_code, reason = "called by C")]
mod entry;
mod logic;
#[expect(unsafe_code, reason = "a view of C")]
mod transport;

/// Prefix of messages. The module itself is C, so there is no `module!` to define it.
const __LOG_PREFIX: &[u8] = b"iser\0";
