// SPDX-License-Identifier: GPL-2.0

//! Compares the numbers in `logic/uapi.rs` and `logic/sam.rs` with the kernel's headers, when the
//! module is compiled.
//!
//! C headers: `include/uapi/linux/target_core_user.h`, `include/scsi/scsi_proto.h`

use super::ext::bindings::{
    self,
    tcmu_cmd_entry,
    tcmu_cmd_entry__bindgen_ty_1__bindgen_ty_1 as tcmu_cmd_request,
    tcmu_cmd_entry__bindgen_ty_1__bindgen_ty_2 as tcmu_cmd_response,
    tcmu_cmd_entry_hdr,
    tcmu_mailbox,
    tcmu_tmr_entry, //
};
use super::logic::{
    sam::SamStatus,
    uapi::{
        self,
        EntryKind, //
    },
    TmrKind, //
};
use core::mem::offset_of;
use kernel::prelude::*;

/// The build ends unless the numbers are the same.
macro_rules! same {
    ($($ours:expr => $theirs:expr,)+) => {
        $(static_assert!($ours as usize == $theirs as usize);)+
    };
}

/// Where request and response begin in a command entry.
const BODY: usize = offset_of!(tcmu_cmd_entry, __bindgen_anon_1);

// Mailbox: the words, and where the fields are in them.
same! {
    uapi::MAILBOX_VERSION => bindings::TCMU_MAILBOX_VERSION,
    uapi::MAILBOX_FLAGS => bindings::TCMU_MAILBOX_FLAG_CAP_OOOC
        | bindings::TCMU_MAILBOX_FLAG_CAP_READ_LEN
        | bindings::TCMU_MAILBOX_FLAG_CAP_TMR
        | bindings::TCMU_MAILBOX_FLAG_CAP_KEEP_BUF,
    uapi::MAILBOX_LAYOUT_OFFSET => offset_of!(tcmu_mailbox, version),
    uapi::MAILBOX_LAYOUT_OFFSET + 2 => offset_of!(tcmu_mailbox, flags),
    uapi::MAILBOX_LAYOUT_OFFSET + 4 => offset_of!(tcmu_mailbox, cmdr_off),
    uapi::MAILBOX_HEAD_OFFSET => offset_of!(tcmu_mailbox, cmdr_size),
    uapi::MAILBOX_HEAD_OFFSET + 4 => offset_of!(tcmu_mailbox, cmd_head),
    uapi::MAILBOX_TAIL_OFFSET => bindings::TCMU_MAILBOX_CMD_TAIL,
    uapi::RING_OFFSET => bindings::TCMU_MAILBOX_SIZE,
}

// Any entry.
same! {
    uapi::ALIGN => bindings::TCMU_ENTRY_ALIGN,
    uapi::ALIGN - 1 => bindings::TCMU_OP_MASK,
    EntryKind::Pad => bindings::tcmu_opcode_TCMU_OP_PAD,
    EntryKind::Command => bindings::tcmu_opcode_TCMU_OP_CMD,
    EntryKind::Tmr => bindings::tcmu_opcode_TCMU_OP_TMR,
    0 => offset_of!(tcmu_cmd_entry_hdr, len_op),
    4 => offset_of!(tcmu_cmd_entry_hdr, cmd_id),
    6 => offset_of!(tcmu_cmd_entry_hdr, kflags),
    7 => offset_of!(tcmu_cmd_entry_hdr, uflags),
    uapi::UFLAG_UNKNOWN_OP => bindings::TCMU_UFLAG_UNKNOWN_OP,
    uapi::UFLAG_READ_LEN => bindings::TCMU_UFLAG_READ_LEN,
    uapi::UFLAG_KEEP_BUF => bindings::TCMU_UFLAG_KEEP_BUF,
}

// A command entry.
same! {
    uapi::CMD_ENTRY_SIZE => size_of::<tcmu_cmd_entry>(),
    uapi::IOV_CNT_OFFSET => BODY + offset_of!(tcmu_cmd_request, iov_cnt),
    uapi::IOV_CNT_OFFSET + 4 => BODY + offset_of!(tcmu_cmd_request, iov_bidi_cnt),
    uapi::IOV_DIF_CNT_OFFSET => BODY + offset_of!(tcmu_cmd_request, iov_dif_cnt),
    uapi::CDB_OFF_OFFSET => BODY + offset_of!(tcmu_cmd_request, cdb_off),
    uapi::REQUEST_PAD_OFFSET => BODY + offset_of!(tcmu_cmd_request, __pad1),
    uapi::REQUEST_PAD_OFFSET + 8 => BODY + offset_of!(tcmu_cmd_request, __pad2),
    uapi::IOV_OFFSET => BODY + offset_of!(tcmu_cmd_request, __bindgen_anon_1),
    uapi::IOV_SIZE => size_of::<bindings::iovec>(),
    0 => offset_of!(bindings::iovec, iov_base),
    8 => offset_of!(bindings::iovec, iov_len),
    uapi::RESPONSE_OFFSET => BODY + offset_of!(tcmu_cmd_response, scsi_status),
    uapi::RESPONSE_OFFSET + 4 => BODY + offset_of!(tcmu_cmd_response, read_len),
    uapi::SENSE_OFFSET => BODY + offset_of!(tcmu_cmd_response, sense_buffer),
    uapi::SENSE_SIZE => bindings::TCMU_SENSE_BUFFERSIZE,
}

// A TMR entry.
same! {
    uapi::TMR_TYPE_OFFSET => offset_of!(tcmu_tmr_entry, tmr_type),
    uapi::TMR_TYPE_OFFSET + 4 => offset_of!(tcmu_tmr_entry, cmd_cnt),
    uapi::TMR_PAD_OFFSET => offset_of!(tcmu_tmr_entry, __pad3),
    uapi::TMR_PAD_OFFSET + 8 => offset_of!(tcmu_tmr_entry, __pad4),
    uapi::TMR_IDS_OFFSET => offset_of!(tcmu_tmr_entry, cmd_ids),
    TmrKind::Unknown => bindings::TCMU_TMR_UNKNOWN,
    TmrKind::AbortTask => bindings::TCMU_TMR_ABORT_TASK,
    TmrKind::AbortTaskSet => bindings::TCMU_TMR_ABORT_TASK_SET,
    TmrKind::ClearAca => bindings::TCMU_TMR_CLEAR_ACA,
    TmrKind::ClearTaskSet => bindings::TCMU_TMR_CLEAR_TASK_SET,
    TmrKind::LunReset => bindings::TCMU_TMR_LUN_RESET,
    TmrKind::TargetWarmReset => bindings::TCMU_TMR_TARGET_WARM_RESET,
    TmrKind::TargetColdReset => bindings::TCMU_TMR_TARGET_COLD_RESET,
    TmrKind::LunResetPro => bindings::TCMU_TMR_LUN_RESET_PRO,
}

// SAM statuses.
same! {
    SamStatus::CheckCondition => bindings::sam_status_SAM_STAT_CHECK_CONDITION,
    SamStatus::Busy => bindings::sam_status_SAM_STAT_BUSY,
    SamStatus::TaskSetFull => bindings::sam_status_SAM_STAT_TASK_SET_FULL,
    SamStatus::TaskAborted => bindings::sam_status_SAM_STAT_TASK_ABORTED,
}
