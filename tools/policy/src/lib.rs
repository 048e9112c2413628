// SPDX-License-Identifier: GPL-2.0

//! The policy modules of `target_core_user.ko`, compiled for the host, and their tests.
//!
//! The sources are the kernel module's own. The library is built without `std`, so what builds here
//! needs nothing but `core`. An item of the policy that no test uses is reported as dead code.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the users are the kernel module and the tests")
)]

#[expect(unused_imports, reason = "they are what the kernel module uses")]
#[path = "../../../drivers/target/tcmu/policy/mod.rs"]
mod policy;

#[cfg(test)]
mod tests;
