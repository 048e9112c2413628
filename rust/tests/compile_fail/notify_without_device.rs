// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist uio memalloc

//! A backend wakes the users of a UIO device that was never registered.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/mod.rs"]
pub mod target;

include!("common/backend.rs");

type Kept = Option<()>;

impl Hostile {
    fn configure(_device: ArcBorrow<'_, Device<Self>>) -> Result {
        Ok(())
    }

    fn execute(&self, command: Command) -> Result<(), Refused> {
        ext::uio::Notifier::default().notify(); //~ E0599
        Ok(command.complete(&target::command::SamStatus::GOOD.into()))
    }

    fn notify(&self, _function: TmrFunction, _aborted: AbortedCommands<'_>) {}
}
