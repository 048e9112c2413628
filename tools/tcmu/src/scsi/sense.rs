// SPDX-License-Identifier: GPL-2.0
//! Sense data.

use super::CHECK_CONDITION;
use crate::ring::Response;

/// Sense key, additional sense code and its qualifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// Sense key (4 bits).
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
}

const fn sense(key: u8, asc: u8, ascq: u8) -> Sense {
    Sense { key, asc, ascq }
}

/// Nothing to report.
pub const NO_SENSE: Sense = sense(0x0, 0x00, 0x00);
/// MEDIUM ERROR, unrecovered read error.
pub const READ_ERROR: Sense = sense(0x3, 0x11, 0x00);
/// MEDIUM ERROR, write error.
pub const WRITE_ERROR: Sense = sense(0x3, 0x0c, 0x00);
/// HARDWARE ERROR, internal target failure.
pub const INTERNAL_FAILURE: Sense = sense(0x4, 0x44, 0x00);
/// ILLEGAL REQUEST, parameter list length error.
pub const PARAMETER_LENGTH: Sense = sense(0x5, 0x1a, 0x00);
/// ILLEGAL REQUEST, invalid command operation code.
pub const INVALID_OPCODE: Sense = sense(0x5, 0x20, 0x00);
/// ILLEGAL REQUEST, logical block address out of range.
pub const LBA_OUT_OF_RANGE: Sense = sense(0x5, 0x21, 0x00);
/// ILLEGAL REQUEST, invalid field in CDB.
pub const INVALID_FIELD: Sense = sense(0x5, 0x24, 0x00);
/// ILLEGAL REQUEST, invalid field in parameter list.
pub const INVALID_PARAMETER: Sense = sense(0x5, 0x26, 0x00);
/// ILLEGAL REQUEST, saving parameters not supported.
pub const SAVING_NOT_SUPPORTED: Sense = sense(0x5, 0x39, 0x00);
/// MISCOMPARE, miscompare during verify operation.
pub const MISCOMPARE: Sense = sense(0xe, 0x1d, 0x00);

impl Sense {
    /// Sense data in fixed format (18 bytes) or in descriptor format (8 bytes).
    pub fn bytes(&self, descriptor: bool) -> Vec<u8> {
        if descriptor {
            return vec![0x72, self.key, self.asc, self.ascq, 0, 0, 0, 0];
        }
        let mut bytes = vec![0; 18];
        bytes[0] = 0x70;
        bytes[2] = self.key;
        bytes[7] = 10;
        bytes[12] = self.asc;
        bytes[13] = self.ascq;
        bytes
    }

    /// CHECK CONDITION with this sense.
    pub fn response(&self) -> Response {
        Response {
            sense: self.bytes(false),
            ..Response::status(CHECK_CONDITION)
        }
    }
}
