// SPDX-License-Identifier: GPL-2.0

//! The logic of `target_core_user.ko`, compiled for the host, and its tests.
//!
//! The sources are the kernel module's own. The library is built without `std`, so what builds here
//! needs nothing but `core`.

#![cfg_attr(not(test), no_std)]

#[expect(
    dead_code,
    unused_imports,
    reason = "the kernel module uses what the tests do not"
)]
#[path = "../../../drivers/target/tcmu/logic/mod.rs"]
mod logic;

#[cfg(test)]
mod tests;
