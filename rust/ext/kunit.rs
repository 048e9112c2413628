// SPDX-License-Identifier: GPL-2.0

//! Suites of KUnit.
//!
//! The attribute `kunit_tests` of the kernel crate is for a KUnit that is built in. Distributions
//! build it as a module; for that, its parts are put together here.
//!
//! C header: `include/kunit/test.h`

/// Declares a suite: its name, and functions without arguments.
macro_rules! suite {
    ($name:ident: $($test:ident),+ $(,)?) => {
        const _: () = {
            const COUNT: usize = [$(stringify!($test)),+].len();

            static mut CASES: [kernel::bindings::kunit_case; COUNT + 1] = [
                $({
                    /// # Safety
                    ///
                    /// None: what KUnit hands over is not used.
                    unsafe extern "C" fn run(_test: *mut kernel::bindings::kunit) {
                        $test();
                    }
                    kernel::kunit::kunit_case(kernel::c_str!(stringify!($test)), run)
                },)+
                pin_init::zeroed(),
            ];

            kernel::kunit_unsafe_test_suite!($name, CASES);
        };
    };
}
pub(crate) use suite;
