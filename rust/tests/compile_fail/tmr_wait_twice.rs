// SPDX-License-Identifier: GPL-2.0
//@ like: drivers/target/tmr/target_core_tmr.o
//@ uses: list lock object ratelimit

//! Waits twice for one command, which takes one waiter.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/tmr_function.rs"]
pub mod tmr_function;

#[path = "../../../drivers/target/tmr/abort.rs"]
mod abort;
#[path = "../../../drivers/target/tmr/core/mod.rs"]
mod core;
#[path = "../../../drivers/target/tmr/log.rs"]
mod log;
#[path = "../../../drivers/target/tmr/logic.rs"]
mod logic;
#[path = "../../../drivers/target/tmr/reset.rs"]
mod reset;
#[path = "../../../drivers/target/tmr/submission.rs"]
mod submission;

include!("common/tmr.rs");

fn wait(command: core::task_set::TakenCommand) {
    command.wait();
    command.wait(); //~ E0382
}
