// SPDX-License-Identifier: GPL-2.0

//! The traits through which the logic uses its surroundings.
//!
//! | trait | what it stands for |
//! |---|---|
//! | [`RingIo`] | mailbox and command ring |
//! | [`DataIo`] | memory of the data area |
//! | [`Completer`] | LIO, which gets its commands back |
//! | [`Command`] | a command of LIO |

use core::ops::Range;

use super::alloc::NoMemory;
use super::data_area::Blocks;
use super::sam::SamStatus;
use super::slots::SlotIndex;
use super::uapi::SENSE_SIZE;

/// Which way the data of a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// No data.
    None,
    /// Initiator to target (a write).
    ToDevice,
    /// Target to initiator (a read).
    FromDevice,
}

/// A SCSI command that LIO has handed over.
///
/// The value is the right and the duty to complete the command: [`Completer::complete`] consumes
/// it.
pub(crate) trait Command {
    /// The CDB, of the length that its operation code calls for.
    fn cdb(&self) -> &[u8];

    /// Which way [`Command::data_length`] bytes go.
    fn direction(&self) -> Direction;

    /// Length of the data buffer in bytes.
    fn data_length(&self) -> u32;

    /// Length of the Data-In buffer of a bidirectional command in bytes.
    fn bidi_length(&self) -> Option<u32>;

    /// Whether a task management function has aborted the command (`CMD_T_ABORTED`).
    fn is_aborted(&self) -> bool;

    /// Remembers in the command which slot holds it.
    fn set_slot(&mut self, slot: SlotIndex);
}

/// What LIO is told of a command that ends.
#[derive(Debug)]
pub(crate) enum Completion<'a> {
    /// The backend's own status, without sense data.
    Status(SamStatus),
    /// User space's response.
    Response {
        /// SAM status.
        status: u8,
        /// Sense data, if the status is CHECK CONDITION.
        sense: Option<&'a [u8; SENSE_SIZE]>,
        /// Number of bytes actually read, if user space said so and it is at most the length of
        /// the data buffer (`TCMU_UFLAG_READ_LEN`).
        read_length: Option<u32>,
    },
}

/// Gives commands back to LIO.
pub(crate) trait Completer {
    /// A SCSI command.
    type Command: Command;

    /// Completes a command.
    fn complete(&mut self, command: Self::Command, completion: Completion<'_>);
}

/// Mailbox and command ring.
///
/// Offsets are bytes from the start of the command ring and multiples of 8; an [`Engine`] never
/// passes one outside the ring. Every read is a single access.
///
/// [`Engine`]: super::Engine
pub(crate) trait RingIo {
    /// Reads eight bytes of the command ring.
    fn read_word(&self, offset: u32) -> u64;

    /// Writes eight bytes of the command ring.
    fn write_word(&mut self, offset: u32, value: u64);

    /// Reads `cmd_tail` of the mailbox; later reads are ordered after it (load-acquire).
    fn tail(&self) -> u32;

    /// Writes `cmd_head` of the mailbox; earlier writes are ordered before it (store-release).
    fn publish_head(&mut self, head: u32);

    /// Writes 0 to `cmd_tail` and `cmd_head`.
    fn reset_mailbox(&mut self);
}

/// The memory of the data area, of whose blocks [`DataArea`] keeps account.
///
/// [`DataArea`]: super::data_area::DataArea
pub(crate) trait DataIo<C> {
    /// Makes sure that the first `bytes` bytes of a block have memory behind them.
    fn populate(&mut self, block: u32, bytes: u32) -> Result<(), NoMemory>;

    /// Takes away the memory behind blocks that no command has. Where user space has mapped it,
    /// its next access faults.
    fn depopulate(&mut self, blocks: Range<u32>);

    /// Copies the Data-Out buffer of `command` into `blocks`.
    fn copy_to_area(&mut self, command: &C, blocks: Blocks<'_>);

    /// Copies `length` bytes from `blocks` into the Data-In buffer of `command`.
    fn copy_from_area(&mut self, command: &C, blocks: Blocks<'_>, length: u32);
}

/// All memory that is shared with user space.
pub(crate) trait SharedIo<C>: RingIo + DataIo<C> {}

impl<C, S: RingIo + DataIo<C>> SharedIo<C> for S {}
