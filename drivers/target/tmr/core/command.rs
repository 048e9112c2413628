// SPDX-License-Identifier: GPL-2.0

//! Commands of the core and the sessions they belong to, as task management sees them.

use core::{
    cell::Cell,
    mem,
    ptr, //
};

use kernel::{
    prelude::*,
    str::CStrExt,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    core::device::{
        Device,
        Registration, //
    },
    core::request::TmrRequest,
    core::trace, //
    list::List,
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
        CObject, //
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

c_object! {
    /// The I_T nexus of a fabric (`struct se_session`).
    pub(crate) struct Session(bindings::se_session) {
        /// Orders aborts of the session's commands.
        fn command_lock: SpinLock = sess_cmd_lock;
        fn acl: Cell<*mut bindings::se_node_acl> = se_node_acl;
    }
}

impl Session {
    /// Tells whether `other` is this very session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

/// Asks a fabric for the initiator session identifier of a session, as text; returns its length.
type GetIsid = unsafe extern "C" fn(*mut bindings::se_session, *mut u8, u32) -> u32;

c_object! {
    /// The operations of a fabric (`struct target_core_fabric_ops`), constant.
    pub(crate) struct FabricOps(bindings::target_core_fabric_ops) {
        fn name_ptr: Cell<*const c_char> = fabric_name;
        fn get_isid: Cell<Option<GetIsid>> = sess_get_initiator_sid;
        fn aborted_task: Cell<Option<unsafe extern "C" fn(*mut bindings::se_cmd)>> = aborted_task;
    }
}

impl FabricOps {
    /// The fabric's name, for messages.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: Every fabric module registers itself with a name, a constant C string of its
        // own, and stays loaded as long as it has commands.
        unsafe { CStr::from_char_ptr(self.name_ptr().get()) }
    }

    /// The initiator session identifier of `session`, empty if the fabric has none.
    fn isid(&self, session: &Session) -> Isid {
        let mut isid = [0; ISID_LEN];
        if let Some(get) = self.get_isid().get() {
            // SAFETY: The session is one of this fabric's and has a command, so it is whole. The
            // function writes at most so many bytes and may be called in any context, as the core
            // does where it looks for a registration.
            unsafe { get(session.as_raw(), isid.as_mut_ptr(), ISID_LEN as u32) };
        }
        isid
    }

    /// Whether commands of the fabric can be aborted.
    ///
    /// All fabrics that register with the core have `aborted_task`. The operations with which
    /// EXTENDED COPY sends its own READs and WRITEs have not, and their commands are on the stack of
    /// the thread that waits for them, which takes no notice of references.
    fn can_abort(&self) -> bool {
        self.aborted_task().get().is_some()
    }
}

/// How the core executes a command (`execute_cmd` of `struct se_cmd`).
type ExecuteCmd = unsafe extern "C" fn(*mut bindings::se_cmd) -> bindings::sense_reason_t;

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
    pub(crate) struct Command(bindings::se_cmd) {
        fn flags: Atomic<u32> = se_cmd_flags;
        fn tag_field: Cell<u64> = tag;
        fn execute_cmd: Cell<Option<ExecuteCmd>> = execute_cmd;
        fn device: Cell<Option<&'a Device>> = se_dev;
        /// Null once the core has done all that it has to do with the command but let go of it.
        fn lun: Atomic<usize> = se_lun;
        fn cdb: Cell<Option<&'a [u8; 2]>> = t_task_cdb;
        fn fabric_ops: Cell<Option<&'a FabricOps>> = se_tfo;
        fn session_field: Cell<Option<&'a Session>> = se_sess;
        fn request_field: Cell<Option<&'a TmrRequest>> = se_tmr_req;
        /// Protects the transport state. Taken with interrupts off.
        pub(crate) fn state_lock: SpinLock = t_state_lock;
        /// The same, taken with interrupts on.
        fn state_lock_irq: IrqSpinLock = t_state_lock;
        fn transport_state: Atomic<u32> = transport_state;
        fn references: Opaque<bindings::kref> = cmd_kref;
    }
}

impl Command {
    /// The task tag that the initiator gave (SAM-5 4.10).
    pub(crate) fn tag(&self) -> u64 {
        self.tag_field().get()
    }

    /// What the command is to task management.
    pub(crate) fn kind(&self) -> Kind {
        let emulated = self.execute_cmd().get().is_some_and(|execute| {
            ptr::fn_addr_eq(execute, bindings::target_scsi3_emulate_pr_out as ExecuteCmd)
        }) && !self.device().get().is_some_and(Device::passes_reservations);
        let cdb = self.cdb().get().copied().unwrap_or([0; 2]);
        Kind::of(self.is_request(), emulated, cdb)
    }

    /// Whether the command carries a task management request.
    pub(crate) fn is_request(&self) -> bool {
        self.flag(bindings::se_cmd_flags_table_SCF_SCSI_TMR_CDB)
    }

    /// The task management request that the command carries.
    pub(crate) fn request(&self) -> Option<&TmrRequest> {
        self.request_field().get()
    }

    fn flag(&self, flag: u32) -> bool {
        self.flags().load(Relaxed) & flag != 0
    }

    /// Whether task management may touch the command. The core's own, which no initiator sent, it
    /// must not.
    pub(crate) fn can_abort(&self) -> bool {
        self.fabric_ops().get().is_some_and(FabricOps::can_abort)
    }

    /// The session, `None` only if the fabric broke the rule that every command has one.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.session_field().get()
    }

    /// The name of the fabric that the command came over.
    pub(crate) fn fabric_name(&self) -> &CStr {
        self.fabric_ops().get().map_or(c"?", FabricOps::name)
    }

    /// Makes this the command of a task management request.
    ///
    /// The fabric does so before the core knows the command.
    pub(crate) fn set_request<'a>(&'a self, request: &'a TmrRequest) {
        let flags = self.flags().load(Relaxed) | bindings::se_cmd_flags_table_SCF_SCSI_TMR_CDB;
        self.flags().store(flags, Relaxed);
        self.request_field().set(Some(request));
    }

    /// Tells whether the command is aborted. The state lock must be held for the answer to last.
    pub(crate) fn is_aborted(&self) -> bool {
        self.transport_state().load(Relaxed) & logic::ABORTED != 0
    }

    /// Whether `registration` of a reservation is that of the nexus from which the command came.
    pub(crate) fn is_from(&self, registration: &Registration) -> bool {
        let (Some(session), Some(fabric)) = (self.session(), self.fabric_ops().get()) else {
            return false;
        };
        let same_acl = registration.acl().get() == session.acl().get();
        // Most are not: the fabric is asked only then.
        same_acl && logic::registers(same_acl, registration.isid(), &fabric.isid(session))
    }

    /// Marks the command as aborted (C: `__target_check_io_state()` without its reference), unless
    /// it is too late.
    ///
    /// From then on no path of the core lets the command succeed. `answer` is as in
    /// [`logic::find()`]. Interrupts are off, because a list lock is held.
    pub(crate) fn abort(&self, session: &Session, answer: bool) -> Abort {
        // Acquiring it asserts to lockdep that it is held.
        let _order = session.command_lock().lock();
        let _state = self.state_lock().lock();
        let state = self.transport_state().load(Relaxed);
        match logic::find(state, answer, self.is_acknowledged()) {
            Found::Abortable { state, sent } => {
                // Read without the lock where C completes a command.
                self.transport_state().store(state, Relaxed);
                trace::abort(self);
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

    /// Whether the command may be kept by its initiator: it gets an answer, which the fabric wants to
    /// be acknowledged.
    fn may_be_kept(&self) -> bool {
        self.transport_state().load(Relaxed) & logic::ANSWER_ABORTED != 0 && self.is_acknowledged()
    }

    /// Whether the core has done with the command: it has left the logical unit, and what its
    /// initiator is answered has been given to the fabric. Or whether the shutdown of its session
    /// has taken it off the logical unit and now waits for the backend.
    fn end(&self) -> Option<End> {
        if self.lun().load(Relaxed) != 0 {
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

    /// Takes a reference, unless the last one is already gone.
    pub(crate) fn hold(&self) -> Option<Held<'_>> {
        // SAFETY: The reference count is part of a valid command.
        let held = unsafe { bindings::kref_get_unless_zero(self.references().get()) };
        held.then_some(Held(self))
    }
}

/// How a command has left its logical unit.
enum End {
    /// Backend and core are done with it.
    Through,
    /// Its session is being shut down; the backend may still have it.
    Shutdown,
}

/// Microseconds between two looks at a command, at first and at last.
const SHORTEST_PAUSE_US: i64 = 50;
const LONGEST_PAUSE_US: i64 = 10_000;

/// A reference to a command that was aborted, or that is waited for.
///
/// # Invariants
///
/// Owns one count of the command's `cmd_kref`.
#[must_use = "an aborted command must be waited for"]
pub(crate) struct Held<'a>(&'a Command);

impl<'a> Held<'a> {
    /// The command.
    pub(crate) fn command(&self) -> &'a Command {
        self.0
    }

    /// Waits until the command is gone, or until there is nothing left for backend and core to do.
    ///
    /// Sleeps until the backend has completed the command, however long that takes. If its initiator
    /// gets an answer, TASK ABORTED, the fabric may keep the command until that is acknowledged, and
    /// an initiator that has fallen silent never does. Nothing tells then when the core is done.
    pub(crate) fn wait(self) {
        if self.0.may_be_kept() {
            let mut pause = SHORTEST_PAUSE_US;
            let end = loop {
                match self.0.end() {
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
        let command = self.0.as_raw();
        // The count passes to the function below.
        mem::forget(self);
        // SAFETY: By the type invariant we own a count, which keeps the command valid and which
        // the function gives back. Only who took a command off its list waits for it, so there is
        // no other waiter. Nobody uses the command after this: `self` was the way to it.
        unsafe { bindings::target_put_cmd_and_wait(command) }
    }

    /// Writes the command's state to the debug log.
    pub(crate) fn show(&self) {
        // SAFETY: The command is valid, and so is the constant prefix.
        unsafe { bindings::target_show_cmd(c"LUN_RESET: ".as_char_ptr(), self.0.as_raw()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant we own a count and may give it back.
        unsafe { bindings::target_put_sess_cmd(self.0.as_raw()) };
    }
}

/// A list of the core that commands are on while they are in the task set, linked by `state_list`.
pub(crate) type StateList = List<Command, { mem::offset_of!(bindings::se_cmd, state_list) }>;

/// Commands that were taken off the lists of the core because they are aborted, or waited for.
///
/// # Invariants
///
/// The list holds one count of the `cmd_kref` of each entry, and `state_active` of each is false,
/// so that the core leaves the entry's link alone.
#[pin_data(PinnedDrop)]
pub(crate) struct AbortedCommands {
    #[pin]
    list: StateList,
}

impl AbortedCommands {
    /// Makes an empty list.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: There are no entries.
        pin_init!(Self { list <- StateList::new() })
    }

    /// The list as backends get it.
    pub(crate) fn list(&self) -> &StateList {
        &self.list
    }

    /// Takes a command over, from the state list that it is on or from another list of this type.
    ///
    /// If it is on a state list, the lock of that list must be held.
    pub(crate) fn push(&self, held: Held<'_>) {
        let command = held.command();
        // INVARIANT: The count and the false `state_active`.
        mem::forget(held);
        self.list.take_over(command);
        // SAFETY: The command is valid. The bit field is changed under the lock of the command's
        // state list alone, which the caller holds if the command was on one.
        unsafe { bindings::se_cmd::set_state_active_raw(command.as_raw(), false) };
    }

    /// Waits for all of them, in the order in which they were taken.
    pub(crate) fn wait(&self) {
        while let Some(held) = self.pop() {
            held.show();
            held.wait();
        }
    }

    /// Takes the first command off the list.
    pub(crate) fn pop(&self) -> Option<Held<'_>> {
        let command = self.list.iter().next()?;
        self.list.remove(command);
        // INVARIANT: The count was the list's.
        Some(Held(command))
    }
}

#[pinned_drop]
impl PinnedDrop for AbortedCommands {
    fn drop(self: Pin<&mut Self>) {
        while let Some(held) = self.pop() {
            drop(held);
        }
    }
}
