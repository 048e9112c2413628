// SPDX-License-Identifier: GPL-2.0

//! Persistent reservations: the registrations of nexuses.

use core::{
    mem,
    ptr::NonNull, //
};

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

use super::command::Command;
use crate::{
    bindings,
    list::ListGuard,
    logic::{
        self,
        Isid, //
    },
    object::{
        c_object,
        CObject,
        Constant, //
    },
};

c_object! {
    /// The registration of a nexus (`struct t10_pr_registration`).
    // SAFETY: Set when the registration is made, and not changed until it is freed.
    pub(crate) unsafe struct Registration(bindings::t10_pr_registration) {
        /// Initiator port and target port group, to be compared only: they may be gone.
        fn acl: Constant<*mut bindings::se_node_acl> = pr_reg_nacl;
        fn has_isid: Constant<bool> = isid_present_at_reg;
        fn isid_field: Constant<Isid> = pr_reg_isid;
        /// How many use it who do not hold a lock.
        fn users: Atomic<i32> = pr_res_holders;
    }
}

impl Registration {
    /// The initiator session identifier, if the fabric has such.
    fn isid(&self) -> Option<Isid> {
        self.has_isid().get().then(|| self.isid_field().get())
    }

    /// Whether it is that of the nexus from which `command` came.
    fn is_of(&self, command: &Command) -> bool {
        let same_acl = command
            .session()
            .is_some_and(|session| session.acl().get() == self.acl().get());
        logic::registers(same_acl, self.isid().as_ref(), || command.isid())
    }
}

/// Where the link of the list of removed registrations is.
const ABORT_LIST: usize = mem::offset_of!(bindings::t10_pr_registration, pr_reg_abort_list);

/// Registrations that a PREEMPT AND ABORT removed. The one of the nexus that sent it is not among
/// them.
pub(crate) struct Registrations<'a>(ListGuard<'a, Registration, ABORT_LIST>);

impl Registrations<'_> {
    /// Takes the list of a PREEMPT AND ABORT over (`preempt_and_abort_list`).
    ///
    /// If the core has put the registration of the preempting nexus itself on the list, which it
    /// does last, it is taken off. That one is not preempted: it is still registered, and used by
    /// the command. So the next PREEMPT AND ABORT of the nexus puts it on a list of its own while
    /// this one sleeps. No lock: who removes a registration waits with the lock of the reservations
    /// held until nobody uses it, and this command does.
    ///
    /// # Safety
    ///
    /// `head` must be the list of a PREEMPT AND ABORT that runs, is not changed, and holds its
    /// reference to its own registration, as long as the result is there.
    pub(super) unsafe fn from_raw(head: NonNull<bindings::list_head>) -> Self {
        let first = head.as_ptr();
        // SAFETY: By the contract of this function the list is initialised, and only its last
        // registration may be known to others. Who else links that one into another list
        // writes its links and does not care for what they were: they are neither followed nor
        // written. From the head on, each `next` but that of the last entry leads to the next
        // entry.
        unsafe {
            let last = (*first).prev;
            let registration = last.wrapping_byte_sub(ABORT_LIST).cast();
            // Nobody uses one that was removed.
            if last != first && Registration::from_raw(registration).users().load(Relaxed) != 0 {
                let mut before = first;
                while (*before).next != last {
                    before = (*before).next;
                }
                (*before).next = first;
                (*first).prev = before;
            }
            Self(ListGuard::new(head, ()))
        }
    }

    /// Whether one of them is that of the nexus from which `command` came.
    #[inline(never)]
    pub(crate) fn contain(&self, command: &Command) -> bool {
        self.0
            .iter()
            .any(|registration| registration.is_of(command))
    }
}
