// SPDX-License-Identifier: GPL-2.0

//! Commands that were taken out of a task set.

use core::pin::Pin;

use kernel::prelude::*;

use super::{
    device::Device,
    task_set::TakenCommand,
    trace, //
};
use crate::{
    bindings,
    list::OwnedList,
    object::CObject,
    tmr_function::tcm_tmreq_table, //
};

/// Commands that were taken out of the task set of a logical unit, in the order in which that
/// happened.
///
/// # Invariants
///
/// Those on the list are commands of `device`.
#[pin_data]
pub(crate) struct TakenCommands<'a> {
    device: &'a Device,
    #[pin]
    list: OwnedList<TakenCommand>,
}

impl<'a> TakenCommands<'a> {
    /// Makes an empty list.
    pub(crate) fn new(device: &'a Device) -> impl PinInit<Self> + use<'a> {
        // INVARIANT: There are none.
        pin_init!(Self {
            device,
            list <- OwnedList::new(),
        })
    }

    /// Puts `command` at the end of the list. One of another logical unit is let go of, with a
    /// warning.
    #[inline]
    pub(crate) fn push_back(self: Pin<&mut Self>, command: TakenCommand) {
        let this = self.project();
        if kernel::warn_on!(!command.is_of(*this.device)) {
            return;
        }
        // INVARIANT: Just checked.
        this.list.push_back(command);
    }

    /// Takes the first off the list.
    #[inline]
    pub(crate) fn pop_front(self: Pin<&mut Self>) -> Option<TakenCommand> {
        self.project().list.pop_front()
    }

    /// Tells the backend that `function` has aborted them (`tmr_notify`), if it wants to know.
    ///
    /// To be called before the aborted commands are waited for, so that the backend may do
    /// something about it. May sleep.
    pub(crate) fn notify(&self, function: bindings::tcm_tmreq_table) {
        trace::notify(self.device, function, self.list.len());
        if let Some(notify) = self.device.tmr_notify() {
            let function = tcm_tmreq_table::new(function);
            // SAFETY: Device and list are valid until the call returns, and the backend changes
            // neither. By the type invariant the commands are the device's, so that what the
            // backend has left with them is its own.
            unsafe { notify(self.device.as_raw(), function, self.list.as_raw()) };
        }
    }
}
