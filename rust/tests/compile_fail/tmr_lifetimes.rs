// SPDX-License-Identifier: GPL-2.0
//@ like: drivers/target/tmr/target_core_tmr.o
//@ uses: list lock object ratelimit

//! Commands are used after what keeps them is gone, or twice.

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
            taken::TakenCommands,
            task_set::{
                Queue,
                TakenCommand,
                Task, //
            }, //
        }, //
    };
    use ::core::pin::Pin;

    fn keep_without_lock(queue: &Queue) -> Option<Task<'_>> {
        queue.lock_tasks().iter().next() //~ E0515
    }

    fn use_after_unlock(queue: &Queue) -> Option<u64> {
        let mut tasks = queue.lock_tasks();
        let task = tasks.iter().next()?;
        drop(tasks); //~ E0505
        Some(task.tag())
    }

    fn take_twice(task: Task<'_>) -> (Option<TakenCommand>, Option<TakenCommand>) {
        (task.take(), task.take()) //~ E0382
    }

    fn wait_twice(command: TakenCommand) {
        command.wait();
        command.wait(); //~ E0382
    }

    fn change_while_read(mut list: Pin<&mut TakenCommands<'_>>, command: TakenCommand) {
        let read: &TakenCommands<'_> = &list;
        list.as_mut().push_back(command); //~ E0502
        read.notify(bindings::tcm_tmreq_table_TMR_LUN_RESET);
    }
}
