// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist memalloc

//! A thread ends the allocation scope of another.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/mod.rs"]
pub mod target;

include!("common/backend.rs");

type Kept = Option<()>;

fn give_away<T: Send>(_: T) {}

impl Hostile {
    fn configure(_device: ArcBorrow<'_, Device<Self>>) -> Result {
        Ok(())
    }

    fn execute(&self, command: Command) -> Result<(), Refused> {
        give_away(ext::memalloc::NoIoScope::enter()); //~ E0277
        Ok(command.complete(&target::command::SamStatus::GOOD.into()))
    }

    fn notify(&self, _function: TmrFunction, _aborted: AbortedCommands<'_>) {}
}
