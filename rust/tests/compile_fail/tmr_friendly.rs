// SPDX-License-Identifier: GPL-2.0
//@ like: drivers/target/tmr/target_core_tmr.o
//@ uses: list lock object ratelimit

//! Takes commands out of a task set and waits for them: this one compiles, and so could the others.

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

fn abort_all(device: &core::device::Device) {
    pin_init::stack_pin_init!(let taken = core::taken::TakenCommands::new(device));
    for queue in device.queues() {
        let mut tasks = queue.lock_tasks();
        for task in tasks.iter() {
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

fn wait_for_requests(device: &core::device::Device) {
    let held = device
        .lock_requests()
        .iter()
        .find_map(core::request::TmrRequest::hold);
    if let Some(request) = held {
        request.wait();
    }
}
