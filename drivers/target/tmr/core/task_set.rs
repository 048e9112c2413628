// SPDX-License-Identifier: GPL-2.0

//! The task set of a logical unit: the commands that are in it, and those that were taken out of
//! it.

use core::{
    mem,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

use super::command::{
    Command,
    CommandRef,
    End, //
};
use crate::{
    bindings,
    list::{
        Entry,
        Linked,
        ListGuard, //
    },
    lock::{
        IrqSpinLock,
        IrqSpinLockGuard, //
    },
    object::{
        c_object,
        CObject, //
    },
};

c_object! {
    /// The commands that came in on one CPU (`struct se_device_queue`).
    // SAFETY: The core initialises all fields with the logical unit and frees them with it.
    pub(crate) unsafe struct Queue(bindings::se_device_queue) {
        fn lock: IrqSpinLock = lock;
        fn state_list: Opaque<bindings::list_head> = state_list;
        fn submission: Opaque<bindings::work_struct> = sq.work;
    }
}

impl Queue {
    /// Waits until the commands that are queued for submission now are in the task set.
    ///
    /// Never ends if called from the queue's own work item.
    pub(crate) fn flush_submission(&self) {
        // SAFETY: The work item is initialised and lives as long as the queue.
        unsafe { bindings::flush_work(self.submission().get()) };
    }

    /// Tells whether `work` is the work item in which the queue's commands are submitted.
    pub(super) fn is_submitted_by(&self, work: *mut bindings::work_struct) -> bool {
        self.submission().get() == work
    }

    /// Keeps the commands of the task set that came in on this CPU from leaving it.
    pub(crate) fn lock_tasks(&self) -> Tasks<'_> {
        let guard = self.lock().lock();
        let head = NonNull::from_ref(self.state_list()).cast();
        // SAFETY: The lock protects the list, which the core has initialised and on which commands
        // are linked by `state_list`. Before it releases a command the core takes it off the list.
        Tasks(unsafe { ListGuard::new(head, guard) })
    }
}

/// Where the link of a command's state list is.
const STATE_LIST: usize = mem::offset_of!(bindings::se_cmd, state_list);

/// The commands of a [`Queue`], whose lock is held.
pub(crate) struct Tasks<'a>(ListGuard<'a, Command, STATE_LIST, IrqSpinLockGuard<'a>>);

impl<'a> Tasks<'a> {
    /// Goes through the commands in the order in which they came in.
    pub(crate) fn iter(&mut self) -> impl Iterator<Item = Task<'_>> + use<'_, 'a> {
        self.0.entries().map(Task)
    }
}

/// A command that is in the task set.
pub(crate) struct Task<'g>(Entry<'g, Command, STATE_LIST>);

impl Task<'_> {
    /// Takes the command out of the task set, unless it is being released and about to leave.
    pub(crate) fn take(self) -> Option<TakenCommand> {
        let held = self.hold()?;
        // SAFETY: The command is valid. The bit field is changed under the lock of the command's
        // queue alone, which is held: the command is on the list.
        unsafe { bindings::se_cmd::set_state_active_raw(self.as_raw(), false) };
        self.0.remove();
        // INVARIANT: It has been on the list until now, and is not put there again.
        Some(TakenCommand(held))
    }
}

impl Deref for Task<'_> {
    type Target = Command;

    fn deref(&self) -> &Command {
        &self.0
    }
}

/// Microseconds between two looks at a command, at first and at last.
const SHORTEST_PAUSE_US: i64 = 50;
const LONGEST_PAUSE_US: i64 = 10_000;

/// A command that was taken out of the task set because it is aborted, or waited for.
///
/// # Invariants
///
/// The command's `state_active` is false, so that the core leaves its `state_list` alone. The core
/// puts a command into the task set once, so there is no other `TakenCommand` of it.
#[must_use = "an aborted command must be waited for"]
pub(crate) struct TakenCommand(CommandRef);

impl TakenCommand {
    /// Waits until the command is gone, or until there is nothing left for backend and core to do.
    ///
    /// Sleeps until the backend has completed the command, however long that takes. If its
    /// initiator gets an answer, TASK ABORTED, the fabric may keep the command until that is
    /// acknowledged, and an initiator that has fallen silent never does. Nothing tells then when
    /// the core is done.
    pub(crate) fn wait(self) {
        if self.may_be_kept() {
            let mut pause = SHORTEST_PAUSE_US;
            let end = loop {
                match self.end() {
                    Some(end) => break end,
                    None => fsleep(Delta::from_micros(pause)),
                }
                pause = (2 * pause).min(LONGEST_PAUSE_US);
            };
            if let End::Through = end {
                return;
            }
            // The shutdown gives all references back by itself once the backend is done.
        }
        self.wait_for_release();
    }

    /// Gives the reference back and waits until the fabric has released the command.
    fn wait_for_release(self) {
        let command = self.0.into_raw().cast().as_ptr();
        // SAFETY: The count that we own keeps the command valid and passes to the function, which
        // gives it back. There can be one waiter, and by the type invariant there is no other.
        unsafe { bindings::target_put_cmd_and_wait(command) }
    }
}

impl Deref for TakenCommand {
    type Target = Command;

    fn deref(&self) -> &Command {
        &self.0
    }
}

// SAFETY: By the type invariant nobody else uses the command's `state_list`, and the count of the
// reference keeps the command valid.
unsafe impl Linked for TakenCommand {
    type Entry = Command;

    const OFFSET: usize = STATE_LIST;

    fn into_raw(self) -> NonNull<Command> {
        self.0.into_raw()
    }

    unsafe fn from_raw(command: NonNull<Command>) -> Self {
        // SAFETY: The count is that of `into_raw()`, by the contract of this function.
        Self(unsafe { CommandRef::from_raw(command) })
    }
}
