// SPDX-License-Identifier: GPL-2.0

//! The target that is pretended: it creates associations and connections, and has a controller
//! without namespaces.
//!
//! Formats: FC-NVMe, as `include/linux/nvme-fc.h` has them, and NVMe, `include/linux/nvme.h`.

use kernel::prelude::*;

use crate::transport::{
    Command,
    Request, //
};

/// LS commands.
const LS_RJT: u8 = 1;
const LS_ACC: u8 = 2;
const LS_CREATE_ASSOCIATION: u8 = 3;
const LS_CREATE_CONNECTION: u8 = 4;
const LS_DISCONNECT_ASSOC: u8 = 5;

/// Descriptors of an LS.
const DESC_RQST: u32 = 1;
const DESC_RJT: u32 = 2;
const DESC_DISCONN_CMD: u32 = 5;
const DESC_CONN_ID: u32 = 6;
const DESC_ASSOC_ID: u32 = 7;

/// "Unable to perform command request."
const REASON_UNABLE: u8 = 9;

/// Admin and fabrics commands.
const IDENTIFY: u8 = 0x06;
const SET_FEATURES: u8 = 0x09;
const ASYNC_EVENT: u8 = 0x0c;
const FABRICS: u8 = 0x7f;
const FABRICS_CONNECT: u8 = 0x01;
const FABRICS_PROPERTY_GET: u8 = 0x04;

/// Properties: capabilities, version, status.
const CAP: u32 = 0x00;
const VS: u32 = 0x08;
const CSTS: u32 = 0x1c;

/// Longest LS answer.
const LONGEST: usize = 64;

/// The controller's number.
const CNTLID: u16 = 1;

/// Where an association's number is in a Disconnect Association.
pub(crate) const DISCONNECT_LENGTH: usize = 48;

/// An LS answer that is being written. All numbers are big-endian.
struct Message {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Message {
    fn new(ls: u8) -> Self {
        let mut bytes = [0; LONGEST];
        bytes[0] = ls;
        // The length of the list comes in the end.
        Self { bytes, length: 8 }
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
    }

    /// A descriptor with 8 bytes.
    fn descriptor(&mut self, tag: u32, value: [u8; 8]) {
        self.put(&tag.to_be_bytes());
        self.put(&8_u32.to_be_bytes());
        self.put(&value);
    }

    /// The descriptor that repeats which LS is answered.
    fn answers(mut self, ls: u8) -> Self {
        self.descriptor(DESC_RQST, [ls, 0, 0, 0, 0, 0, 0, 0]);
        self
    }

    fn with(mut self, tag: u32, value: [u8; 8]) -> Self {
        self.descriptor(tag, value);
        self
    }

    fn bytes(&mut self) -> &[u8] {
        // CAST: It is below `LONGEST`.
        let list = (self.length - 8) as u32;
        self.bytes[4..8].copy_from_slice(&list.to_be_bytes());
        &self.bytes[..self.length]
    }
}

/// Whether an LS request is to create an association.
pub(crate) fn creates_association(request: &Request) -> bool {
    request.ls() == LS_CREATE_ASSOCIATION
}

/// Accepts an LS request. What it creates gets this number.
pub(crate) fn accept(request: Request, number: u64) {
    let ls = request.ls();
    let accepted = Message::new(LS_ACC).answers(ls);
    let mut message = match ls {
        LS_CREATE_ASSOCIATION => accepted
            .with(DESC_ASSOC_ID, number.to_be_bytes())
            .with(DESC_CONN_ID, number.to_be_bytes()),
        LS_CREATE_CONNECTION => accepted.with(DESC_CONN_ID, number.to_be_bytes()),
        _ => accepted,
    };
    request.answer(message.bytes());
}

/// Rejects an LS request.
pub(crate) fn reject(request: Request) {
    let reason = [0, REASON_UNABLE, 0, 0, 0, 0, 0, 0];
    let mut message = Message::new(LS_RJT)
        .answers(request.ls())
        .with(DESC_RJT, reason);
    request.answer(message.bytes());
}

/// A Disconnect Association that the target sends.
pub(crate) fn disconnect(association: u64) -> [u8; DISCONNECT_LENGTH] {
    let mut message =
        Message::new(LS_DISCONNECT_ASSOC).with(DESC_ASSOC_ID, association.to_be_bytes());
    message.put(&DESC_DISCONN_CMD.to_be_bytes());
    message.put(&16_u32.to_be_bytes());
    message.put(&[0; 16]);
    let mut bytes = [0; DISCONNECT_LENGTH];
    bytes.copy_from_slice(message.bytes());
    bytes
}

/// What becomes of a command.
pub(crate) enum Done {
    /// It has ended.
    Ended,
    /// It goes on until it is aborted.
    Waits(Command),
}

/// Carries out a command.
pub(crate) fn execute(command: Command) -> Done {
    let sqe = command.sqe();
    let word = |at: usize| u32::from_le_bytes([sqe[at], sqe[at + 1], sqe[at + 2], sqe[at + 3]]);
    let result = match (sqe[0], sqe[4]) {
        (ASYNC_EVENT, _) => return Done::Waits(command),
        (FABRICS, FABRICS_CONNECT) => u64::from(CNTLID),
        (FABRICS, FABRICS_PROPERTY_GET) => property(word(44)),
        // As many queues as it asks for.
        (SET_FEATURES, _) => u64::from(word(44)),
        (IDENTIFY, _) if word(40) == 1 => {
            let identity = identify(command.connection());
            return finish(command, 0, identity.as_deref());
        }
        _ => 0,
    };
    finish(command, result, None)
}

fn finish(command: Command, result: u64, data: Option<&[u8]>) -> Done {
    command.complete(result, data);
    Done::Ended
}

fn property(offset: u32) -> u64 {
    match offset {
        // 128 entries a queue, two seconds, the NVM command set.
        CAP => 127 | (4 << 24) | (1 << 37),
        VS => 0x1_0300,
        // It is always ready.
        CSTS => 1,
        _ => 0,
    }
}

/// The data of the controller that has this connection, in a subsystem of its own. `None`: there is
/// no memory, and then they are zeroes.
fn identify(connection: u64) -> Option<KVec<u8>> {
    let mut data = KVec::from_elem(0, 4096, GFP_ATOMIC).ok()?;
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(room) = data.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    };
    put(4, b"                    ");
    // Digits in any order will do.
    for digit in 0..16_u8 {
        let value = (connection >> (4 * digit)) & 15;
        // CAST: It is below 16.
        put(4 + usize::from(digit), &[b'a' + value as u8]);
    }
    put(24, b"LLDD for tests                          ");
    put(64, b"1       ");
    put(78, &CNTLID.to_le_bytes());
    put(80, &0x1_0300_u32.to_le_bytes());
    // An I/O controller; keep-alive in steps of 100 ms.
    put(111, &[1]);
    put(320, &1_u16.to_le_bytes());
    // Sizes of entries, commands, SGLs.
    put(512, &[0x66, 0x44]);
    put(514, &128_u16.to_le_bytes());
    put(536, &1_u32.to_le_bytes());
    // Sizes of capsules in 16 bytes.
    put(1792, &4_u32.to_le_bytes());
    put(1796, &1_u32.to_le_bytes());
    Some(data)
}
