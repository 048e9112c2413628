// SPDX-License-Identifier: GPL-2.0

//! LIO's commands as the engine sees them, and how they are completed.

use super::super::logic::{
    Command,
    Completer,
    Completion,
    Direction,
    SlotIndex, //
};
use crate::target::command::{
    Command as ScsiCommand,
    Completion as ScsiCompletion,
    DataDirection,
    SamStatus, //
};

impl Command for ScsiCommand {
    fn cdb(&self) -> &[u8] {
        ScsiCommand::cdb(self)
    }

    fn direction(&self) -> Direction {
        match ScsiCommand::direction(self) {
            DataDirection::None => Direction::None,
            DataDirection::ToDevice => Direction::ToDevice,
            DataDirection::FromDevice => Direction::FromDevice,
        }
    }

    fn data_length(&self) -> u32 {
        ScsiCommand::data_length(self)
    }

    fn bidi_length(&self) -> Option<u32> {
        match ScsiCommand::bidi_length(self) {
            0 => None,
            length => Some(length),
        }
    }

    fn is_aborted(&self) -> bool {
        ScsiCommand::is_aborted(self)
    }

    fn set_slot(&mut self, slot: SlotIndex) {
        self.set_cookie(slot.into_raw());
    }
}

/// Gives commands back to LIO.
pub(super) struct LioCompleter;

impl Completer for LioCompleter {
    type Command = ScsiCommand;

    fn complete(&mut self, command: ScsiCommand, completion: Completion<'_>) {
        command.complete(&match completion {
            Completion::Status(status) => SamStatus(status as u8).into(),
            Completion::Response {
                status,
                sense,
                read_length,
            } => ScsiCompletion {
                status: SamStatus(status),
                sense,
                length: read_length,
            },
        });
    }
}
