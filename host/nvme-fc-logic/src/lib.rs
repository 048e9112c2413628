// SPDX-License-Identifier: GPL-2.0

//! The logic of `nvme-fc.ko`'s gates of LLDD ports (`drivers/nvme/host/fcgate/logic`), compiled for
//! the host, and its tests.
//!
//! The same files twice: `plain` for what one thread does, in any order of operations, and `model`
//! on loom, for what LLDD and controllers do at the same time.

#![cfg_attr(not(test), no_std)]

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the users are the kernel module and the tests")
)]
#[path = "../../../drivers/nvme/host/fcgate/"]
mod plain {
    use sync::atomic;

    pub(crate) mod logic;
}

#[cfg(test)]
#[expect(dead_code, reason = "the tests of one thread use the rest")]
#[expect(clippy::duplicate_mod, reason = "the same files on other atomics")]
#[path = "../../../drivers/nvme/host/fcgate/"]
mod model {
    use sync::loom::atomic;

    pub(crate) mod logic;
}

#[cfg(test)]
mod c_order;
#[cfg(test)]
mod connectivity;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod private_size;
#[cfg(test)]
mod races;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod sequences;
#[cfg(test)]
mod states;
