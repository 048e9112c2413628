// SPDX-License-Identifier: GPL-2.0

//! Layout of the shared memory (`include/uapi/linux/target_core_user.h`), as 8-byte words.
//!
//! Every entry starts at a multiple of 8 and consists of whole words. The ring is read and written
//! a word at a time, so no field can be fetched twice by accident. Words are put together in memory
//! order, whatever the byte order of the machine.
//!
//! The numbers are literals, because these files know no kernel types; `uapi_check.rs` compares
//! each with the header.

/// Version of the interface (`TCMU_MAILBOX_VERSION`).
pub(crate) const MAILBOX_VERSION: u16 = 2;

/// Out-of-order completion, read length, TMR notification, kept buffers
/// (`TCMU_MAILBOX_FLAG_CAP_*`).
pub(crate) const MAILBOX_FLAGS: u16 = 0xf;

/// Offset in `struct tcmu_mailbox` of the word with `version`, `flags` and `cmdr_off`.
pub(crate) const MAILBOX_LAYOUT_OFFSET: usize = 0;

/// Offset in `struct tcmu_mailbox` of the word with `cmdr_size` and `cmd_head`.
pub(crate) const MAILBOX_HEAD_OFFSET: usize = 8;

/// Offset in `struct tcmu_mailbox` of the word with `cmd_tail`, the only field that user space
/// writes; the rest of the word is unused.
pub(crate) const MAILBOX_TAIL_OFFSET: usize = 64;

/// Offset of the command ring from the start of the mapping: the size of `struct tcmu_mailbox`.
pub(crate) const RING_OFFSET: u32 = 128;

/// Alignment of entries in bytes (`TCMU_OP_ALIGN_SIZE`).
pub(crate) const ALIGN: u32 = 8;

/// Size of `struct tcmu_cmd_entry` in bytes; also what a response needs.
pub(crate) const CMD_ENTRY_SIZE: u32 = 112;

/// Offset of the word with `req.iov_cnt` and `req.iov_bidi_cnt` in a command entry in bytes.
pub(crate) const IOV_CNT_OFFSET: u32 = 8;

/// Offset of the word with `req.iov_dif_cnt` in a command entry in bytes.
pub(crate) const IOV_DIF_CNT_OFFSET: u32 = 16;

/// Offset of `req.cdb_off` in a command entry in bytes.
pub(crate) const CDB_OFF_OFFSET: u32 = 24;

/// Offset of the two unused words of a request in a command entry in bytes.
pub(crate) const REQUEST_PAD_OFFSET: u32 = 32;

/// Offset of `req.iov` in a command entry in bytes.
pub(crate) const IOV_OFFSET: u32 = 48;

/// Size of `struct iovec` in bytes, on the 64-bit machines that the module is built for.
pub(crate) const IOV_SIZE: u32 = 16;

/// Offset of `rsp.scsi_status` in a command entry in bytes; `rsp.read_len` is in the same word.
pub(crate) const RESPONSE_OFFSET: u32 = 8;

/// Offset of `rsp.sense_buffer` in a command entry in bytes.
pub(crate) const SENSE_OFFSET: u32 = 16;

/// Size of the sense buffer of a response in bytes (`TCMU_SENSE_BUFFERSIZE`).
pub(crate) const SENSE_SIZE: usize = 96;

/// Offset of the word with `tmr_type` and `cmd_cnt` in a TMR entry in bytes.
pub(crate) const TMR_TYPE_OFFSET: u32 = 8;

/// Offset of the two unused words of a TMR entry in bytes.
pub(crate) const TMR_PAD_OFFSET: u32 = 16;

/// Offset of `cmd_ids` in a TMR entry in bytes.
pub(crate) const TMR_IDS_OFFSET: u32 = 32;

/// `TCMU_UFLAG_UNKNOWN_OP`
pub(crate) const UFLAG_UNKNOWN_OP: u8 = 0x1;
/// `TCMU_UFLAG_READ_LEN`
pub(crate) const UFLAG_READ_LEN: u8 = 0x2;
/// `TCMU_UFLAG_KEEP_BUF`
pub(crate) const UFLAG_KEEP_BUF: u8 = 0x4;

/// Kind of an entry (`enum tcmu_opcode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// Fills the end of the ring.
    Pad = 0,
    /// A SCSI command.
    Command = 1,
    /// A task management notification.
    Tmr = 2,
}

/// Puts a word together from bytes in memory order.
fn word(parts: [[u8; 2]; 4]) -> u64 {
    let [[a, b], [c, d], [e, f], [g, h]] = parts;
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// A word of two 32-bit fields in memory order.
pub(crate) fn pair(first: u32, second: u32) -> u64 {
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, g, h] = second.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// The first of two 32-bit fields of a word.
pub(crate) fn first_of_pair(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

/// The first word of the mailbox, which never changes.
pub(crate) fn mailbox_layout() -> u64 {
    let [a, b] = MAILBOX_VERSION.to_ne_bytes();
    let [c, d] = MAILBOX_FLAGS.to_ne_bytes();
    pair(u32::from_ne_bytes([a, b, c, d]), RING_OFFSET)
}

/// A word of four 16-bit fields in memory order, as in the id list of a TMR entry.
pub(crate) fn quad(ids: [u16; 4]) -> u64 {
    word(ids.map(u16::to_ne_bytes))
}

/// The header word of an entry (`struct tcmu_cmd_entry_hdr`) with `kflags` and `uflags` 0.
///
/// `len` is a multiple of 8.
pub(crate) fn header(kind: EntryKind, len: u32, id: u16) -> u64 {
    let [a, b, c, d] = (len | kind as u32).to_ne_bytes();
    let [e, f] = id.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, 0, 0])
}

/// The second word of a TMR entry: type and number of ids.
pub(crate) fn tmr_word(kind: u8, count: u32) -> u64 {
    let [e, f, g, h] = count.to_ne_bytes();
    u64::from_ne_bytes([kind, 0, 0, 0, e, f, g, h])
}

/// The fields of user space in the header of a completed entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompletionHeader {
    /// Which command this slot completes; any command on the ring, not only the slot's own.
    pub(crate) id: u16,
    /// The operation code is not known.
    pub(crate) unknown_op: bool,
    /// `read_len` is valid.
    pub(crate) read_len: bool,
    /// The data buffer stays with user space until `free_kept_buf`.
    pub(crate) keep_buf: bool,
}

impl CompletionHeader {
    /// Takes the fields of user space from a header word.
    pub(crate) fn from_word(value: u64) -> Self {
        let [_, _, _, _, id0, id1, _, uflags] = value.to_ne_bytes();
        Self {
            id: u16::from_ne_bytes([id0, id1]),
            unknown_op: uflags & UFLAG_UNKNOWN_OP != 0,
            read_len: uflags & UFLAG_READ_LEN != 0,
            keep_buf: uflags & UFLAG_KEEP_BUF != 0,
        }
    }
}

/// Splits the response word into SAM status and `read_len`.
pub(crate) fn response(value: u64) -> (u8, u32) {
    let [status, _, _, _, e, f, g, h] = value.to_ne_bytes();
    (status, u32::from_ne_bytes([e, f, g, h]))
}
