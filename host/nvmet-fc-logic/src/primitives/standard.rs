// SPDX-License-Identifier: GPL-2.0

//! What `rig.rs` is made of: that of the standard library.

pub(crate) use std::cell::Cell;
pub(crate) use std::rc::Rc as Arc;
pub(crate) use std::sync::atomic::AtomicUsize;
pub(crate) use std::sync::atomic::Ordering::{AcqRel, Relaxed};
pub(crate) use std::sync::Mutex;
