// SPDX-License-Identifier: GPL-2.0

//! When an LLDD is told that its ports are deleted, and what becomes of a controller meanwhile.
//!
//! # Invariants
//!
//! - G1: an LLDD gets one callback (`remoteport_delete`, `localport_delete`) for each time that it
//!   unregisters a port, none before, and none if it registers the port again first (`gate.rs`).
//! - G2: after a callback has returned, the LLDD is not called for that port. Whoever calls it has
//!   a use of the port: an association while it is created, as long as it exists, and while it is
//!   deleted; a received LS request until the response is sent; who unregisters a remote port and
//!   aborts its LS requests (`gate.rs`, `holder.rs`).
//! - G3: `localport_delete` comes after the `remoteport_delete` of each remote port whose
//!   unregistration has begun before (`ports.rs`).
//! - G4: each use that begins ends, once (`holder.rs`).
//! - G5: nobody enters a port that is unregistered, or whose local port is (`gate.rs`,
//!   `ports.rs`).
//! - G6: a port that is registered again within its `dev_loss_tmo` has its controllers connect at
//!   once; nothing that still uses it is in the way, and there is no deadline any more
//!   (`gate.rs`, `connectivity.rs`).
//! - G7: an LLDD finds behind each object the memory that its template asks for
//!   (`private_size.rs`).
//!
//! No kernel types and no `unsafe`: the same files are compiled for the host, where they are
//! tested. Who mounts this folder has `atomic`, the kernel crate's or that of the host.

use super::atomic;

pub(crate) mod connectivity;
pub(crate) mod gate;
pub(crate) mod holder;
pub(crate) mod ports;
pub(crate) mod private_size;
