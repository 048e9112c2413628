// SPDX-License-Identifier: GPL-2.0

//! The memory orders, which are types as in the kernel crate.

use core::sync::atomic::Ordering as Native;

mod private {
    /// Only the orders here can be orders.
    pub trait Sealed {
        /// The order in the terms of `core`.
        const NATIVE: super::Native;
    }
}

pub(crate) use private::Sealed;

/// Any order.
pub trait Ordering: Sealed {}

/// An order that a load can have.
pub trait AcquireOrRelaxed: Ordering {}

/// An order that a store can have.
pub trait ReleaseOrRelaxed: Ordering {}

macro_rules! order {
    ($(#[$doc:meta])* $name:ident, $native:ident, $($use:ident),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Sealed for $name {
            const NATIVE: Native = Native::$native;
        }

        impl Ordering for $name {}
        $(impl $use for $name {})*
    };
}

order! {
    /// No order.
    Relaxed, Relaxed, AcquireOrRelaxed, ReleaseOrRelaxed
}
order! {
    /// What follows the load is not done before it.
    Acquire, Acquire, AcquireOrRelaxed
}
order! {
    /// What precedes the store is not done after it.
    Release, Release, ReleaseOrRelaxed
}
order! {
    /// Nothing passes it in either direction.
    Full, SeqCst,
}
