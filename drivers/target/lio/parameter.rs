// SPDX-License-Identifier: GPL-2.0

//! Module parameters with functions of their own.
//!
//! The kernel crate's parameters are numbers that are read when the module is loaded. These can be
//! written at any time and act at once. The tables that the kernel looks for are made by
//! `module_param_cb()`, a C macro, in the shim.

use super::bindings;
use super::output::Output;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// A module parameter.
///
/// Its functions may be called before the module's `init`: for what the command line says.
pub(crate) trait Parameter {
    /// Takes what was written, which may end with a newline.
    fn set(text: &[u8]) -> Result;

    /// Prints the value and a newline. Never called for a parameter that cannot be read.
    fn get(out: &mut Output<'_>) -> Result;
}

/// Sets parameter `P` (`struct kernel_param_ops::set`).
///
/// # Safety
///
/// `value` is NUL-terminated.
pub(crate) unsafe extern "C" fn set<P: Parameter>(
    value: *const c_char,
    _: *const bindings::kernel_param,
) -> c_int {
    // SAFETY: By the safety requirements.
    let text = unsafe { CStr::from_char_ptr(value) };
    kernel::error::from_result(|| P::set(text.to_bytes()).map(|()| 0))
}

/// Prints parameter `P` (`struct kernel_param_ops::get`).
///
/// # Safety
///
/// `buffer` is a page.
pub(crate) unsafe extern "C" fn get<P: Parameter>(
    buffer: *mut c_char,
    _: *const bindings::kernel_param,
) -> c_int {
    // SAFETY: By the safety requirements.
    let mut out = Output::new(unsafe { &mut *buffer.cast::<[u8; PAGE_SIZE]>() });
    kernel::error::from_result(|| {
        P::get(&mut out)?;
        Ok(out.length() as c_int)
    })
}
