// SPDX-License-Identifier: GPL-2.0

//! Commands of the core as task management sees them.

use core::{
    mem,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    str::CStrExt,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

use super::{
    session::{
        FabricOps,
        Session, //
    },
    trace, //
};
use crate::{
    bindings,
    lock::{
        IrqSpinLock,
        SpinLock, //
    },
    logic::{
        self,
        Found,
        Isid,
        Kind,
        ISID_LEN, //
    },
    object::{
        c_object,
        CObject,
        Constant, //
    },
};

const _: () = {
    assert!(logic::ABORTED == bindings::CMD_T_ABORTED);
    assert!(logic::COMPLETE == bindings::CMD_T_COMPLETE);
    assert!(logic::SENT == bindings::CMD_T_SENT);
    assert!(logic::ANSWER_ABORTED == bindings::CMD_T_TAS);
    assert!(logic::FABRIC_STOP == bindings::CMD_T_FABRIC_STOP);
    assert!(logic::ISID_LEN == bindings::PR_REG_ISID_LEN as usize);
};

/// What [`Command::abort()`] has come to.
#[derive(Clone, Copy)]
pub(crate) enum Abort {
    /// The command is aborted. `sent`: it had been sent to the backend.
    Marked { sent: bool },
    /// It is complete, and the core is about to release it.
    Ending,
    /// Nothing.
    TooLate,
}

c_object! {
    /// A command of the core (`struct se_cmd`): a SCSI command or a task management request.
    // SAFETY: `__target_init_cmd()` sets session, fabric and lock, `target_cmd_init_cdb()` the CDB,
    // `transport_lookup_*_lun()` the logical unit, and the fabric the tag, all before the command
    // is on a list of a logical unit or is carried by a request that is; they stay until it is
    // released. A session lives as long as it has commands that are counted, a fabric as long as it
    // has sessions. A CDB has at least six bytes and belongs to the command. The core writes into
    // it only while it parses it, before the command is on a list.
    pub(crate) unsafe struct Command(bindings::se_cmd) {
        fn flags: Atomic<u32> = se_cmd_flags;
        fn tag_field: Constant<u64> = tag;
        /// COMPARE AND WRITE takes another one when it goes on to write.
        fn execute_cmd: Atomic<usize> = execute_cmd;
        /// To be compared only: the logical unit may be gone once the command is through.
        fn device: Constant<*mut bindings::se_device> = se_dev;
        /// Null once the core has done all that it has to do with the command but let go of it.
        fn lun: Atomic<*mut bindings::se_lun> = se_lun;
        fn cdb: Constant<Option<&'a [u8; 2]>> = t_task_cdb;
        fn fabric: Constant<Option<&'a FabricOps>> = se_tfo;
        fn session_field: Constant<Option<&'a Session>> = se_sess;
        /// Protects the transport state. Taken with interrupts off.
        fn state_lock: SpinLock = t_state_lock;
        /// The same, taken with interrupts on.
        fn state_lock_irq: IrqSpinLock = t_state_lock;
        /// C reads it without the lock, too.
        fn transport_state: Atomic<u32> = transport_state;
        fn references: Opaque<bindings::kref> = cmd_kref;
    }
}

impl Command {
    /// The task tag that the initiator gave (SAM-5 4.10).
    pub(crate) fn tag(&self) -> u64 {
        self.tag_field().get()
    }

    /// What the command is to task management. `passed_through` says that its logical unit hands
    /// PERSISTENT RESERVE OUT through to what is below the backend.
    pub(super) fn kind(&self, passed_through: bool) -> Kind {
        let emulate_pr_out = bindings::target_scsi3_emulate_pr_out as *const () as usize;
        let emulated = !passed_through && self.execute_cmd().load(Relaxed) == emulate_pr_out;
        let cdb = self.cdb().get().copied().unwrap_or([0; 2]);
        Kind::of(self.is_request(), emulated, cdb)
    }

    /// Whether the command is one of the logical unit `device`.
    #[inline]
    pub(super) fn is_of(&self, device: &impl CObject<C = bindings::se_device>) -> bool {
        self.device().get() == device.as_raw()
    }

    /// Whether the command carries a task management request.
    pub(crate) fn is_request(&self) -> bool {
        self.flag(bindings::se_cmd_flags_table_SCF_SCSI_TMR_CDB)
    }

    fn flag(&self, flag: u32) -> bool {
        self.flags().load(Relaxed) & flag != 0
    }

    /// The session, `None` only if the fabric broke the rule that every command has one.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.session_field().get()
    }

    /// The name of the fabric that the command came over.
    pub(crate) fn fabric_name(&self) -> &CStr {
        self.fabric().get().map_or(c"?", FabricOps::name)
    }

    /// The initiator session identifier of the command's session, empty if its fabric has none.
    pub(super) fn isid(&self) -> Isid {
        let mut isid = [0; ISID_LEN];
        let get = self.fabric().get().and_then(|ops| ops.get_isid().get());
        if let (Some(get), Some(session)) = (get, self.session()) {
            // SAFETY: The session is one of this fabric's and has a command, so it is whole. The
            // function writes at most so many bytes and may be called in any context, as the core
            // does where it looks for a registration.
            unsafe { get(session.as_raw(), isid.as_mut_ptr(), ISID_LEN as u32) };
        }
        isid
    }

    /// Whether task management may touch the command. The core's own, which no initiator sent, it
    /// must not.
    fn can_abort(&self) -> bool {
        self.fabric().get().is_some_and(FabricOps::can_abort)
    }

    /// Tells whether the command is aborted.
    pub(crate) fn is_aborted(&self) -> bool {
        self.transport_state().load(Relaxed) & logic::ABORTED != 0
    }

    /// Marks the command as aborted (C: `__target_check_io_state()` without its reference), unless
    /// it is too late.
    ///
    /// `device` is the command's. From then on no path of the core lets the command succeed.
    /// `answer` is as in [`logic::find()`]. The caller holds the lock of the list that the command
    /// or its request is on: interrupts are off.
    #[inline]
    pub(crate) fn abort(
        &self,
        device: &impl CObject<C = bindings::se_device>,
        answer: bool,
    ) -> Abort {
        let (Some(session), true) = (self.session(), self.can_abort()) else {
            return Abort::TooLate;
        };
        let _order = session.command_lock().lock();
        let _state = self.state_lock().lock();
        let state = self.transport_state().load(Relaxed);
        match logic::find(state, answer, self.is_acknowledged()) {
            Found::Abortable { state, sent } => {
                self.transport_state().store(state, Relaxed);
                trace::abort(device, self);
                Abort::Marked { sent }
            }
            Found::Ending => Abort::Ending,
            Found::TooLate => Abort::TooLate,
        }
    }

    /// Whether the command has been sent to the backend.
    pub(crate) fn is_sent(&self) -> bool {
        self.transport_state().load(Relaxed) & logic::SENT != 0
    }

    /// Whether the fabric keeps the command until its initiator has acknowledged the status.
    fn is_acknowledged(&self) -> bool {
        self.flag(bindings::se_cmd_flags_table_SCF_ACK_KREF)
    }

    /// Whether the command may be kept by its initiator: it gets an answer, which the fabric wants
    /// to be acknowledged.
    pub(super) fn may_be_kept(&self) -> bool {
        self.transport_state().load(Relaxed) & logic::ANSWER_ABORTED != 0 && self.is_acknowledged()
    }

    /// Whether the core has done with the command: it has left the logical unit, and what its
    /// initiator is answered has been given to the fabric. Or whether the shutdown of its session
    /// has taken it off the logical unit and now waits for the backend.
    pub(super) fn end(&self) -> Option<End> {
        if !self.lun().load(Relaxed).is_null() {
            return None;
        }
        // The shutdown sets the bit under this lock and then lets go of the logical unit.
        let _state = self.state_lock_irq().lock();
        if self.transport_state().load(Relaxed) & logic::FABRIC_STOP != 0 {
            Some(End::Shutdown)
        } else {
            Some(End::Through)
        }
    }

    /// Takes a reference, unless the last one is already gone or the command is one of the core's
    /// own, which takes no notice of references.
    pub(super) fn hold(&self) -> Option<CommandRef> {
        // SAFETY: The reference count is part of a valid command.
        let held =
            self.can_abort() && unsafe { bindings::kref_get_unless_zero(self.references().get()) };
        // INVARIANT: The count is the one that was taken.
        held.then(|| CommandRef(NonNull::from_ref(self)))
    }

    /// Writes the command's state to the debug log.
    pub(crate) fn show(&self) {
        // SAFETY: The command is valid, and so is the constant prefix.
        unsafe { bindings::target_show_cmd(c"LUN_RESET: ".as_char_ptr(), self.as_raw()) }
    }
}

/// How a command has left its logical unit.
pub(super) enum End {
    /// Backend and core are done with it.
    Through,
    /// Its session is being shut down; the backend may still have it.
    Shutdown,
}

/// A reference to a command.
///
/// Not an `ARef`: from a `&Command` alone a reference cannot always be had, see
/// [`Command::hold()`].
///
/// # Invariants
///
/// Owns one count of the command's `cmd_kref`, which keeps the command valid.
pub(super) struct CommandRef(NonNull<Command>);

impl CommandRef {
    /// Gives the count away.
    pub(super) fn into_raw(self) -> NonNull<Command> {
        let command = self.0;
        mem::forget(self);
        command
    }

    /// Takes a count over.
    ///
    /// # Safety
    ///
    /// The caller must own a count of the command and give it away.
    pub(super) unsafe fn from_raw(command: NonNull<Command>) -> Self {
        // INVARIANT: By the contract of this function.
        Self(command)
    }
}

impl Deref for CommandRef {
    type Target = Command;

    fn deref(&self) -> &Command {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for CommandRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant we own a count and may give it back.
        unsafe { bindings::target_put_sess_cmd(self.as_raw()) };
    }
}
