// SPDX-License-Identifier: GPL-2.0

//! The safe abstraction of LIO. Of it, this backend needs the following, and not all of that.

#![expect(
    unsafe_code,
    dead_code,
    reason = "a library, of which each backend uses a part"
)]

#[path = "../../drivers/target/lio/attribute.rs"]
pub(crate) mod attribute;
#[path = "../../drivers/target/lio/backend.rs"]
pub(crate) mod backend;
#[path = "../../drivers/target/lio/bindings.rs"]
pub(crate) mod bindings;
#[path = "../../drivers/target/lio/command.rs"]
pub(crate) mod command;
#[path = "../../drivers/target/lio/output.rs"]
pub(crate) mod output;
#[path = "../../drivers/target/lio/sg.rs"]
pub(crate) mod sg;
#[path = "../../drivers/target/lio/tmr_function.rs"]
pub(crate) mod tmr_function;
