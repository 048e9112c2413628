// SPDX-License-Identifier: GPL-2.0

//! The type of `tmr_notify`, of which a kernel with CONFIG_CFI takes the hash.
//!
//! The hash of an enum parameter is made from the name of the enum. The bindings have a plain number
//! instead, whose hash differs: the call would trap if caller and function are of two languages.

use super::bindings;

/// A task management function (`enum tcm_tmreq_table`) as a parameter.
///
/// A C structure of the name of the enum has its hash, and one with a single number is passed as
/// that number on all architectures that the modules are built for (64 bits, little endian).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct tcm_tmreq_table(pub(crate) bindings::tcm_tmreq_table);

/// `tmr_notify` of a backend (`struct target_backend_ops`).
pub(crate) type TmrNotify =
    unsafe extern "C" fn(*mut bindings::se_device, tcm_tmreq_table, *mut bindings::list_head);
