// SPDX-License-Identifier: GPL-2.0
//! A disk: the SCSI commands that `sd`, `sg`, file systems and fio send to one (SPC-4, SBC-3).
//!
//! REPORT LUNS, persistent reservations and asymmetric access are the kernel's: they never reach user
//! space.

pub mod backing;
mod block;
mod inquiry;
mod mode;
pub mod sense;

use std::io;

use crate::data::DataBuffer;
use crate::ring::Response;
use crate::shm::BadAccess;
use backing::Backing;
use sense::Sense;

/// SAM status GOOD.
pub const GOOD: u8 = 0x00;
/// SAM status CHECK CONDITION.
pub const CHECK_CONDITION: u8 = 0x02;
/// SAM status TASK ABORTED.
pub const TASK_ABORTED: u8 = 0x40;

/// Operation codes of the commands that the disk knows, and of some that only have a name here.
#[expect(missing_docs, reason = "the names are those of SPC and SBC")]
pub mod opcode {
    pub const TEST_UNIT_READY: u8 = 0x00;
    pub const REQUEST_SENSE: u8 = 0x03;
    pub const READ_6: u8 = 0x08;
    pub const WRITE_6: u8 = 0x0a;
    pub const INQUIRY: u8 = 0x12;
    pub const MODE_SELECT_6: u8 = 0x15;
    pub const MODE_SENSE_6: u8 = 0x1a;
    pub const START_STOP_UNIT: u8 = 0x1b;
    pub const READ_CAPACITY_10: u8 = 0x25;
    pub const READ_10: u8 = 0x28;
    pub const WRITE_10: u8 = 0x2a;
    pub const VERIFY_10: u8 = 0x2f;
    pub const SYNCHRONIZE_CACHE_10: u8 = 0x35;
    pub const WRITE_SAME_10: u8 = 0x41;
    pub const UNMAP: u8 = 0x42;
    pub const MODE_SELECT_10: u8 = 0x55;
    pub const MODE_SENSE_10: u8 = 0x5a;
    pub const READ_16: u8 = 0x88;
    pub const WRITE_16: u8 = 0x8a;
    pub const VERIFY_16: u8 = 0x8f;
    pub const SYNCHRONIZE_CACHE_16: u8 = 0x91;
    pub const WRITE_SAME_16: u8 = 0x93;
    pub const SERVICE_ACTION_IN_16: u8 = 0x9e;
    pub const READ_12: u8 = 0xa8;
    pub const WRITE_12: u8 = 0xaa;
}

/// Whether an operation code is one of the READ commands.
pub fn is_read(code: u8) -> bool {
    use opcode::*;
    matches!(code, READ_6 | READ_10 | READ_12 | READ_16)
}

/// Whether an operation code is one of the WRITE commands.
pub fn is_write(code: u8) -> bool {
    use opcode::*;
    matches!(code, WRITE_6 | WRITE_10 | WRITE_12 | WRITE_16)
}

/// Address of the first block of a READ or WRITE, `None` for other commands.
pub fn first_block(cdb: &[u8]) -> Option<u64> {
    let code = *cdb.first()?;
    (is_read(code) || is_write(code)).then(|| block::extent(&Cdb::new(cdb)).lba)
}

/// Name of an operation code for people, `None` if the disk does not know it.
pub fn opcode_name(code: u8) -> Option<&'static str> {
    use opcode::*;
    Some(match code {
        TEST_UNIT_READY => "TEST UNIT READY",
        REQUEST_SENSE => "REQUEST SENSE",
        READ_6 => "READ(6)",
        WRITE_6 => "WRITE(6)",
        INQUIRY => "INQUIRY",
        MODE_SELECT_6 => "MODE SELECT(6)",
        MODE_SENSE_6 => "MODE SENSE(6)",
        START_STOP_UNIT => "START STOP UNIT",
        READ_CAPACITY_10 => "READ CAPACITY(10)",
        READ_10 => "READ(10)",
        WRITE_10 => "WRITE(10)",
        VERIFY_10 => "VERIFY(10)",
        SYNCHRONIZE_CACHE_10 => "SYNCHRONIZE CACHE(10)",
        WRITE_SAME_10 => "WRITE SAME(10)",
        UNMAP => "UNMAP",
        MODE_SELECT_10 => "MODE SELECT(10)",
        MODE_SENSE_10 => "MODE SENSE(10)",
        READ_16 => "READ(16)",
        WRITE_16 => "WRITE(16)",
        VERIFY_16 => "VERIFY(16)",
        SYNCHRONIZE_CACHE_16 => "SYNCHRONIZE CACHE(16)",
        WRITE_SAME_16 => "WRITE SAME(16)",
        SERVICE_ACTION_IN_16 => "SERVICE ACTION IN(16)",
        READ_12 => "READ(12)",
        WRITE_12 => "WRITE(12)",
        _ => return None,
    })
}

/// Why a command does not end with GOOD.
#[derive(Debug)]
enum Failure {
    /// For a reason that the initiator is told.
    Sense(Sense),
    /// The backing failed while reading (`false`) or writing (`true`).
    Io(io::Error, bool),
    /// The data buffer is shorter than it said.
    Data(BadAccess),
}

impl From<Sense> for Failure {
    fn from(sense: Sense) -> Self {
        Self::Sense(sense)
    }
}

impl From<BadAccess> for Failure {
    fn from(access: BadAccess) -> Self {
        Self::Data(access)
    }
}

/// A CDB with zeros behind its end, so that every field of a known command exists.
#[derive(Clone, Copy, Debug)]
struct Cdb([u8; 16]);

impl Cdb {
    fn new(cdb: &[u8]) -> Self {
        let mut padded = [0; 16];
        let len = cdb.len().min(padded.len());
        padded[..len].copy_from_slice(&cdb[..len]);
        Self(padded)
    }

    fn byte(&self, at: usize) -> u8 {
        self.0[at]
    }

    /// A big-endian number of `len` bytes.
    fn number(&self, at: usize, len: usize) -> u64 {
        self.0[at..at + len]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// A disk and what it currently is set to.
#[derive(Debug)]
pub struct Disk {
    backing: Box<dyn Backing>,
    block_size: u32,
    /// Serial number; the other identifiers are derived from it.
    serial: String,
    /// WCE of the caching mode page: the initiator has to send SYNCHRONIZE CACHE.
    write_cache: bool,
    /// Carries data between backing and buffer.
    bounce: Vec<u8>,
}

/// Bytes moved at a time between backing and data buffer.
const BOUNCE_SIZE: usize = 128 * 1024;

impl Disk {
    /// A disk with blocks of `block_size` bytes.
    ///
    /// # Errors
    ///
    /// If the block size is not a power of two from 512 to 65536, or the backing has no whole block.
    pub fn new(backing: Box<dyn Backing>, block_size: u32, serial: &str) -> Result<Self, String> {
        if !block_size.is_power_of_two() || !(512..=65536).contains(&block_size) {
            return Err(format!(
                "block size {block_size} is no power of two from 512 to 65536"
            ));
        }
        if backing.size() < u64::from(block_size) {
            return Err(format!(
                "{} bytes are less than a block of {block_size}",
                backing.size()
            ));
        }
        Ok(Self {
            backing,
            block_size,
            serial: serial.into(),
            write_cache: true,
            bounce: vec![0; BOUNCE_SIZE],
        })
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u64 {
        self.backing.size() / u64::from(self.block_size)
    }

    /// Bytes in a block.
    pub fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Sets WCE, as the kernel's `emulate_write_cache` asks for.
    pub fn set_write_cache(&mut self, enabled: bool) {
        self.write_cache = enabled;
    }

    /// Executes one command. `data` holds what the initiator sent and takes what it is to get.
    pub fn execute(&mut self, cdb: &[u8], data: &mut impl DataBuffer) -> Response {
        match self.dispatch(&Cdb::new(cdb), data) {
            Ok(read_len) => Response {
                read_len,
                ..Response::status(GOOD)
            },
            Err(Failure::Sense(sense)) => sense.response(),
            Err(Failure::Io(error, writing)) => {
                tracing::warn!(%error, writing, "backing failed");
                let sense = if writing {
                    sense::WRITE_ERROR
                } else {
                    sense::READ_ERROR
                };
                sense.response()
            }
            Err(Failure::Data(access)) => {
                tracing::warn!(%access, "data buffer");
                sense::INTERNAL_FAILURE.response()
            }
        }
    }

    /// Returns the number of Data-In bytes if there are fewer than the buffer has.
    fn dispatch(&mut self, cdb: &Cdb, data: &mut impl DataBuffer) -> Result<Option<u32>, Failure> {
        use opcode::*;
        match cdb.byte(0) {
            TEST_UNIT_READY | START_STOP_UNIT => Ok(None),
            REQUEST_SENSE => {
                let descriptor = cdb.byte(1) & 1 != 0;
                reply(data, cdb.number(4, 1), &sense::NO_SENSE.bytes(descriptor))
            }
            INQUIRY => self.inquiry(cdb, data),
            MODE_SENSE_6 | MODE_SENSE_10 => self.mode_sense(cdb, data),
            MODE_SELECT_6 | MODE_SELECT_10 => self.mode_select(cdb, data),
            READ_CAPACITY_10 => self.read_capacity_10(cdb, data),
            SERVICE_ACTION_IN_16 => self.service_action_in(cdb, data),
            READ_6 | READ_10 | READ_12 | READ_16 => self.read(cdb, data),
            WRITE_6 | WRITE_10 | WRITE_12 | WRITE_16 => self.write(cdb, data),
            VERIFY_10 | VERIFY_16 => self.verify(cdb, data),
            SYNCHRONIZE_CACHE_10 | SYNCHRONIZE_CACHE_16 => self.synchronize_cache(cdb),
            WRITE_SAME_10 | WRITE_SAME_16 => self.write_same(cdb, data),
            UNMAP => self.unmap(cdb, data),
            _ => Err(sense::INVALID_OPCODE.into()),
        }
    }
}

/// Answers with `bytes`, cut to the allocation length and to the buffer.
fn reply(
    data: &mut impl DataBuffer,
    allocation: u64,
    bytes: &[u8],
) -> Result<Option<u32>, Failure> {
    let allocation = usize::try_from(allocation).unwrap_or(usize::MAX);
    let len = bytes.len().min(allocation).min(data.len());
    data.write(0, &bytes[..len])?;
    finish(data, len)
}

/// Ends a transfer of `len` bytes to the initiator.
///
/// Blocks of the data area are used again and again: what the command does not fill may hold data of
/// another initiator, so it is cleared although the kernel is told to leave it out.
fn finish(data: &mut impl DataBuffer, len: usize) -> Result<Option<u32>, Failure> {
    let zeros = [0; 512];
    let mut at = len;
    while at < data.len() {
        let count = zeros.len().min(data.len() - at);
        data.write(at, &zeros[..count])?;
        at += count;
    }
    // A read length of 0 means to the kernel that there is none.
    Ok((0 < len && len < data.len()).then_some(len as u32))
}
