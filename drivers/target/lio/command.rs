// SPDX-License-Identifier: GPL-2.0

//! SCSI commands that LIO hands to a backend.
//!
//! C header: `include/target/target_core_base.h` (`struct se_cmd`)

use super::bindings;
use super::sg::SgCursor;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// Which way the data of a command goes, seen from the initiator's data buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataDirection {
    /// No data.
    None,
    /// A write.
    ToDevice,
    /// A read.
    FromDevice,
}

/// A command that a backend has been given and must answer.
///
/// Answering consumes the value, so a command is answered at most once ([`Command::complete`]).
///
/// # Invariants
///
/// `raw` points to a `se_cmd` that the backend owns: LIO has called `execute_cmd` for it, and
/// neither `target_complete_cmd()` has been called nor a sense reason returned. Its CDB, data
/// length, direction and scatterlists do not change before that.
pub(crate) struct Command {
    raw: NonNull<bindings::se_cmd>,
}

// SAFETY: A `se_cmd` belongs to no thread; LIO's own contract is that a backend completes it from
// any context.
unsafe impl Send for Command {}

/// Length in bytes of a CDB by the group code of its operation code (SPC-5, 4.2.5.1).
const CDB_LENGTH: [usize; 8] = [6, 10, 10, 12, 16, 12, 10, 10];

/// Operation code of variable length CDBs.
const VARIABLE_LENGTH: u8 = 0x7f;

/// What [`Command::complete`] tells LIO.
pub(crate) struct Completion<'a> {
    /// SAM status.
    pub(crate) status: u8,
    /// Sense data to pass on, 96 bytes.
    pub(crate) sense: Option<&'a [u8; 96]>,
    /// Number of bytes transferred, if it may be less than the data length.
    pub(crate) length: Option<u32>,
}

impl Command {
    /// Takes a command from LIO.
    ///
    /// # Safety
    ///
    /// `raw` points to a `se_cmd` for which LIO is just calling `execute_cmd`. If the caller
    /// returns a sense reason to LIO, the value is not used again.
    pub(crate) unsafe fn from_raw(raw: NonNull<bindings::se_cmd>) -> Self {
        // INVARIANT: By the safety requirements.
        Self { raw }
    }

    /// The CDB, of the length that its operation code calls for.
    pub(crate) fn cdb(&self) -> &[u8] {
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
    pub(crate) fn direction(&self) -> DataDirection {
        // SAFETY: The command is valid by the type invariant and the field does not change.
        match unsafe { (*self.raw.as_ptr()).data_direction } {
            bindings::dma_data_direction::DMA_TO_DEVICE => DataDirection::ToDevice,
            bindings::dma_data_direction::DMA_FROM_DEVICE => DataDirection::FromDevice,
            _ => DataDirection::None,
        }
    }

    /// Length of the data buffer in bytes.
    pub(crate) fn data_length(&self) -> u32 {
        // SAFETY: The command is valid by the type invariant and the field does not change.
        unsafe { (*self.raw.as_ptr()).data_length }
    }

    /// The block that a command of an emulated device starts at.
    pub(crate) fn lba(&self) -> u64 {
        // SAFETY: The command is valid by the type invariant, and LIO has set the field.
        unsafe { (*self.raw.as_ptr()).t_task_lba }
    }

    /// Length of the Data-In buffer of a bidirectional command in bytes, 0 for others.
    pub(crate) fn bidi_length(&self) -> u32 {
        // SAFETY: The command is valid by the type invariant; the table does not change, nor does
        // this flag, though others may, and the table has the number of entries that goes with it.
        unsafe {
            let cmd = self.raw.as_ptr();
            let flags = (&raw const (*cmd).se_cmd_flags).read_volatile();
            if flags & bindings::se_cmd_flags_table_SCF_BIDI == 0 {
                return 0;
            }
            SgCursor::total_length((*cmd).t_bidi_data_sg, (*cmd).t_bidi_data_nents)
        }
    }

    /// The word of the command that is the backend's own: what [`Command::set_tag`] leaves there.
    ///
    /// # Safety
    ///
    /// `cmd` is valid for `'a`.
    unsafe fn own_word<'a>(cmd: *mut bindings::se_cmd) -> &'a Atomic<usize> {
        // SAFETY: The field is valid by the safety requirements and as large and aligned as a
        // number; nobody but this module uses it, and only so.
        unsafe { Atomic::from_ptr((&raw mut (*cmd).priv_).cast()) }
    }

    /// Whether a task management function has aborted the command.
    pub(crate) fn is_aborted(&self) -> bool {
        // SAFETY: The command is valid by the type invariant. Other threads change
        // `transport_state`, therefore a single volatile read. A backend that keeps the order
        // "queue, then see aborts" calls this under the lock that its `tmr_notify` takes.
        let state = unsafe { (&raw const (*self.raw.as_ptr()).transport_state).read_volatile() };
        state & bindings::CMD_T_ABORTED != 0
    }

    /// Leaves a number with the command that [`AbortedCommands`] gives back.
    pub(crate) fn set_tag(&mut self, tag: u32) {
        // SAFETY: The command is valid by the type invariant.
        unsafe { Self::own_word(self.raw.as_ptr()) }.store(tag as usize + 1, Relaxed);
    }

    /// Cursor over the data buffer, or over the Data-In buffer of a bidirectional command.
    ///
    /// `write` says whether the buffer will be written.
    pub(crate) fn buffer(&self, bidi: bool, write: bool) -> SgCursor<'_> {
        // SAFETY: By the type invariant the tables stay valid while the command is borrowed, and
        // they have the number of entries that goes with them.
        unsafe {
            let cmd = self.raw.as_ptr();
            if bidi {
                SgCursor::new((*cmd).t_bidi_data_sg, (*cmd).t_bidi_data_nents, write)
            } else {
                SgCursor::new((*cmd).t_data_sg, (*cmd).t_data_nents, write)
            }
        }
    }

    /// Answers the command (`target_complete_cmd()`).
    pub(crate) fn complete(self, completion: &Completion<'_>) {
        let cmd = self.raw.as_ptr();
        let status = completion.status;
        // SAFETY: By the type invariant the command is the backend's to complete, and `self` is
        // consumed, so this happens once. `transport_copy_sense_to_cmd()` only reads the 96 bytes.
        unsafe {
            Self::own_word(cmd).store(0, Relaxed);
            if let Some(sense) = completion.sense {
                bindings::transport_copy_sense_to_cmd(cmd, sense.as_ptr().cast_mut());
                if completion.length.is_some() {
                    (*cmd).se_cmd_flags |= bindings::se_cmd_flags_table_SCF_TREAT_READ_AS_NORMAL;
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

/// The commands that a task management function has aborted.
///
/// # Invariants
///
/// `head` is the head of a list of `se_cmd`, linked by `state_list`, that LIO keeps alive and
/// unchanged for `'a`.
pub(crate) struct AbortedCommands<'a> {
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
    pub(crate) unsafe fn from_raw(head: NonNull<bindings::list_head>) -> Self {
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
    /// What [`Command::set_tag`] has left with the command, if the backend holds it.
    type Item = Option<u32>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.head {
            return None;
        }
        // SAFETY: By the type invariant `next` is the `state_list` of a valid `se_cmd`, and the
        // links of a list are never null. The backend clears `priv` under the same lock under
        // which it iterates.
        let tag = unsafe {
            let cmd = kernel::container_of!(self.next.as_ptr(), bindings::se_cmd, state_list);
            self.next = NonNull::new_unchecked((*self.next.as_ptr()).next);
            Command::own_word(cmd).load(Relaxed)
        };
        Some(tag.checked_sub(1).and_then(|tag| u32::try_from(tag).ok()))
    }
}
