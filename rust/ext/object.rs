// SPDX-License-Identifier: GPL-2.0

//! C structures of LIO as Rust types.
//!
//! A C structure that C code of the same module owns, locks and frees is never turned into a Rust
//! value: Rust sees it through a shared reference to a wrapper, and each of its fields through a
//! type with interior mutability that fits how C uses the field.

use core::mem::{
    align_of,
    size_of, //
};

/// A Rust type that stands for a C structure.
pub trait CObject {
    /// The structure of the bindings.
    type C;

    /// The C structure, for C functions.
    fn as_raw(&self) -> *mut Self::C;
}

/// Looks at a field of type `F` as a `V`.
///
/// Does not compile if the two differ in size or alignment.
pub fn view<F, V>(field: *mut F) -> *mut V {
    const {
        assert!(size_of::<F>() == size_of::<V>());
        assert!(align_of::<F>() == align_of::<V>());
    }
    field.cast()
}

/// Declares the Rust type of a C structure and how its fields are seen.
///
/// ```ignore
/// c_object! {
///     /// A SCSI session of the target (`struct se_session`).
///     pub struct Session(bindings::se_session) {
///         /// Protects the decision to abort a command.
///         fn command_lock: SpinLock = sess_cmd_lock;
///     }
/// }
/// ```
///
/// Fields after a `+` are Rust's own and stand behind the C structure in memory.
///
/// What a declaration promises, to be checked by whoever writes or changes it:
///
/// - The view of a field has the field's layout: `Cell<T>` for a `T`, `Atomic<T>` for a `T`,
///   the types of `lio/lock.rs` for a lock, `List` for a list head, `Option<&T>` for a pointer to
///   a structure that `T` wraps, and a function with such references for one with pointers that
///   need to be valid for the call and no longer.
/// - `Cell` is for fields that nobody changes while Rust looks: constant after set-up, or
///   protected by a lock that the caller holds, or owned by the caller. Anything that C changes
///   at the same time is an `Atomic`.
/// - The target of a pointer lives as long as the structure that holds the pointer is in use.
macro_rules! c_object {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident($c:ty) {
            $($(#[$fmeta:meta])* $fvis:vis fn $fn:ident: $view:ty = $($field:ident).+;)*
        }
        $(+ { $($(#[$emeta:meta])* $extra:ident: $ety:ty,)* })?
    ) => {
        $(#[$meta])*
        ///
        /// # Invariants
        ///
        /// A reference points to an initialised C structure that C does not free while the
        /// reference is in use.
        #[repr(C)]
        $vis struct $name {
            c: kernel::types::Opaque<$c>,
            $($($(#[$emeta])* $extra: $ety,)*)?
        }

        impl $crate::ext::object::CObject for $name {
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
                    // SAFETY: By the type invariant `c` is valid for `'a`, so its field is. The
                    // declaration promises that the field may be seen as this type, which has
                    // interior mutability or is not written to, and `view()` checked the layout.
                    unsafe { &*$crate::ext::object::view(&raw mut (*c).$($field).+) }
                }
            )*
        }
    };
}
pub(crate) use c_object;
