// SPDX-License-Identifier: GPL-2.0
//! Constants and layouts of `include/uapi/linux/target_core_user.h`, version 2 of the mailbox.
//!
//! The structures below are never placed over shared memory; they exist so that the offsets used by
//! the rest of the crate come from the compiler and are compared with the numbers of the C header.

use std::mem::{offset_of, size_of};

/// `TCMU_MAILBOX_VERSION`: the only mailbox version this crate talks.
pub const MAILBOX_VERSION: u16 = 2;
/// The kernel accepts completions in any order.
pub const MAILBOX_FLAG_CAP_OOOC: u16 = 1 << 0;
/// The kernel honours [`UFLAG_READ_LEN`].
pub const MAILBOX_FLAG_CAP_READ_LEN: u16 = 1 << 1;
/// The kernel may put [`Op::Tmr`] entries on the ring.
pub const MAILBOX_FLAG_CAP_TMR: u16 = 1 << 2;
/// The kernel honours [`UFLAG_KEEP_BUF`].
pub const MAILBOX_FLAG_CAP_KEEP_BUF: u16 = 1 << 3;

/// Set by user space: the command is not supported. The kernel answers the initiator.
pub const UFLAG_UNKNOWN_OP: u8 = 0x1;
/// Set by user space: the response's read length is valid.
pub const UFLAG_READ_LEN: u8 = 0x2;
/// Set by user space: keep the data buffer after completion.
pub const UFLAG_KEEP_BUF: u8 = 0x4;

/// Low bits of the first word of an entry that hold its [`Op`]; the others hold its length.
pub const OP_MASK: u32 = 0x7;
/// Every entry's length is a multiple of this many bytes.
pub const OP_ALIGN: u32 = 8;
/// Bytes of sense data in a response.
pub const SENSE_BUFFER_SIZE: usize = 96;

/// Generic netlink family.
pub const GENL_FAMILY: &str = "TCM-USER";
/// Version of the generic netlink family.
pub const GENL_VERSION: u8 = 2;
/// Multicast group on which the kernel announces devices.
pub const GENL_GROUP: &str = "config";

/// Kind of a ring entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Op {
    /// Filler up to the end of the ring.
    Pad = 0,
    /// A SCSI command.
    Cmd = 1,
    /// Task management took place.
    Tmr = 2,
}

impl Op {
    /// The kind in an entry's first word, `None` for one that version 2 does not define.
    pub fn of(len_op: u32) -> Option<Self> {
        match len_op & OP_MASK {
            0 => Some(Self::Pad),
            1 => Some(Self::Cmd),
            2 => Some(Self::Tmr),
            _ => None,
        }
    }
}

/// The length in bytes in an entry's first word, header included.
pub fn entry_len(len_op: u32) -> u32 {
    len_op & !OP_MASK
}

/// Name of a `TCMU_TMR_*` number, as the C header spells it without the prefix.
pub fn tmr_type_name(tmr_type: u8) -> &'static str {
    match tmr_type {
        1 => "ABORT_TASK",
        2 => "ABORT_TASK_SET",
        3 => "CLEAR_ACA",
        4 => "CLEAR_TASK_SET",
        5 => "LUN_RESET",
        6 => "TARGET_WARM_RESET",
        7 => "TARGET_COLD_RESET",
        128 => "LUN_RESET_PRO",
        _ => "UNKNOWN",
    }
}

#[repr(C)]
struct Mailbox {
    version: u16,
    flags: u16,
    cmdr_off: u32,
    cmdr_size: u32,
    cmd_head: u32,
    pad: [u8; 48],
    cmd_tail: u32,
    pad_end: [u8; 60],
}

#[repr(C)]
struct EntryHeader {
    len_op: u32,
    cmd_id: u16,
    kflags: u8,
    uflags: u8,
}

#[repr(C)]
struct CmdRequest {
    hdr: EntryHeader,
    iov_cnt: u32,
    iov_bidi_cnt: u32,
    iov_dif_cnt: u32,
    cdb_off: u64,
    pad1: u64,
    pad2: u64,
    iov: [Iovec; 0],
}

#[repr(C)]
struct CmdResponse {
    hdr: EntryHeader,
    scsi_status: u8,
    pad1: u8,
    pad2: u16,
    read_len: u32,
    sense_buffer: [u8; SENSE_BUFFER_SIZE],
}

#[repr(C)]
struct TmrEntry {
    hdr: EntryHeader,
    tmr_type: u8,
    pad1: u8,
    pad2: u16,
    cmd_cnt: u32,
    pad3: u64,
    pad4: u64,
    cmd_ids: [u16; 0],
}

#[repr(C)]
struct Iovec {
    base: u64,
    len: u64,
}

/// Bytes of the mailbox; the command ring of every known kernel follows it directly.
pub const MAILBOX_SIZE: usize = size_of::<Mailbox>();
/// Offset of the mailbox's version (16 bits).
pub const MB_VERSION: usize = offset_of!(Mailbox, version);
/// Offset of the mailbox's flags (16 bits).
pub const MB_FLAGS: usize = offset_of!(Mailbox, flags);
/// Offset of the ring's offset from the start of the region (32 bits).
pub const MB_CMDR_OFF: usize = offset_of!(Mailbox, cmdr_off);
/// Offset of the ring's size in bytes (32 bits).
pub const MB_CMDR_SIZE: usize = offset_of!(Mailbox, cmdr_size);
/// Offset of the producer's position, written by the kernel (32 bits).
pub const MB_CMD_HEAD: usize = offset_of!(Mailbox, cmd_head);
/// Offset of the consumer's position, written by user space (32 bits).
pub const MB_CMD_TAIL: usize = offset_of!(Mailbox, cmd_tail);

/// Bytes of an entry's header.
pub const HDR_SIZE: u32 = size_of::<EntryHeader>() as u32;
/// Offset of the length and the kind in an entry (32 bits).
pub const HDR_LEN_OP: usize = offset_of!(EntryHeader, len_op);
/// Offset of the command id in an entry (16 bits).
pub const HDR_CMD_ID: usize = offset_of!(EntryHeader, cmd_id);
/// Offset of the kernel's flags in an entry (8 bits).
pub const HDR_KFLAGS: usize = offset_of!(EntryHeader, kflags);
/// Offset of user space's flags in an entry (8 bits).
pub const HDR_UFLAGS: usize = offset_of!(EntryHeader, uflags);

/// Offset of the number of data I/O vectors in a command (32 bits).
pub const REQ_IOV_CNT: usize = offset_of!(CmdRequest, iov_cnt);
/// Offset of the number of Data-In I/O vectors of a bidirectional command (32 bits).
pub const REQ_IOV_BIDI_CNT: usize = offset_of!(CmdRequest, iov_bidi_cnt);
/// Offset of the number of protection I/O vectors in a command (32 bits).
pub const REQ_IOV_DIF_CNT: usize = offset_of!(CmdRequest, iov_dif_cnt);
/// Offset of the CDB's offset from the start of the region (64 bits).
pub const REQ_CDB_OFF: usize = offset_of!(CmdRequest, cdb_off);
/// Offset of the first I/O vector in a command.
pub const REQ_IOV: usize = offset_of!(CmdRequest, iov);
/// Bytes of one I/O vector: a 64-bit offset from the start of the region and a 64-bit length.
pub const IOV_SIZE: usize = size_of::<Iovec>();
/// Offset of the length in an I/O vector.
pub const IOV_LEN: usize = offset_of!(Iovec, len);

/// Bytes of a command entry without I/O vectors beyond the response, the least a slot may have.
pub const CMD_ENTRY_SIZE: u32 = size_of::<CmdResponse>() as u32;
/// Offset of the SCSI status in a response (8 bits).
pub const RSP_STATUS: usize = offset_of!(CmdResponse, scsi_status);
/// Offset of the number of bytes read in a response (32 bits).
pub const RSP_READ_LEN: usize = offset_of!(CmdResponse, read_len);
/// Offset of the sense data in a response.
pub const RSP_SENSE: usize = offset_of!(CmdResponse, sense_buffer);

/// Bytes of a task management entry without ids.
pub const TMR_ENTRY_SIZE: u32 = size_of::<TmrEntry>() as u32;
/// Offset of the kind of task management (8 bits).
pub const TMR_TYPE: usize = offset_of!(TmrEntry, tmr_type);
/// Offset of the number of command ids (32 bits).
pub const TMR_CMD_CNT: usize = offset_of!(TmrEntry, cmd_cnt);
/// Offset of the first command id (16 bits each).
pub const TMR_CMD_IDS: usize = offset_of!(TmrEntry, cmd_ids);

// The numbers of the C header, as the compiler of the kernel lays it out on 64-bit machines.
const _: () = {
    assert!(MAILBOX_SIZE == 128);
    assert!(MB_VERSION == 0 && MB_FLAGS == 2 && MB_CMDR_OFF == 4 && MB_CMDR_SIZE == 8);
    assert!(MB_CMD_HEAD == 12 && MB_CMD_TAIL == 64);
    assert!(HDR_SIZE == 8 && HDR_LEN_OP == 0 && HDR_CMD_ID == 4);
    assert!(HDR_KFLAGS == 6 && HDR_UFLAGS == 7);
    assert!(REQ_IOV_CNT == 8 && REQ_IOV_BIDI_CNT == 12 && REQ_IOV_DIF_CNT == 16);
    assert!(REQ_CDB_OFF == 24 && REQ_IOV == 48 && IOV_SIZE == 16 && IOV_LEN == 8);
    assert!(CMD_ENTRY_SIZE == 112 && RSP_STATUS == 8 && RSP_READ_LEN == 12 && RSP_SENSE == 16);
    assert!(TMR_ENTRY_SIZE == 32 && TMR_TYPE == 8 && TMR_CMD_CNT == 12 && TMR_CMD_IDS == 32);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_kind_share_a_word() {
        assert_eq!(Op::of(120 | 1), Some(Op::Cmd));
        assert_eq!(entry_len(120 | 1), 120);
        assert_eq!(Op::of(8), Some(Op::Pad));
        assert_eq!(Op::of(40 | 2), Some(Op::Tmr));
        assert_eq!(Op::of(7), None);
    }

    #[test]
    fn every_tmr_type_has_a_name() {
        let named = (0..=255u8).filter(|t| tmr_type_name(*t) != "UNKNOWN");
        assert_eq!(named.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 128]);
    }
}
