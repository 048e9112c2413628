// SPDX-License-Identifier: GPL-2.0

//! Task management functions.

use crate::ext::bindings;

/// A task management function (SAM-5 clause 7; `enum tcm_tmreq_table`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TmrFunction {
    /// ABORT TASK
    AbortTask = bindings::tcm_tmreq_table_TMR_ABORT_TASK,
    /// ABORT TASK SET
    AbortTaskSet = bindings::tcm_tmreq_table_TMR_ABORT_TASK_SET,
    /// CLEAR ACA
    ClearAca = bindings::tcm_tmreq_table_TMR_CLEAR_ACA,
    /// CLEAR TASK SET
    ClearTaskSet = bindings::tcm_tmreq_table_TMR_CLEAR_TASK_SET,
    /// LOGICAL UNIT RESET
    LunReset = bindings::tcm_tmreq_table_TMR_LUN_RESET,
    /// TARGET WARM RESET, obsolete since SAM-3
    TargetWarmReset = bindings::tcm_tmreq_table_TMR_TARGET_WARM_RESET,
    /// TARGET COLD RESET, obsolete since SAM-3
    TargetColdReset = bindings::tcm_tmreq_table_TMR_TARGET_COLD_RESET,
    /// No function of SAM: the aborts of PREEMPT AND ABORT (SPC-4 5.12.11.2.6)
    LunResetPro = bindings::tcm_tmreq_table_TMR_LUN_RESET_PRO,
    /// None of these
    Unknown = bindings::tcm_tmreq_table_TMR_UNKNOWN,
}

impl From<bindings::tcm_tmreq_table> for TmrFunction {
    fn from(function: bindings::tcm_tmreq_table) -> Self {
        match function {
            bindings::tcm_tmreq_table_TMR_ABORT_TASK => Self::AbortTask,
            bindings::tcm_tmreq_table_TMR_ABORT_TASK_SET => Self::AbortTaskSet,
            bindings::tcm_tmreq_table_TMR_CLEAR_ACA => Self::ClearAca,
            bindings::tcm_tmreq_table_TMR_CLEAR_TASK_SET => Self::ClearTaskSet,
            bindings::tcm_tmreq_table_TMR_LUN_RESET => Self::LunReset,
            bindings::tcm_tmreq_table_TMR_TARGET_WARM_RESET => Self::TargetWarmReset,
            bindings::tcm_tmreq_table_TMR_TARGET_COLD_RESET => Self::TargetColdReset,
            bindings::tcm_tmreq_table_TMR_LUN_RESET_PRO => Self::LunResetPro,
            _ => Self::Unknown,
        }
    }
}

/// A [`TmrFunction`] as `tmr_notify` is passed it, whose type a kernel with CONFIG_CFI hashes.
///
/// The hash of an enum parameter is made from the name of the enum. The bindings have a plain
/// number instead, whose hash differs: the call would trap if caller and function are of two
/// languages. A C structure of the name of the enum has its hash. One of 64 bits is passed in the
/// register in which a number would be, on 64-bit little-endian architectures; the upper half,
/// which some of them expect to be the extended number, is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tcm_tmreq_table {
    /// What was passed. C says nothing about the upper half.
    pub function: bindings::tcm_tmreq_table,
    upper: u32,
}

impl tcm_tmreq_table {
    /// To be passed on.
    pub fn new(function: bindings::tcm_tmreq_table) -> Self {
        Self { function, upper: 0 }
    }
}

/// `tmr_notify` of a backend (`struct target_backend_ops`).
pub type TmrNotify =
    unsafe extern "C" fn(*mut bindings::se_device, tcm_tmreq_table, *mut bindings::list_head);
