// SPDX-License-Identifier: GPL-2.0

//! Status codes of SAM-5.

/// A status with which the backend itself completes commands, or that it looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SamStatus {
    /// The command has failed.
    CheckCondition = 0x02,
    /// The command was not started, a retry is welcome.
    Busy = 0x08,
    /// The wait for space has ended.
    TaskSetFull = 0x28,
    /// A task management function has aborted the command.
    TaskAborted = 0x40,
}
