// SPDX-License-Identifier: GPL-2.0

//! The atomics, once for each library that has them.

/// What can be done with a type whose atomic is `$repr`.
macro_rules! operations {
    ($type:ident, $repr:ident) => {
        impl Operations for $type {
            type Repr = library::$repr;

            fn repr(self) -> Self::Repr {
                Self::Repr::new(self)
            }

            fn load(repr: &Self::Repr, order: Native) -> Self {
                repr.load(order)
            }

            fn store(repr: &Self::Repr, value: Self, order: Native) {
                repr.store(value, order);
            }

            fn xchg(repr: &Self::Repr, value: Self, order: Native) -> Self {
                repr.swap(value, order)
            }

            fn cmpxchg(
                repr: &Self::Repr,
                old: Self,
                new: Self,
                order: Native,
            ) -> Result<Self, Self> {
                repr.compare_exchange(old, new, order, Native::Relaxed)
            }
        }

        impl super::AtomicType for $type {}
    };
}

/// The same of numbers.
macro_rules! numbers {
    ($($type:ident, $repr:ident;)+) => {
        $(
            operations!($type, $repr);

            impl Arithmetic for $type {
                fn fetch_add(repr: &Self::Repr, value: Self, order: Native) -> Self {
                    repr.fetch_add(value, order)
                }

                fn fetch_sub(repr: &Self::Repr, value: Self, order: Native) -> Self {
                    repr.fetch_sub(value, order)
                }
            }

            impl super::AtomicNumber for $type {}
        )+
    };
}

/// Defines the atomics on those of `$library`, which is `core` or has the same interface.
macro_rules! atomics {
    ($library:ident) => {
        pub use crate::ordering::{self, Acquire, Full, Relaxed, Release};

        use ::$library::sync::atomic as library;
        use core::sync::atomic::Ordering as Native;
        use ordering::Sealed as _;

        /// A type that can be atomic.
        pub trait AtomicType: Copy + private::Operations {}

        /// A number that can be atomic.
        pub trait AtomicNumber: AtomicType + private::Arithmetic {}

        mod private {
            use super::{library, Native};

            /// What can be done with a value of the type.
            pub trait Operations: Sized {
                /// The library's type.
                type Repr;
                /// Makes it.
                fn repr(self) -> Self::Repr;
                /// Reads it.
                fn load(repr: &Self::Repr, order: Native) -> Self;
                /// Writes it.
                fn store(repr: &Self::Repr, value: Self, order: Native);
                /// Replaces the value.
                fn xchg(repr: &Self::Repr, value: Self, order: Native) -> Self;
                /// Replaces the value if it is `old`.
                fn cmpxchg(
                    repr: &Self::Repr,
                    old: Self,
                    new: Self,
                    order: Native,
                ) -> Result<Self, Self>;
            }

            /// What can be done with a number.
            pub trait Arithmetic: Operations {
                /// Adds to it; the result is what was there.
                fn fetch_add(repr: &Self::Repr, value: Self, order: Native) -> Self;
                /// Subtracts from it; the result is what was there.
                fn fetch_sub(repr: &Self::Repr, value: Self, order: Native) -> Self;
            }

            operations!(bool, AtomicBool);
            operations!(i8, AtomicI8);
            operations!(i16, AtomicI16);
            numbers! {
                i32, AtomicI32;
                i64, AtomicI64;
                isize, AtomicIsize;
                u32, AtomicU32;
                u64, AtomicU64;
                usize, AtomicUsize;
            }
        }

        /// A value that threads share.
        pub struct Atomic<T: AtomicType>(T::Repr);

        impl<T: AtomicType> Atomic<T> {
            /// Makes one.
            pub fn new(value: T) -> Self {
                Self(value.repr())
            }

            /// Reads the value.
            pub fn load<O: ordering::AcquireOrRelaxed>(&self, _: O) -> T {
                T::load(&self.0, O::NATIVE)
            }

            /// Writes the value.
            pub fn store<O: ordering::ReleaseOrRelaxed>(&self, value: T, _: O) {
                T::store(&self.0, value, O::NATIVE);
            }

            /// Replaces the value; the result is what was there.
            pub fn xchg<O: ordering::Ordering>(&self, value: T, _: O) -> T {
                T::xchg(&self.0, value, O::NATIVE)
            }

            /// Replaces the value if it is `old`; the result is what was there, an error if it was
            /// something else.
            pub fn cmpxchg<O: ordering::Ordering>(&self, old: T, new: T, _: O) -> Result<T, T> {
                T::cmpxchg(&self.0, old, new, O::NATIVE)
            }
        }

        impl<T: AtomicNumber> Atomic<T> {
            /// Adds to the value; it wraps.
            pub fn add(&self, value: T, _: Relaxed) {
                T::fetch_add(&self.0, value, Relaxed::NATIVE);
            }

            /// Adds to the value; it wraps. The result is what was there.
            pub fn fetch_add<O: ordering::Ordering>(&self, value: T, _: O) -> T {
                T::fetch_add(&self.0, value, O::NATIVE)
            }

            /// Subtracts from the value; it wraps. The result is what was there.
            pub fn fetch_sub<O: ordering::Ordering>(&self, value: T, _: O) -> T {
                T::fetch_sub(&self.0, value, O::NATIVE)
            }
        }
    };
}

/// Defines the barriers that `$library` has, with the names of `kernel::sync::barrier`.
macro_rules! barriers {
    ($library:ident) => {
        pub use crate::ordering::Full;

        /// Memory accesses before it are seen by all threads before those after it.
        pub fn smp_mb(_: Full) {
            ::$library::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
        }
    };
}
