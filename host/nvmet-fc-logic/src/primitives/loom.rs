// SPDX-License-Identifier: GPL-2.0

//! What `rig.rs` is made of: that of loom.

pub(crate) use loom::cell::Cell;
pub(crate) use loom::sync::atomic::AtomicUsize;
pub(crate) use loom::sync::atomic::Ordering::{AcqRel, Relaxed};
pub(crate) use loom::sync::{Arc, Mutex};
