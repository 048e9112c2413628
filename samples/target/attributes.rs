// SPDX-License-Identifier: GPL-2.0

//! The attributes and the action of a disk.

use super::{
    ext::output::Output,
    target::{
        attribute::{
            Action,
            Attrib,
            Attribute,
            AttributeTable, //
        },
        device::Device,
    },
    Inner,
    RamTmr, //
};
use kernel::{
    fmt::Write as _,
    prelude::*, //
};

/// The directory `attrib`: LIO's attributes of disks that it emulates, and our own.
pub(crate) fn attrib() -> Result<AttributeTable<RamTmr, Attrib>> {
    AttributeTable::emulated()?
        .with::<Hold>()?
        .with::<Held>()?
        .with::<AbortsTold>()?
        .with::<ResetsTold>()?
        .with::<PreemptsTold>()?
        .with::<Cancelled>()
}

/// The directory `action`.
pub(crate) fn action() -> Result<AttributeTable<RamTmr, Action>> {
    AttributeTable::new()?.with::<Release>()
}

/// `hold`: 1 keeps reads and writes from now on, 0 executes them at once.
struct Hold;

#[vtable]
impl Attribute<RamTmr> for Hold {
    const NAME: &'static CStr = c"hold";

    fn show(device: &Device<RamTmr>, out: &mut Output<'_>) -> Result {
        Ok(out.write_fmt(fmt!("{}\n", u8::from(device.inner.lock().hold)))?)
    }

    fn store(device: &Device<RamTmr>, text: &[u8]) -> Result {
        device.inner.lock().hold = match text.trim_ascii() {
            b"0" => false,
            b"1" => true,
            _ => return Err(EINVAL),
        };
        Ok(())
    }
}

/// Defines an attribute that shows a number.
macro_rules! number {
    ($(#[$meta:meta])* $name:ident, $file:literal, $value:expr) => {
        $(#[$meta])*
        struct $name;

        #[vtable]
        impl Attribute<RamTmr> for $name {
            const NAME: &'static CStr = $file;

            fn show(device: &Device<RamTmr>, out: &mut Output<'_>) -> Result {
                let value: fn(&Inner) -> u64 = $value;
                Ok(out.write_fmt(fmt!("{}\n", value(&device.inner.lock())))?)
            }
        }
    };
}

number!(
    /// `held`: how many commands are kept now.
    Held, c"held", |inner| inner.held.iter().flatten().count() as u64
);
number!(
    /// `aborts_told`: how many ABORT TASKs the backend was told of.
    AbortsTold, c"aborts_told", |inner| inner.counters.aborts
);
number!(
    /// `resets_told`: how many LUN RESETs.
    ResetsTold, c"resets_told", |inner| inner.counters.resets
);
number!(
    /// `preempts_told`: how many PREEMPT AND ABORTs.
    PreemptsTold, c"preempts_told", |inner| inner.counters.preempts
);
number!(
    /// `cancelled`: how many kept commands were aborted and therefore answered.
    Cancelled, c"cancelled", |inner| inner.counters.cancelled
);

/// `release`: writing anything executes what is kept.
struct Release;

#[vtable]
impl Attribute<RamTmr> for Release {
    const NAME: &'static CStr = c"release";

    fn store(device: &Device<RamTmr>, _text: &[u8]) -> Result {
        device.release();
        Ok(())
    }
}
