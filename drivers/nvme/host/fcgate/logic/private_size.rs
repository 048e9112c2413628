// SPDX-License-Identifier: GPL-2.0

//! How much memory there is for an LLDD behind the objects of a local port.
//!
//! The transport allocates it with the object, as much as the LLDD's template says at that time. An
//! LLDD that registers the port again, perhaps another version after a reload, finds the objects
//! that there are.

/// What a template asks for, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrivateSizes {
    /// `local_priv_sz`, behind the local port.
    pub(crate) local: u32,
    /// `remote_priv_sz`, behind each remote port.
    pub(crate) remote: u32,
    /// `fcprqst_priv_sz`, behind each request of a controller.
    pub(crate) fcprqst: u32,
}

impl PrivateSizes {
    /// What there is behind each object of a local port for which `self` was returned before, or
    /// which was registered with it, when a template that asks for `new` takes its place. `None`:
    /// there may be an object with less than it asks for (G7).
    pub(crate) fn replace(self, new: Self) -> Option<Self> {
        let Self {
            local,
            remote,
            fcprqst,
        } = new;
        // Objects that are allocated from now on have what `new` asks for. The local port stays.
        let fits = local <= self.local && remote <= self.remote && fcprqst <= self.fcprqst;
        fits.then_some(Self {
            local: self.local,
            remote,
            fcprqst,
        })
    }
}
