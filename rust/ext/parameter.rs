// SPDX-License-Identifier: GPL-2.0

//! Module parameters with functions of their own.
//!
//! The kernel crate's parameters are numbers that are read when the module is loaded. These can be
//! written at any time and act at once.
//!
//! C header: `include/linux/moduleparam.h` (`module_param_cb()`)

use super::{
    bindings,
    output::Output, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// A module parameter.
///
/// Its functions may be called before the module's `init`: for what the command line says.
pub trait Parameter {
    /// Mode of the file in sysfs, such as `0o644`.
    const MODE: u16;

    /// Takes what was written, which may end with a newline.
    fn set(text: &[u8]) -> Result;

    /// Prints the value and a newline. Never called for a parameter that cannot be read.
    fn get(out: &mut Output<'_>) -> Result;
}

/// The functions of parameter `P`, as C takes them.
pub const fn ops<P: Parameter>() -> bindings::kernel_param_ops {
    bindings::kernel_param_ops {
        set: Some(set::<P>),
        get: Some(get::<P>),
        ..pin_init::zeroed()
    }
}

/// # Safety
///
/// `value` is NUL-terminated.
unsafe extern "C" fn set<P: Parameter>(
    value: *const c_char,
    _: *const bindings::kernel_param,
) -> c_int {
    // SAFETY: By the safety requirements.
    let text = unsafe { CStr::from_char_ptr(value) };
    kernel::error::from_result(|| P::set(text.to_bytes()).map(|()| 0))
}

/// # Safety
///
/// `buffer` is a page.
unsafe extern "C" fn get<P: Parameter>(
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

/// Makes `$parameter` the parameter `$name` of the module `$module`, with a text for `modinfo`.
macro_rules! module_parameter {
    ($module:literal, $name:literal, $parameter:ty, $description:literal) => {
        #[allow(unsafe_code, reason = "names of sections count as unsafe")]
        const _: () = {
            use $crate::ext::{
                bindings,
                parameter::{
                    self,
                    Parameter, //
                },
            };

            static OPS: bindings::kernel_param_ops = parameter::ops::<$parameter>();

            const NAME: &str = if cfg!(MODULE) {
                concat!($name, "\0")
            } else {
                concat!($module, ".", $name, "\0")
            };

            const INFO: &str = if cfg!(MODULE) {
                concat!("parm=", $name, ":", $description, "\0")
            } else {
                concat!($module, ".parm=", $name, ":", $description, "\0")
            };

            #[link_section = "__param"]
            #[used(compiler)]
            static PARAMETER: kernel::module_param::KernelParam =
                kernel::module_param::KernelParam::new(bindings::kernel_param {
                    name: NAME.as_ptr().cast(),
                    #[cfg(MODULE)]
                    mod_: (&raw const bindings::__this_module).cast_mut(),
                    #[cfg(not(MODULE))]
                    mod_: core::ptr::null_mut(),
                    ops: &raw const OPS,
                    perm: <$parameter as Parameter>::MODE,
                    level: -1,
                    flags: 0,
                    __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
                        arg: core::ptr::null_mut(),
                    },
                });

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static MODINFO: [u8; INFO.len()] = match INFO.as_bytes().first_chunk() {
                Some(text) => *text,
                None => unreachable!(),
            };
        };
    };
}
pub(crate) use module_parameter;
