// SPDX-License-Identifier: GPL-2.0
//@ like: drivers/target/tmr/target_core_tmr.o
//@ uses: list lock object ratelimit

//! The backend of one logical unit is told of the commands of another.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../../drivers/target/tmr/abort.rs"]
mod abort;
#[path = "../../../drivers/target/tmr/core/mod.rs"]
mod core;
#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../../drivers/target/tmr/log.rs"]
mod log;
#[path = "../../../drivers/target/tmr/logic.rs"]
mod logic;
#[path = "../../../drivers/target/tmr/reset.rs"]
mod reset;
#[path = "../../../drivers/target/tmr/submission.rs"]
mod submission;
#[path = "../../target/tmr_function.rs"]
pub mod tmr_function;

use ext::{
    bindings,
    list,
    lock,
    object, //
};

const __LOG_PREFIX: &[u8] = b"case\0";

mod case {
    use super::{
        bindings,
        core::{
            device::Device,
            taken::TakenCommands, //
        }, //
    };

    fn tell(device: &Device, commands: &TakenCommands<'_>) {
        device.notify(bindings::tcm_tmreq_table_TMR_LUN_RESET, commands); //~ E0599
    }
}
