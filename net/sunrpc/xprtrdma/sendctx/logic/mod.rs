// SPDX-License-Identifier: GPL-2.0

//! Which Send context a Send gets, when it is given back, and which Sends are signalled.
//!
//! Safe code without kernel types: the same files are compiled for the host, where they are
//! tested. Who mounts this folder has `atomic` and `barrier`, the kernel crate's or those of the
//! host.

use super::{
    atomic,
    barrier, //
};

pub(crate) mod ring;
pub(crate) mod signal;
