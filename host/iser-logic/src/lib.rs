// SPDX-License-Identifier: GPL-2.0

//! The logic of `ib_iser.ko`'s connections (`drivers/infiniband/ulp/iser/conn/logic`), compiled for
//! the host, and its tests.
//!
//! A connection changes its state under its mutex, one event after the other, so that what can
//! happen at the same time is an order of events. `world.rs` has what is around a connection: the
//! iSCSI transport class, the CM, the device, the work item. `explore.rs` goes through all orders.

#![cfg_attr(not(test), no_std)]

#[expect(dead_code, reason = "the users are the kernel module and the tests")]
#[path = "../../../drivers/infiniband/ulp/iser/conn/"]
mod plain {
    use sync::atomic;

    pub(crate) mod logic;
}

#[cfg(test)]
#[expect(dead_code, reason = "only what threads do at the same time is tested")]
#[expect(clippy::duplicate_mod, reason = "the same files on other atomics")]
#[path = "../../../drivers/infiniband/ulp/iser/conn/"]
mod model {
    use sync::loom::atomic;

    pub(crate) mod logic;
}

#[cfg(test)]
mod explore;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod receives;
#[cfg(test)]
mod table;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod world;
