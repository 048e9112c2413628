// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist uio work memalloc

//! A backend that keeps a command, or refuses it: this one compiles, and so could the others.

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
        let mut kept = self.kept.lock();
        if kept.is_some() {
            return Err(command.refuse(target::command::SenseReason::LunBusy));
        }
        *kept = Some(command);
        Ok(())
    }

    fn notify(&self, _function: TmrFunction, _aborted: AbortedCommands<'_>) {}
}
