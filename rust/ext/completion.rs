// SPDX-License-Identifier: GPL-2.0

//! Completions whose waits end.
//!
//! The kernel crate's `Completion` only waits without end, and wakes all who wait.
//!
//! C header: `include/linux/completion.h`

use super::{
    bindings,
    foreign::Foreign, //
};
use kernel::{
    prelude::*,
    time::Jiffies, //
};

/// Something that threads wait for.
#[pin_data]
pub struct Completion {
    #[pin]
    done: Foreign<bindings::completion>,
}

impl Completion {
    /// Makes a completion that has not come.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `init_completion()` initialises the whole struct, which has a lock of its
            // own.
            done <- unsafe {
                Foreign::ffi_init(|done| bindings::init_completion(done))
            },
        })
    }

    /// It has come: all who wait go on, and nobody waits from now on.
    #[inline]
    pub fn complete_all(&self) {
        // SAFETY: Initialised by `new`.
        unsafe { bindings::complete_all(self.done.as_ptr()) };
    }

    /// Waits, at most `timeout`, in process context.
    ///
    /// Errors: `EINTR` if the waiting process is being killed, `ETIMEDOUT`.
    pub fn wait_killable_timeout(&self, timeout: Jiffies) -> Result {
        // SAFETY: Initialised by `new`.
        let left =
            unsafe { bindings::wait_for_completion_killable_timeout(self.done.as_ptr(), timeout) };
        match left {
            0 => Err(ETIMEDOUT),
            left if left < 0 => Err(EINTR),
            _ => Ok(()),
        }
    }
}
