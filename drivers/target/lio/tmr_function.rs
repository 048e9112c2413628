// SPDX-License-Identifier: GPL-2.0

//! The type of `tmr_notify`, of which a kernel with CONFIG_CFI takes the hash.
//!
//! The hash of an enum parameter is made from the name of the enum. The bindings have a plain number
//! instead, whose hash differs: the call would trap if caller and function are of two languages.

use super::bindings;

/// A task management function (`enum tcm_tmreq_table`) as a parameter.
///
/// A C structure of the name of the enum has its hash. One of 64 bits is passed in the register in
/// which a number would be, on 64-bit little-endian architectures; the upper half, which some of
/// them expect to be the extended number, is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct tcm_tmreq_table {
    /// What was passed. C says nothing about the upper half.
    pub(crate) function: bindings::tcm_tmreq_table,
    upper: u32,
}

impl tcm_tmreq_table {
    /// To be passed on.
    pub(crate) fn new(function: bindings::tcm_tmreq_table) -> Self {
        Self { function, upper: 0 }
    }
}

/// `tmr_notify` of a backend (`struct target_backend_ops`).
pub(crate) type TmrNotify =
    unsafe extern "C" fn(*mut bindings::se_device, tcm_tmreq_table, *mut bindings::list_head);
