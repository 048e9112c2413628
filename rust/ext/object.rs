// SPDX-License-Identifier: GPL-2.0

//! C structures as Rust types.
//!
//! A C structure that C code of the same module owns, locks and frees is never turned into a Rust
//! value: Rust sees it through a shared reference to a wrapper, and each of its fields through a
//! type that fits how C uses the field:
//!
//! - [`Constant`] if nobody changes the field as long as Rust can have a reference to the
//!   structure,
//! - [`Atomic`] if C changes it at the same time,
//! - a lock,
//! - [`Opaque`] for what only C functions use.

use core::{
    cell::Cell,
    mem::{
        align_of,
        size_of, //
    },
};

use kernel::{
    sync::atomic::{
        Atomic,
        AtomicType, //
    },
    types::Opaque, //
};

use super::{
    bindings,
    lock::{
        IrqSaveSpinLock,
        IrqSpinLock,
        Mutex,
        SpinLock, //
    },
};

/// A Rust type that stands for a C structure.
///
/// # Safety
///
/// `C` lies at the start of the type.
pub unsafe trait CObject: Sized {
    /// The structure of the bindings.
    type C;

    /// The C structure, for C functions.
    fn as_raw(&self) -> *mut Self::C;

    /// The wrapper of a C structure.
    ///
    /// # Safety
    ///
    /// `c` must be valid for `'a` and part of a `Self`.
    unsafe fn from_raw<'a>(c: *mut Self::C) -> &'a Self {
        // SAFETY: By the contracts of this function and of the trait.
        unsafe { &*c.cast() }
    }
}

/// A field that nobody changes as long as Rust can see it.
#[repr(transparent)]
pub struct Constant<T>(Cell<T>);

impl<T: Copy> Constant<T> {
    /// The field's value.
    pub fn get(&self) -> T {
        self.0.get()
    }
}

/// As what a field of type `F` may be seen.
///
/// Implementations say what fits by its layout. What a field is used for, and how long the target
/// of a pointer lives, is up to the declaration with [`c_object!`].
pub trait View<F>: Sized {}

impl<T> View<T> for Constant<T> {}
impl<T: CObject> View<*mut T::C> for Constant<&T> {}
impl<T: CObject> View<*mut T::C> for Constant<Option<&T>> {}
impl<T: CObject> View<*const T::C> for Constant<Option<&T>> {}
impl<const N: usize> View<*mut u8> for Constant<Option<&[u8; N]>> {}
impl<T: AtomicType> View<T> for Atomic<T> {}
impl View<u8> for Atomic<i8> {}
impl View<bindings::atomic_t> for Atomic<i32> {}
impl View<bindings::atomic_long_t> for Atomic<isize> {}
impl<A, R> View<Option<unsafe extern "C" fn(A) -> R>> for Atomic<usize> {}
impl View<bindings::spinlock_t> for SpinLock {}
impl View<bindings::spinlock_t> for IrqSpinLock {}
impl View<bindings::spinlock_t> for IrqSaveSpinLock<()> {}
impl View<bindings::mutex> for Mutex {}
impl<T> View<T> for Opaque<T> {}

/// Looks at a field as a `V`. Does not compile if they are not of one layout.
pub const fn view<F, V: View<F>>(field: *mut F) -> *mut V {
    const {
        assert!(size_of::<F>() == size_of::<V>());
        assert!(align_of::<F>() == align_of::<V>());
    };
    field.cast()
}

/// Declares the Rust type of a C structure and how its fields are seen.
///
/// ```ignore
/// c_object! {
///     /// A SCSI session of the target (`struct se_session`).
///     // SAFETY: The core initialises the lock with the session.
///     pub unsafe struct Session(bindings::se_session) {
///         /// Protects the decision to abort a command.
///         fn command_lock: IrqSpinLock = sess_cmd_lock;
///     }
/// }
/// ```
///
/// Fields after a `+` are Rust's own and stand behind the C structure in memory. Such a structure
/// is made by Rust, with `pin_init!`.
///
/// # Safety
///
/// `unsafe` says that as long as Rust has a reference to the structure:
///
/// - It is initialised and is not freed, and each field may be seen as its [`View`].
/// - Nobody changes a field that is seen as a [`Constant`].
/// - The target of a pointer that is seen as a reference is valid for that long too, and what C
///   changes in it is seen through a type that allows it.
/// - A lock has been initialised.
macro_rules! c_object {
    (
        $(#[$meta:meta])*
        $vis:vis unsafe struct $name:ident($c:ty) { $($fields:tt)* }
    ) => {
        $(#[$meta])*
        #[repr(transparent)]
        $vis struct $name {
            c: kernel::types::Opaque<$c>,
        }

        $crate::ext::object::c_object! { @impl $name($c) { $($fields)* } }
    };
    (
        $(#[$meta:meta])*
        $vis:vis unsafe struct $name:ident($c:ty) { $($fields:tt)* }
        + { $($extra:tt)* }
    ) => {
        $(#[$meta])*
        #[pin_data]
        #[repr(C)]
        $vis struct $name {
            #[pin]
            c: kernel::types::Opaque<$c>,
            $($extra)*
        }

        $crate::ext::object::c_object! { @impl $name($c) { $($fields)* } }
    };
    (@impl $name:ident($c:ty) {
        $($(#[$fmeta:meta])* $fvis:vis fn $fn:ident: $view:ty = $($field:ident).+;)*
    }) => {
        // SAFETY: `c` is the first field of a structure with C's or a transparent representation.
        unsafe impl $crate::ext::object::CObject for $name {
            type C = $c;

            fn as_raw(&self) -> *mut $c {
                self.c.get()
            }
        }

        impl $name {
            $(
                $(#[$fmeta])*
                $fvis fn $fn<'a>(&'a self) -> &'a $view {
                    let c = self.c.get();
                    // SAFETY: The declaration says `unsafe` for the structure and its fields.
                    // `view()` has checked the layout.
                    unsafe { &*$crate::ext::object::view(&raw mut (*c).$($field).+) }
                }
            )*
        }
    };
}
pub(crate) use c_object;
