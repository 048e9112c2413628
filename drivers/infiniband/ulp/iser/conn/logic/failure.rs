// SPDX-License-Identifier: GPL-2.0

//! Telling iSCSI that a connection has failed, once (D6).
//!
//! Completions find it out as well as the CM, in interrupts and without the connection's mutex.

use super::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    state::Link,
};

/// Whether a completion that says that the connection does not work is news to iSCSI: it is up. One
/// that is being ended does not work, and iSCSI knows, or is told by who ends it.
pub(crate) fn is_news(link: Link) -> bool {
    link == Link::Up
}

/// Nobody has told yet.
const UNTOLD: u32 = 0;

/// Somebody has.
const TOLD: u32 = 1;

/// Whether iSCSI was told that the connection has failed.
pub(crate) struct Failure(Atomic<u32>);

impl Failure {
    /// A connection of which iSCSI was told nothing.
    pub(crate) fn new() -> Self {
        Self(Atomic::new(UNTOLD))
    }

    /// Whether the caller is the first one, who tells. Any context.
    pub(crate) fn is_first(&self) -> bool {
        // Nothing else is read by the answer.
        self.0.xchg(TOLD, Relaxed) == UNTOLD
    }
}
