// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist work

//! A backend has a timer that does not own what it runs for.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/mod.rs"]
pub mod target;

include!("common/backend.rs");

type Kept = Option<ext::work::Work<Device<Hostile>>>;

impl ext::work::WorkItem for Device<Hostile> {
    fn run(_this: ArcBorrow<'_, Self>) {}
}

impl Hostile {
    fn configure(device: ArcBorrow<'_, Device<Self>>) -> Result {
        device.kept.lock().replace(ext::work::Work::new(&*device)?); //~ E0308
        Ok(())
    }

    fn execute(&self, command: Command) -> Result<(), Refused> {
        Ok(command.complete(&target::command::SamStatus::GOOD.into()))
    }

    fn notify(&self, _function: TmrFunction, _aborted: AbortedCommands<'_>) {}
}
