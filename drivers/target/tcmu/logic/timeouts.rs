// SPDX-License-Identifier: GPL-2.0

//! Time limits of commands. All times are milliseconds of the device's own clock.

/// Time limit of a command on the ring, and of one in the qfull queue if neither limit is set.
pub(crate) const DEFAULT_TIMEOUT_MS: u32 = 30_000;

/// The longest delay of a timer in milliseconds.
///
/// The kernel takes a number of milliseconds above `i32::MAX` for "never" (`msecs_to_jiffies()`).
/// That is less than 25 days; time limits may be longer.
pub(crate) const MOST_MS: u32 = i32::MAX as u32;

/// How long a command may wait in the qfull queue (attribute `qfull_time_out`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QfullTimeout {
    /// As long as a command may be on the ring (-1).
    AsCommand,
    /// Not at all (0).
    Never,
    /// So many milliseconds.
    Ms(u32),
}

/// The time limits of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Of a command on the ring (attribute `cmd_time_out`); 0 is none.
    pub(crate) command_ms: u32,
    /// Of a command in the qfull queue.
    pub(crate) qfull: QfullTimeout,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command_ms: DEFAULT_TIMEOUT_MS,
            qfull: QfullTimeout::AsCommand,
        }
    }
}

/// The time, and the limits that count from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    /// The time.
    pub(crate) now: u64,
    /// The limits.
    pub(crate) timeouts: Timeouts,
}

impl Clock {
    /// A deadline `ms` milliseconds from now, at a full second: many share one wake-up.
    fn deadline(&self, ms: u32) -> Deadline {
        Deadline((self.now + u64::from(ms)).next_multiple_of(1000))
    }

    /// Deadline of a command that gets onto the ring now.
    pub(crate) fn command_deadline(&self) -> Deadline {
        match self.timeouts.command_ms {
            0 => Deadline::NEVER,
            ms => self.deadline(ms),
        }
    }

    /// Deadline of a command that enters the qfull queue now; `None` if it may not wait.
    pub(crate) fn qfull_deadline(&self) -> Option<Deadline> {
        let ms = match (self.timeouts.qfull, self.timeouts.command_ms) {
            (QfullTimeout::Never, _) => return None,
            (QfullTimeout::Ms(ms), _) => ms,
            (QfullTimeout::AsCommand, 0) => DEFAULT_TIMEOUT_MS,
            (QfullTimeout::AsCommand, ms) => ms,
        };
        Some(self.deadline(ms))
    }

    /// Whether a deadline is over.
    pub(crate) fn is_over(&self, deadline: Deadline) -> bool {
        deadline.0 <= self.now
    }
}

/// A point in time, or never, in eight bytes. Never is later than any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// No time is that late.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The time, if there is one.
    pub(crate) fn get(self) -> Option<u64> {
        (self != Self::NEVER).then_some(self.0)
    }
}

/// How long to wait at `now` for `deadline`.
///
/// When a wait of [`MOST_MS`] has ended, it may be too early: ask again then.
pub(crate) fn delay_ms(now: u64, deadline: u64) -> u32 {
    deadline.saturating_sub(now).min(MOST_MS.into()) as u32
}
