// SPDX-License-Identifier: GPL-2.0
//@ like: drivers/target/tmr/target_core_tmr.o
//@ uses: list lock object ratelimit

//! Lists without their lock, requests that nobody holds, fields that are constant.

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
            command::Command,
            request::TmrRequest,
            taken::TakenCommands,
            task_set::Queue, //
        },
        list::ListGuard,
        object::Constant, //
    };
    use ::core::ptr::NonNull;

    fn look_at_list(queue: &Queue) -> bool {
        queue.state_list().get().is_null() //~ E0624
    }

    fn make_guard(head: NonNull<bindings::list_head>) -> ListGuard<'static, Command, 0> {
        ListGuard::new(head, ()) //~ E0133
    }

    fn wait_for_request(request: &TmrRequest) {
        request.wait(); //~ E0599
    }

    fn sent_to_another_thread<T: Send>() {}

    fn send() {
        sent_to_another_thread::<TakenCommands<'_>>(); //~ E0277 E0277
    }

    fn write(field: &Constant<u64>) {
        field.set(0); //~ E0599
    }
}
