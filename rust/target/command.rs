// SPDX-License-Identifier: GPL-2.0

//! SCSI commands that LIO hands to a backend.
//!
//! C header: `include/target/target_core_base.h` (`struct se_cmd`)

use crate::ext::{
    bindings,
    foreign::ForeignPtr,
    scatterlist::SgCursor, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// Status of a command as SAM-5 5.3.1 has it (`enum sam_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SamStatus(pub u8);

impl SamStatus {
    /// GOOD
    pub const GOOD: Self = Self(bindings::sam_status_SAM_STAT_GOOD as u8);
    /// CHECK CONDITION
    pub const CHECK_CONDITION: Self = Self(bindings::sam_status_SAM_STAT_CHECK_CONDITION as u8);
    /// BUSY
    pub const BUSY: Self = Self(bindings::sam_status_SAM_STAT_BUSY as u8);
    /// TASK SET FULL
    pub const TASK_SET_FULL: Self = Self(bindings::sam_status_SAM_STAT_TASK_SET_FULL as u8);
    /// TASK ABORTED
    pub const TASK_ABORTED: Self = Self(bindings::sam_status_SAM_STAT_TASK_ABORTED as u8);
}

/// Why a backend refuses a command (`sense_reason_t`): LIO answers it with this sense data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SenseReason {
    /// CHECK CONDITION, ABORTED COMMAND.
    AbortedCommand = bindings::tcm_sense_reason_table_TCM_CHECK_CONDITION_ABORT_CMD,
    /// SAM status BUSY.
    LunBusy = bindings::tcm_sense_reason_table_TCM_LUN_BUSY,
    /// LOGICAL UNIT COMMUNICATION FAILURE.
    CommunicationFailure = bindings::tcm_sense_reason_table_TCM_LOGICAL_UNIT_COMMUNICATION_FAILURE,
    /// INVALID FIELD IN CDB.
    InvalidCdbField = bindings::tcm_sense_reason_table_TCM_INVALID_CDB_FIELD,
    /// INSUFFICIENT RESOURCES.
    OutOfResources = bindings::tcm_sense_reason_table_TCM_OUT_OF_RESOURCES,
}

/// Which way the data of a command goes, seen from the initiator's data buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataDirection {
    /// No data.
    None,
    /// A write.
    ToDevice,
    /// A read.
    FromDevice,
}

/// A command that a backend has been given and must answer.
///
/// The value is the right and the duty to answer: [`Command::complete`] and [`Command::refuse`]
/// consume it. One that is dropped is answered with CHECK CONDITION, and the first one warned of.
///
/// # Invariants
///
/// `raw` points to a `se_cmd` that the backend owns: LIO has called `execute_cmd` for it, and
/// neither `target_complete_cmd()` has been called nor a sense reason returned. Its CDB, data
/// length, direction and scatterlists do not change before that. LIO's contract is that a backend
/// completes a command from any context.
pub struct Command {
    raw: ForeignPtr<bindings::se_cmd>,
}

/// A command that goes back to LIO unanswered, and why: what [`Command::refuse`] makes.
///
/// LIO takes back a command just from the call in which it has handed it over, so this is good for
/// nothing but to be returned from there.
#[must_use = "LIO answers a refused command only if it gets it back"]
pub struct Refused {
    command: Command,
    reason: SenseReason,
}

impl Refused {
    /// The reason, if the command is the one that LIO knows as `raw`. Any other command is answered
    /// as a dropped one.
    ///
    /// # Safety
    ///
    /// If there is a reason, the caller returns it to LIO from `execute_cmd` of that command.
    pub(super) unsafe fn give_back(self, raw: NonNull<bindings::se_cmd>) -> Option<SenseReason> {
        let Self { command, reason } = self;
        (command.raw.as_ptr() == raw.as_ptr()).then(|| {
            command.into_raw();
            reason
        })
    }
}

/// Length in bytes of a CDB by the group code of its operation code (SPC-5, 4.2.5.1).
const CDB_LENGTH: [usize; 8] = [6, 10, 10, 12, 16, 12, 10, 10];

/// Operation code of variable length CDBs.
const VARIABLE_LENGTH: u8 = 0x7f;

/// What [`Command::complete`] tells LIO.
pub struct Completion<'a> {
    /// SAM status.
    pub status: SamStatus,
    /// Sense data to pass on, 96 bytes.
    pub sense: Option<&'a [u8; 96]>,
    /// Number of bytes transferred, if it may be less than the data length.
    pub length: Option<u32>,
}

impl From<SamStatus> for Completion<'_> {
    #[inline]
    fn from(status: SamStatus) -> Self {
        Self {
            status,
            sense: None,
            length: None,
        }
    }
}

impl Command {
    /// Takes a command from LIO.
    ///
    /// # Safety
    ///
    /// `raw` points to a `se_cmd` for which LIO is just calling `execute_cmd`. The caller returns a
    /// sense reason to LIO only if [`Refused::give_back`] gives it, else that there is none.
    #[inline]
    pub(super) unsafe fn from_raw(raw: NonNull<bindings::se_cmd>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: By the type invariant a command belongs to no thread.
            raw: unsafe { ForeignPtr::new(raw) },
        }
    }

    /// The command, which is LIO's from now on.
    #[inline]
    fn into_raw(self) -> *mut bindings::se_cmd {
        let cmd = ManuallyDrop::new(self).raw.as_ptr();
        // SAFETY: The command is valid by the type invariant.
        unsafe { Self::own_word(cmd) }.store(0, Relaxed);
        cmd
    }

    /// Has LIO answer the command, with the sense data of `reason`.
    #[inline]
    pub fn refuse(self, reason: SenseReason) -> Refused {
        Refused {
            command: self,
            reason,
        }
    }

    /// The CDB, of the length that its operation code calls for.
    #[inline]
    pub fn cdb(&self) -> &[u8] {
        // SAFETY: By the type invariant the CDB stays as it is; LIO has made it at least 16 bytes
        // and as long as its operation code calls for (`target_cmd_init_cdb()`).
        unsafe {
            let cdb = (*self.raw.as_ptr()).t_task_cdb;
            let length = match *cdb {
                VARIABLE_LENGTH => usize::from(*cdb.add(7)) + 8,
                opcode => CDB_LENGTH[usize::from(opcode >> 5)],
            };
            core::slice::from_raw_parts(cdb, length)
        }
    }

    /// Which way the data goes.
    #[inline]
    pub fn direction(&self) -> DataDirection {
        // SAFETY: The command is valid by the type invariant and the field does not change.
        match unsafe { (*self.raw.as_ptr()).data_direction } {
            bindings::dma_data_direction::DMA_TO_DEVICE => DataDirection::ToDevice,
            bindings::dma_data_direction::DMA_FROM_DEVICE => DataDirection::FromDevice,
            _ => DataDirection::None,
        }
    }

    /// Length of the data buffer in bytes.
    #[inline]
    pub fn data_length(&self) -> u32 {
        // SAFETY: The command is valid by the type invariant and the field does not change.
        unsafe { (*self.raw.as_ptr()).data_length }
    }

    /// The block that a command of an emulated device starts at.
    #[inline]
    pub fn lba(&self) -> u64 {
        // SAFETY: The command is valid by the type invariant, and LIO has set the field.
        unsafe { (*self.raw.as_ptr()).t_task_lba }
    }

    /// Length of the Data-In buffer of a bidirectional command in bytes, 0 for others.
    #[inline]
    pub fn bidi_length(&self) -> u32 {
        // SAFETY: The command is valid by the type invariant; the table does not change, nor does
        // this flag, though others may, and the table has the number of entries that goes with it.
        unsafe {
            let cmd = self.raw.as_ptr();
            let flags = Atomic::from_ptr(&raw mut (*cmd).se_cmd_flags).load(Relaxed);
            if flags & bindings::se_cmd_flags_table_SCF_BIDI == 0 {
                return 0;
            }
            SgCursor::total_length((*cmd).t_bidi_data_sg, (*cmd).t_bidi_data_nents)
        }
    }

    /// The word of the command that is the backend's own: what [`Command::set_cookie`] leaves
    /// there.
    ///
    /// # Safety
    ///
    /// `cmd` is valid for `'a`.
    #[inline]
    unsafe fn own_word<'a>(cmd: *mut bindings::se_cmd) -> &'a Atomic<usize> {
        // SAFETY: The field is valid by the safety requirements and as large and aligned as a
        // number; nobody but this module uses it, and only so.
        unsafe { Atomic::from_ptr((&raw mut (*cmd).priv_).cast()) }
    }

    /// Whether a task management function has aborted the command.
    #[inline]
    pub fn is_aborted(&self) -> bool {
        // A backend that keeps the order "queue, then see aborts" calls this under the lock that
        // its `tmr_notify` takes.
        // SAFETY: The command is valid by the type invariant. Other threads change the field, in
        // one piece.
        let state = unsafe { Atomic::from_ptr(&raw mut (*self.raw.as_ptr()).transport_state) };
        state.load(Relaxed) & bindings::CMD_T_ABORTED != 0
    }

    /// Leaves a number with the command, by which [`AbortedCommands`] names it.
    #[inline]
    pub fn set_cookie(&mut self, cookie: u32) {
        // SAFETY: The command is valid by the type invariant.
        unsafe { Self::own_word(self.raw.as_ptr()) }.store(cookie as usize + 1, Relaxed);
    }

    /// Cursor over the data buffer, or over the Data-In buffer of a bidirectional command.
    ///
    /// `write` says whether the buffer will be written, which only a buffer can be whose data goes
    /// to the initiator.
    #[inline]
    pub fn buffer(&self, bidi: bool, write: bool) -> SgCursor<'_> {
        // SAFETY: By the type invariant the tables stay valid while the command is borrowed, and
        // they have the number of entries that goes with them.
        unsafe {
            let cmd = self.raw.as_ptr();
            let write = write && (bidi || self.direction() == DataDirection::FromDevice);
            if bidi {
                SgCursor::new((*cmd).t_bidi_data_sg, (*cmd).t_bidi_data_nents, write)
            } else {
                SgCursor::new((*cmd).t_data_sg, (*cmd).t_data_nents, write)
            }
        }
    }

    /// Answers the command (`target_complete_cmd()`).
    #[inline]
    pub fn complete(self, completion: &Completion<'_>) {
        let cmd = self.into_raw();
        let SamStatus(status) = completion.status;
        // SAFETY: By the type invariant the command was the backend's to complete, and it is no
        // `Command` any more, so this happens once. `transport_copy_sense_to_cmd()` only reads the
        // 96 bytes. Nobody but the backend changes the flags of a command that it executes.
        unsafe {
            if let Some(sense) = completion.sense {
                bindings::transport_copy_sense_to_cmd(cmd, sense.as_ptr().cast_mut());
                if completion.length.is_some() {
                    let flags = Atomic::from_ptr(&raw mut (*cmd).se_cmd_flags);
                    let as_normal = bindings::se_cmd_flags_table_SCF_TREAT_READ_AS_NORMAL;
                    flags.store(flags.load(Relaxed) | as_normal, Relaxed);
                }
            }
            match completion.length {
                Some(length) => {
                    bindings::target_complete_cmd_with_length(cmd, status, length as i32)
                }
                None => bindings::target_complete_cmd(cmd, status),
            }
        }
    }
}

impl Drop for Command {
    // Never on a path that matters.
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        kernel::pr_warn_once!("a backend has dropped a command: answered with CHECK CONDITION\n");
        // SAFETY: The command is ours by the type invariant, and `self` is not used again.
        let command = unsafe { core::ptr::read(self) };
        command.complete(&SamStatus::CHECK_CONDITION.into());
    }
}

/// The commands that a task management function has aborted.
///
/// # Invariants
///
/// `head` is the head of a list of `se_cmd`, linked by `state_list`, that LIO keeps alive and
/// unchanged for `'a`.
pub struct AbortedCommands<'a> {
    head: NonNull<bindings::list_head>,
    next: NonNull<bindings::list_head>,
    _list: PhantomData<&'a bindings::list_head>,
}

impl<'a> AbortedCommands<'a> {
    /// Takes the list that LIO passes to `tmr_notify`.
    ///
    /// # Safety
    ///
    /// See the type invariant.
    pub(super) unsafe fn from_raw(head: NonNull<bindings::list_head>) -> Self {
        // INVARIANT: By the safety requirements. A list whose next is its head is empty.
        Self {
            head,
            // SAFETY: The head is valid, and the links of a list are never null.
            next: unsafe { NonNull::new_unchecked((*head.as_ptr()).next) },
            _list: PhantomData,
        }
    }
}

impl Iterator for AbortedCommands<'_> {
    /// What [`Command::set_cookie`] has left with the command, if the backend holds it.
    type Item = Option<u32>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.head {
            return None;
        }
        // SAFETY: By the type invariant `next` is the `state_list` of a valid `se_cmd`, and the
        // links of a list are never null.
        let cookie = unsafe {
            let cmd = kernel::container_of!(self.next.as_ptr(), bindings::se_cmd, state_list);
            self.next = NonNull::new_unchecked((*self.next.as_ptr()).next);
            Command::own_word(cmd).load(Relaxed)
        };
        Some(
            cookie
                .checked_sub(1)
                .and_then(|cookie| u32::try_from(cookie).ok()),
        )
    }
}
