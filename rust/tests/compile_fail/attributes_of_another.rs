// SPDX-License-Identifier: GPL-2.0
//@ like: samples/target/ramtmr.o
//@ uses: output scatterlist

//! A backend registers the attributes of another, whose devices are of another size.

#![allow(unused, reason = "only whether it compiles is of interest")]

#[path = "../../ext/mod.rs"]
pub mod ext;
#[path = "../../target/mod.rs"]
pub mod target;

include!("common/backend.rs");

type Kept = Option<()>;

use target::{
    attribute::{
        Action,
        Attrib,
        AttributeTable, //
    },
    backend::Registration,
};

fn register<Other>(
    attributes: AttributeTable<Other, Attrib>,
    actions: AttributeTable<Hostile, Action>,
) -> Result<Registration<Hostile>> {
    Registration::new(attributes, actions) //~ E0308
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
