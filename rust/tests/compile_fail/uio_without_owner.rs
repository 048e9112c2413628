// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist page uio memalloc

//! A backend registers a UIO device that does not own what serves it, and forgets to unregister it.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/mod.rs"]
pub mod target;

include!("common/backend.rs");
include!("common/uio.rs");

type Kept = Option<ext::uio::Registration<Device<Hostile>>>;

impl Hostile {
    fn configure(device: ArcBorrow<'_, Device<Self>>) -> Result {
        let root = ext::uio::Root::new(c"hostile", unreachable_module())?;
        let name = kernel::str::CString::try_from(c"hostile")?;
        let module = unreachable_module();
        let node = ext::uio::Registration::new(
            &*device, //~ E0308
            module,
            root,
            name,
            core::ptr::null(),
        )?;
        device.kept.lock().replace(node);
        Ok(())
    }

    fn execute(&self, command: Command) -> Result<(), Refused> {
        Ok(command.complete(&target::command::SamStatus::GOOD.into()))
    }

    fn notify(&self, _function: TmrFunction, _aborted: AbortedCommands<'_>) {}
}

fn unreachable_module() -> &'static ThisModule {
    unreachable!()
}
