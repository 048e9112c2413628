// SPDX-License-Identifier: GPL-2.0

//! The logic of `rpcrdma.ko`'s Send contexts (`net/sunrpc/xprtrdma/sendctx/logic`), compiled for
//! the host, and its tests.
//!
//! The same files twice: `plain` for what one thread does, in any order of operations, and `model`
//! on loom, for what the two ends of the ring do at the same time. Kani is not available to this
//! project; what it would prove is gone through in full instead (`positions.rs`, `policy.rs`,
//! `liveness.rs`), which takes small rings and batches, but then no bound on the number of steps.
//!
//! What loom does not model: a load that is executed after a store that follows it. The logic has
//! no order that rests on it alone; each has a data race on a context in its absence, which loom
//! finds by the accesses' causality and not by their values.

#![cfg_attr(not(test), no_std)]

#[expect(dead_code, reason = "the users are the kernel module and the tests")]
#[path = "../../../net/sunrpc/xprtrdma/sendctx/"]
mod plain {
    use sync::{atomic, barrier};

    pub(crate) mod logic;
}

#[cfg(test)]
#[expect(dead_code, reason = "the tests of one thread use the rest")]
#[expect(clippy::duplicate_mod, reason = "the same files on other atomics")]
#[path = "../../../net/sunrpc/xprtrdma/sendctx/"]
mod model {
    use sync::loom::{atomic, barrier};

    pub(crate) mod logic;
}

#[cfg(test)]
mod c_order;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod liveness;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod positions;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod races;
#[cfg(test)]
mod reference;
