// SPDX-License-Identifier: GPL-2.0

//! Atomics for logic that is compiled into a kernel module and into a test on the host.
//!
//! The names and methods are those of `kernel::sync::atomic` and `kernel::sync::barrier`. A logic
//! folder takes them from its parent, in its `mod.rs`, and its files from there:
//!
//! ```text
//! use super::atomic;                              // logic/mod.rs
//! use super::atomic::{Acquire, Atomic, Release};  // logic/some_file.rs
//! ```
//!
//! Who mounts the logic says what that is. One crate can mount the same files twice:
//!
//! ```text
//! // The kernel module:
//! use kernel::sync::atomic;
//! mod logic;
//!
//! // The host crate; `std`'s atomics, for all tests in which threads race as they come:
//! #[path = "../../../drivers/.../"]
//! mod plain {
//!     use sync::atomic;
//!     mod logic;
//! }
//!
//! // The host crate; loom's, for tests inside `loom::model`, which goes through all orders:
//! #[cfg(test)]
//! #[path = "../../../drivers/.../"]
//! mod model {
//!     use sync::loom::atomic;
//!     mod logic;
//! }
//! ```
//!
//! `tests/alias` does just that. (clippy's `duplicate_mod` has to be told.) What is not here is not in
//! the kernel crate either, but for these:
//!
//! - [`Atomic::new`](atomic::Atomic::new) is no `const fn`, for loom's are not: logic has no statics.
//! - `Full` orders plain accesses too in the kernel, and stands for `SeqCst` here. Loom takes that of an
//!   atomic for acquire and release, so that it may find what cannot happen in the kernel, but misses
//!   nothing. A barrier it takes for what it is (`tests/barrier.rs`).
//! - A failed `cmpxchg()` orders nothing, whatever it is asked for; so it is in the kernel.

#![cfg_attr(not(feature = "loom"), no_std)]

#[macro_use]
mod atomics;

pub mod ordering;

pub mod atomic {
    //! As `kernel::sync::atomic`.
    atomics!(core);
}

pub mod barrier {
    //! As `kernel::sync::barrier`.
    barriers!(core);
}

#[cfg(feature = "loom")]
pub mod loom {
    //! The same on loom.

    pub mod atomic {
        //! As `kernel::sync::atomic`, for use inside `loom::model` only.
        atomics!(loom);
    }

    pub mod barrier {
        //! As `kernel::sync::barrier`, for use inside `loom::model` only.
        barriers!(loom);
    }
}
