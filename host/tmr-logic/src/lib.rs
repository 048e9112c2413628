// SPDX-License-Identifier: GPL-2.0

//! The logic of the core's task management (`drivers/target/tmr/logic.rs`), compiled for the
//! host, and its tests.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the users are the kernel module and the tests")
)]

#[path = "../../../drivers/target/tmr/logic.rs"]
mod logic;

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod explore;
#[cfg(test)]
mod model;
