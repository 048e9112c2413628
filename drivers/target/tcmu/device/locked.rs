// SPDX-License-Identifier: GPL-2.0

//! A device with its lock held.

use super::super::logic::delay_ms;
use super::{
    Enabled,
    Phase,
    QfullTimeout,
    State,
    Tcmu,
    DEFAULT_TIMEOUT_MS, //
};
use crate::{
    ext::memalloc::NoIoScope,
    target::backend::Device, //
};
use kernel::sync::MutexGuard;

/// A device with its lock held, and what follows when it is released.
pub(super) struct Locked<'a> {
    pub(super) device: &'a Device<Tcmu>,
    /// The time in ticks.
    pub(super) now: u64,
    pub(super) guard: MutexGuard<'a, State>,
    /// No reclaim may write to a disk that this device itself serves.
    pub(super) _noio: NoIoScope,
}

impl Locked<'_> {
    /// A deadline `ms` milliseconds from now, at a full second: many share one wake-up.
    fn deadline(&self, ms: u32) -> u64 {
        (self.now + u64::from(ms)).next_multiple_of(1000)
    }

    /// Deadline of a command that gets onto the ring now.
    pub(super) fn command_deadline(&self) -> Option<u64> {
        match self.guard.settings.command_timeout_ms {
            0 => None,
            ms => Some(self.deadline(ms)),
        }
    }

    /// Deadline of a command that begins to wait now.
    pub(super) fn waiting_deadline(&self) -> Option<u64> {
        let settings = &self.guard.settings;
        let ms = match settings.qfull_timeout {
            QfullTimeout::Never => return None,
            QfullTimeout::Ms(ms) => ms,
            QfullTimeout::AsCommand if settings.command_timeout_ms > 0 => {
                settings.command_timeout_ms
            }
            QfullTimeout::AsCommand => DEFAULT_TIMEOUT_MS,
        };
        Some(self.deadline(ms))
    }

    /// Ends the access: wakes user space, sets the timer, releases the lock.
    ///
    /// Nothing touches the device after the lock is released: from then on user space can complete
    /// the command that kept the device.
    pub(super) fn finish(mut self) {
        let now = self.now;
        let device = self.device;
        let state = &mut *self.guard;
        let (Phase::Enabled(enabled), Some(active)) = (&mut state.phase, &mut state.active) else {
            return;
        };
        let Enabled {
            notifier,
            timer,
            armed,
            ..
        } = enabled;
        // The end of the batch, in this very thread, finds the wish.
        if active.memory.wants_notify() && !device.in_batch() {
            active.memory.set_notified();
            notifier.notify();
        }
        if let Some(wake) = active.engine.wake() {
            if armed.is_none_or(|armed| wake < armed) {
                // The work may run before that, and sets the timer again then.
                *armed = Some(wake);
                timer.modify(delay_ms(now, wake));
            }
        }
    }
}
