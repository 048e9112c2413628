// SPDX-License-Identifier: GPL-2.0

//! The life of a module.
//!
//! C header: `include/linux/module.h`

use super::bindings;
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic, //
    },
};

/// Whether the initialisation of `module` is not over yet, or fails just now.
///
/// Never so for what is built into the kernel: nobody frees it, whatever becomes of its
/// initialisation.
#[inline]
pub fn is_coming(module: &ThisModule) -> bool {
    let module = module.as_ptr();
    if module.is_null() {
        return false;
    }
    // SAFETY: This is part of the module or called by it, so that it is there. The module loader
    // writes the state as a plain word.
    let state = unsafe { Atomic::from_ptr(&raw mut (*module).state) };
    state.load(Acquire) == bindings::module_state_MODULE_STATE_COMING
}

/// Keeps `module` from being unloaded, for ever. Fails if it is being unloaded already: nobody has
/// a reference to it then.
#[inline]
pub fn keep(module: &ThisModule) -> bool {
    // SAFETY: As above; a null pointer is allowed.
    unsafe { bindings::try_module_get(module.as_ptr()) }
}

/// Defines the type that stands for a module whose beginning and end are C, where the kernel crate
/// wants one that comes from `module!`.
///
/// ```ignore
/// c_module!(pub(crate) Rpcrdma, c"rpcrdma");
/// ```
#[cfg(ext_c_module)]
macro_rules! c_module {
    ($vis:vis $name:ident, $module:expr) => {
        /// The module that this is part of.
        $vis struct $name;

        impl kernel::module::ModuleMetadata for $name {
            const NAME: &'static kernel::str::CStr = $module;

            const THIS_MODULE: kernel::ThisModule = {
                #[cfg(MODULE)]
                let module = (&raw const kernel::bindings::__this_module).cast_mut();
                #[cfg(not(MODULE))]
                let module = core::ptr::null_mut();
                // SAFETY: It lives until the module is unloaded; what is built in has none.
                unsafe { kernel::ThisModule::from_ptr(module) }
            };
        }
    };
}
#[cfg(ext_c_module)]
pub(crate) use c_module;
