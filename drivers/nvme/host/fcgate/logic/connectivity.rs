// SPDX-License-Identifier: GPL-2.0

//! Whether a remote port is there, and what a controller does that cannot reach it.

/// A time in jiffies. It wraps.
pub(crate) type Jiffies = u64;

/// Whether `time` is at `other` or after it, see `time_after_eq()`.
fn is_after_eq(time: Jiffies, other: Jiffies) -> bool {
    time.wrapping_sub(other) <= Jiffies::MAX / 2
}

/// The state of a remote port. There is no deadline without a loss, and no loss without one.
///
/// C counterpart: `port_state` together with `dev_loss_end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortState {
    /// It is registered.
    Online,
    /// It was unregistered.
    Lost {
        /// Until when controllers wait for it.
        deadline: Jiffies,
    },
}

impl PortState {
    /// A port that is unregistered now. Controllers wait for it for `dev_loss_tmo` seconds, which
    /// have `hz` jiffies each.
    pub(crate) fn lost(now: Jiffies, dev_loss_tmo: u32, hz: u32) -> Self {
        let wait = Jiffies::from(dev_loss_tmo) * Jiffies::from(hz);
        Self::Lost {
            deadline: now.wrapping_add(wait),
        }
    }

    /// What a controller does whose attempt to connect has failed, or that was reset, and that
    /// would try again after `delay` jiffies.
    ///
    /// C counterpart: the part of `nvme_fc_reconnect_or_delete()` that looks at the port.
    pub(crate) fn reconnect(self, now: Jiffies, delay: Jiffies) -> Reconnect {
        match self {
            Self::Online => Reconnect::Online,
            Self::Lost { deadline } if is_after_eq(now, deadline) => Reconnect::Expired,
            Self::Lost { deadline } => Reconnect::Retry(delay.min(deadline.wrapping_sub(now))),
        }
    }
}

/// What a controller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reconnect {
    /// The port is there: it tries again after its delay, as often as it may.
    Online,
    /// It tries again after so many jiffies, when the port may be there, or the time is over.
    Retry(Jiffies),
    /// The time is over: it is deleted.
    Expired,
}
