// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist

//! A backend refuses a command without giving it back.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/mod.rs"]
pub mod target;

include!("common/backend.rs");

type Kept = Option<Command>;

impl Hostile {
    fn configure(_device: ArcBorrow<'_, Device<Self>>) -> Result {
        Ok(())
    }

    fn execute(&self, command: Command) -> Result<(), Refused> {
        *self.kept.lock() = Some(command);
        Err(target::command::SenseReason::LunBusy) //~ E0308
    }

    fn notify(&self, _function: TmrFunction, _aborted: AbortedCommands<'_>) {}
}
