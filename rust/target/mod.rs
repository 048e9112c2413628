// SPDX-License-Identifier: GPL-2.0

//! The SCSI target (LIO) for backends in Rust.
//!
//! A backend is a type that implements [`backend::Backend`]; `samples/target` has one.
//!
//! C headers: `include/target/target_core_base.h`, `include/target/target_core_backend.h`

pub mod attribute;
pub mod backend;
pub mod command;
pub mod device;
pub mod tmr_function;
