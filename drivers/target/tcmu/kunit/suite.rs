// SPDX-License-Identifier: GPL-2.0

//! Suites and assertions.
//!
//! The attribute `kunit_tests` of the kernel crate is for a KUnit that is built in. Distributions
//! build it as a module; for that, its parts are put together here.

/// Declares a suite: its name, and functions without arguments.
macro_rules! suite {
    ($name:ident: $($test:ident),+ $(,)?) => {
        const _: () = {
            const COUNT: usize = [$(stringify!($test)),+].len();

            static mut CASES: [::kernel::bindings::kunit_case; COUNT + 1] = [
                $({
                    /// # Safety
                    ///
                    /// None: what KUnit hands over is not used.
                    unsafe extern "C" fn run(_test: *mut ::kernel::bindings::kunit) {
                        $test();
                    }
                    ::kernel::kunit::kunit_case(::kernel::c_str!(stringify!($test)), run)
                },)+
                ::pin_init::zeroed(),
            ];

            ::kernel::kunit_unsafe_test_suite!($name, CASES);
        };
    };
}
pub(crate) use suite;

/// Fails the running test unless the condition holds.
macro_rules! check {
    ($condition:expr $(,)?) => {
        ::kernel::kunit_assert!("tcmu", c"drivers/target/tcmu/kunit", 0, $condition)
    };
}
pub(crate) use check;

/// Fails the running test unless both are equal.
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::suite::check!($left == $right)
    };
}
pub(crate) use check_eq;
