// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist genl

//! A netlink family takes a request that another one handles, with other attributes.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/mod.rs"]
pub mod target;

include!("common/backend.rs");

type Kept = Option<()>;

use ext::genl::{
    Attributes,
    Family,
    Policy,
    Protocol,
    Request, //
};

struct Mine;
struct Other;

impl Protocol for Other {
    const POLICY: &'static [Policy] = &[];
    const FIRST_STRICT: u8 = 0;
    const REQUESTS: &'static [Request<Self>] = &[Request::<Other>::new(1)];

    fn family() -> &'static Family {
        unreachable!()
    }

    fn handle(_command: u8, _sender: u32, _attributes: &Attributes<'_>) -> Result {
        Ok(())
    }
}

impl Protocol for Mine {
    const POLICY: &'static [Policy] = &[];
    const FIRST_STRICT: u8 = 0;
    const REQUESTS: &'static [Request<Self>] = &[
        Request::<Other>::new(1), //~ E0308
    ];

    fn family() -> &'static Family {
        unreachable!()
    }

    fn handle(_command: u8, _sender: u32, _attributes: &Attributes<'_>) -> Result {
        Ok(())
    }
}

impl Hostile {
    fn configure(_device: ArcBorrow<'_, Device<Self>>) -> Result {
        Ok(())
    }

    fn execute(&self, command: Command) -> Result<(), Refused> {
        Ok(command.complete(&target::command::SamStatus::GOOD.into()))
    }

    fn notify(&self, _function: TmrFunction, _aborted: AbortedCommands<'_>) {}
}
