// SPDX-License-Identifier: GPL-2.0

//! A device with its lock held.

use super::super::logic::delay_ms;
use super::{
    Enabled,
    Phase,
    State,
    Tcmu, //
};
use crate::{
    ext::memalloc::NoIoScope,
    target::device::Device, //
};
use kernel::sync::MutexGuard;

/// A device with its lock held. [`Locked::finish`] does what follows an access.
pub(super) struct Locked<'a> {
    pub(super) device: &'a Device<Tcmu>,
    /// The time in milliseconds.
    pub(super) now: u64,
    pub(super) guard: MutexGuard<'a, State>,
    /// No reclaim may write to a disk that this device itself serves.
    pub(super) _noio: NoIoScope,
}

impl Locked<'_> {
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
        // In a batch this thread looks again at the end.
        if active.engine.wants_notify() && !device.in_batch() {
            active.engine.set_notified();
            notifier.notify();
        }
        if let Some(deadline) = active.engine.next_deadline() {
            if armed.is_none_or(|armed| deadline < armed) {
                // `delay_ms` may be shorter than that: the timer is then set again.
                *armed = Some(deadline);
                timer.modify(delay_ms(now, deadline));
            }
        }
    }
}
