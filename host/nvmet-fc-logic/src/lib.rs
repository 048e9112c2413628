// SPDX-License-Identifier: GPL-2.0

//! The logic of `nvmet-fc.ko`'s target queues (`drivers/nvme/target/fcq/logic`), compiled for the
//! host, and its tests.
//!
//! The same files twice: `plain` for what one thread does, in any order of operations, and `model`
//! for what several do at the same time, under a lock of loom's.

#![cfg_attr(not(test), no_std)]

#[cfg(not(test))]
#[expect(dead_code, reason = "the users are the kernel module and the tests")]
#[path = "../../../drivers/nvme/target/fcq/logic/mod.rs"]
mod logic;

#[cfg(test)]
#[expect(dead_code, reason = "the tests of several threads use the rest")]
#[path = "."]
mod plain {
    #[path = "../../../drivers/nvme/target/fcq/logic/mod.rs"]
    pub(crate) mod logic;
    #[path = "primitives/standard.rs"]
    pub(crate) mod primitives;
    pub(crate) mod rig;
}

#[cfg(test)]
#[expect(dead_code, reason = "the tests of one thread use the rest")]
#[expect(clippy::duplicate_mod, reason = "the same files on other primitives")]
#[path = "."]
mod model {
    #[path = "../../../drivers/nvme/target/fcq/logic/mod.rs"]
    pub(crate) mod logic;
    #[path = "primitives/loom.rs"]
    pub(crate) mod primitives;
    pub(crate) mod rig;
}

#[cfg(test)]
mod c_rules;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod races;
#[cfg(test)]
mod random;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod states;
