// SPDX-License-Identifier: GPL-2.0

//! How the kernel log names a device.

use super::Tcmu;
use kernel::{
    fmt,
    prelude::*, //
};

/// A device as its folder in configfs is named: `user_<HBA>/<DEVICE>`.
pub(crate) struct Label<'a>(&'a Tcmu);

impl fmt::Display for Label<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &*self.0.name;
        out.write_fmt(fmt!("user_{}/{name}", self.0.host_id))
    }
}

impl Tcmu {
    /// What messages about the device begin with.
    pub(crate) fn label(&self) -> Label<'_> {
        Label(self)
    }

    /// Says that something is refused with `error`, and why; the result is the error.
    pub(crate) fn refuse(&self, error: Error, why: fmt::Arguments<'_>) -> Error {
        pr_err!("{}: {why}: {error:?}\n", self.label());
        error
    }
}
