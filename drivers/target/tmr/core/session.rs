// SPDX-License-Identifier: GPL-2.0

//! Sessions and the fabrics they belong to.

use core::ptr;

use kernel::{
    prelude::*,
    str::CStrExt,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

use crate::{
    bindings,
    lock::SpinLock,
    object::{
        c_object,
        Constant, //
    },
};

c_object! {
    /// The I_T nexus of a fabric (`struct se_session`).
    // SAFETY: A session has its lock, and its ACL unless it has none, before it has a command. It
    // keeps both as long as it has one, and what task management knows are sessions of commands.
    pub(crate) unsafe struct Session(bindings::se_session) {
        /// Orders aborts of the session's commands. Taken with interrupts off.
        pub(super) fn command_lock: SpinLock = sess_cmd_lock;
        /// To be compared only.
        pub(super) fn acl: Constant<*mut bindings::se_node_acl> = se_node_acl;
    }
}

impl Session {
    /// Tells whether `other` is this very session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }
}

/// Asks a fabric for the initiator session identifier of a session, as text; returns its length.
pub(super) type GetIsid = unsafe extern "C" fn(*mut bindings::se_session, *mut u8, u32) -> u32;

c_object! {
    /// The operations of a fabric (`struct target_core_fabric_ops`).
    // SAFETY: They are constants of a module that stays as long as it has commands.
    pub(super) unsafe struct FabricOps(bindings::target_core_fabric_ops) {
        fn name_ptr: Constant<*const c_char> = fabric_name;
        pub(super) fn get_isid: Constant<Option<GetIsid>> = sess_get_initiator_sid;
        /// Null if there is none.
        fn aborted_task: Atomic<usize> = aborted_task;
    }
}

impl FabricOps {
    /// The fabric's name, for messages.
    pub(super) fn name(&self) -> &CStr {
        // SAFETY: Every fabric has a name, a constant C string of its own.
        unsafe { CStr::from_char_ptr(self.name_ptr().get()) }
    }

    /// Whether commands of the fabric can be aborted.
    ///
    /// All fabrics that register with the core have `aborted_task`. The operations with which
    /// EXTENDED COPY sends its own READs and WRITEs have not, and their commands are on the stack
    /// of the thread that waits for them, which takes no notice of references.
    pub(super) fn can_abort(&self) -> bool {
        self.aborted_task().load(Relaxed) != 0
    }
}
