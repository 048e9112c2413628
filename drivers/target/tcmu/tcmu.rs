// SPDX-License-Identifier: GPL-2.0
//! x
#[path = "../lio/bindings.rs"]
mod bindings;
