// SPDX-License-Identifier: GPL-2.0

//! Messages that a remote initiator can cause.

#![deny(unsafe_code)]

use crate::ext::ratelimit::RateLimit;

/// How often one of them may be written, all together: an initiator cannot flood the log.
pub(crate) static RATE: RateLimit = RateLimit::default_rate();

/// Writes a message with the `pr_*` macro given, if the rate allows it.
macro_rules! ratelimited {
    ($pr:ident, $($arg:tt)+) => {
        if $crate::log::RATE.allows() {
            ::kernel::$pr!($($arg)+);
        }
    };
}
pub(crate) use ratelimited;
