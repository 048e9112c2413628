// SPDX-License-Identifier: GPL-2.0

//! How long a timer is set.

/// The longest delay of a timer in milliseconds.
///
/// The kernel takes a number of milliseconds above `i32::MAX` for "never" (`msecs_to_jiffies()`).
/// That is less than 25 days; time limits may be longer.
pub(crate) const MOST_MS: u32 = i32::MAX as u32;

/// How long to wait at `now` for the time `wake`, both in milliseconds.
///
/// When a wait of [`MOST_MS`] has ended, it may be too early: ask again then.
pub(crate) fn delay_ms(now: u64, wake: u64) -> u32 {
    wake.saturating_sub(now).min(MOST_MS.into()) as u32
}
