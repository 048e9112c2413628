// SPDX-License-Identifier: GPL-2.0

//! Messages that a remote initiator can cause.

use crate::bindings;

/// Tells whether a message may be written now.
///
/// All messages of this kind together are limited to the kernel's default rate, so that an
/// initiator cannot flood the log.
pub(crate) fn allowed() -> bool {
    // SAFETY: May be called from every context.
    unsafe { bindings::lio_tmr_ratelimit() }
}

/// Writes a message with the `pr_*` macro given, if the rate allows it.
macro_rules! ratelimited {
    ($pr:ident, $($arg:tt)+) => {
        if $crate::log::allowed() {
            ::kernel::$pr!($($arg)+);
        }
    };
}
pub(crate) use ratelimited;
