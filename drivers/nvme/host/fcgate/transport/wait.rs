// SPDX-License-Identifier: GPL-2.0

//! Waiting for a callback that is being run, and jiffies.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        barrier, //
    },
    time::{
        msecs_to_jiffies,
        Msecs, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    logic::{
        connectivity::Jiffies,
        gate, //
    },
};

/// Longest time that an LLDD is kept waiting that registers a port again. A callback comes back at
/// once, unless it waits for the very thread that registers.
const LONGEST_MS: Msecs = 30_000;

/// What is left of the time that an LLDD is kept waiting.
pub(crate) struct Patience(c_long);

impl Patience {
    /// All of it.
    pub(crate) fn new() -> Self {
        // CAST: Far below the end of what is waited for without end.
        Self(msecs_to_jiffies(LONGEST_MS) as c_long)
    }

    /// Waits until the callback of the gate with this word is neither owed nor running. May sleep.
    /// `EBUSY`: it still is, and the time is over.
    pub(super) fn wait(&mut self, word: &Opaque<bindings::atomic_t>) -> Result {
        // SAFETY: The word is valid, and C changes and reads it as an atomic.
        self.0 = unsafe { bindings::wait_while(word.get(), gate::DELETING, self.0) };
        if self.0 > 0 {
            Ok(())
        } else {
            Err(EBUSY)
        }
    }
}

/// The gate with this word has changed: wakes who waits.
pub(super) fn wake(word: &Opaque<bindings::atomic_t>) {
    // Who waits sees the change, or is seen to wait.
    barrier::smp_mb(barrier::Full);
    // SAFETY: It is compared with the address that others wait for, no more.
    unsafe { bindings::wake_up_var(word.get().cast()) };
}

/// Now.
pub(crate) fn now() -> Jiffies {
    // SAFETY: It is always there, and with 64 bits written as one word.
    unsafe { Atomic::from_ptr(&raw mut bindings::jiffies_64) }.load(Relaxed)
}

/// Number of jiffies in a second.
pub(crate) fn jiffies_per_second() -> u32 {
    // Not the binding `HZ`, which is the first one of two definitions: that of user space.
    // CAST: It is 1000 at most.
    msecs_to_jiffies(1000) as u32
}
