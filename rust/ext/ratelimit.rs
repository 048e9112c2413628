// SPDX-License-Identifier: GPL-2.0

//! How often a message may be written.
//!
//! C has `struct ratelimit_state`, whose initialiser is a macro; this one can be a static.

use super::bindings;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// At most so many messages in each interval.
pub struct RateLimit {
    interval_ms: u64,
    burst: u64,
    /// When the interval began, in milliseconds, and in the lower bits how many messages there
    /// were.
    window: Atomic<u64>,
}

/// Bits of `window` that count.
const COUNT_BITS: u32 = 8;

impl RateLimit {
    /// At most `burst` messages, up to 255, in `interval_ms` milliseconds.
    pub const fn new(interval_ms: u32, burst: u8) -> Self {
        Self {
            interval_ms: interval_ms as u64,
            burst: burst as u64,
            window: Atomic::new(0),
        }
    }

    /// The kernel's default rate: ten in five seconds.
    pub const fn default_rate() -> Self {
        Self::new(5_000, 10)
    }

    /// Whether a message may be written now. May be called in any context.
    pub fn allows(&self) -> bool {
        // SAFETY: May be called in any context.
        let since_boot = unsafe { bindings::ktime_get() } / 1_000_000;
        // The first interval begins with the first message.
        let now = u64::try_from(since_boot).unwrap_or(0) + 1;
        let mut old = self.window.load(Relaxed);
        loop {
            let (begin, count) = (old >> COUNT_BITS, old & ((1 << COUNT_BITS) - 1));
            let new = if begin == 0 || now >= begin + self.interval_ms {
                now << COUNT_BITS | 1
            } else if count < self.burst {
                old + 1
            } else {
                return false;
            };
            match self.window.cmpxchg(old, new, Relaxed) {
                Ok(_) => return true,
                Err(current) => old = current,
            }
        }
    }
}
