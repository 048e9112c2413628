// SPDX-License-Identifier: GPL-2.0
//@ like: drivers/target/tmr/target_core_tmr.o
//@ uses: list lock object ratelimit

//! Commands are taken, a request is held, all are waited for: this compiles, as the others could.

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
            request::TmrRequest,
            taken::TakenCommands, //
        }, //
    };

    fn take_all(device: &Device) {
        pin_init::stack_pin_init!(let taken = TakenCommands::new(device));
        for queue in device.queues() {
            for task in queue.lock_tasks().iter() {
                if let Some(command) = task.take() {
                    taken.as_mut().push_back(command);
                }
            }
        }
        taken.notify(bindings::tcm_tmreq_table_TMR_LUN_RESET);
        while let Some(command) = taken.as_mut().pop_front() {
            command.wait();
        }
    }

    fn wait_for_one(device: &Device) {
        let held = device.lock_requests().iter().find_map(TmrRequest::hold);
        if let Some(request) = held {
            request.wait();
        }
    }
}
