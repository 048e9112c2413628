// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist page uio memalloc

//! A backend renames a UIO device that it has unregistered.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/mod.rs"]
pub mod target;

include!("common/backend.rs");
include!("common/uio.rs");

type Kept = Option<ext::uio::Registration<Device<Hostile>>>;

impl Hostile {
    fn configure(_device: ArcBorrow<'_, Device<Self>>) -> Result {
        Ok(())
    }

    fn execute(&self, command: Command) -> Result<(), Refused> {
        if let Some(mut node) = self.kept.lock().take() {
            drop(node);
            let minor = node.minor(); //~ E0382
        }
        Ok(command.complete(&target::command::SamStatus::GOOD.into()))
    }

    fn notify(&self, _function: TmrFunction, _aborted: AbortedCommands<'_>) {}
}
