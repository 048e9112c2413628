// SPDX-License-Identifier: GPL-2.0

//! What a module counts, and the file in debugfs that shows it.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// A number that all threads may change. It wraps.
pub struct Count(Atomic<usize>);

impl Count {
    /// Zero.
    #[expect(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Adds to it.
    pub fn add(&self, number: usize) {
        self.0.fetch_add(number, Relaxed);
    }

    /// Subtracts from it.
    pub fn sub(&self, number: usize) {
        self.0.fetch_sub(number, Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// Defines a static with [`Count`]s, the structure that is its type, and the functions `show` and
/// `hide`, which make and remove a file in debugfs with a name and a number a line.
///
/// The file is the module's: removing one waits for its readers, so that it must not be that of an
/// object that somebody waits for. Without memory there is none.
macro_rules! counts {
    (
        $(#[$meta:meta])*
        static $name:ident: $type:ident, in $dir:literal / $file:literal of $module:ty {
            $($(#[$doc:meta])* $count:ident,)*
        }
    ) => {
        $(#[$meta])*
        pub(crate) struct $type {
            $($(#[$doc])* pub(crate) $count: $crate::ext::counts::Count,)*
        }

        /// The counts.
        pub(crate) static $name: $type = $type {
            $($count: $crate::ext::counts::Count::new(),)*
        };

        /// What the file shows.
        struct Shown;

        impl $crate::ext::debugfs::Show for Shown {
            fn show(&self, out: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
                $(writeln!(out, concat!(stringify!($count), " {}"), $name.$count.get())?;)*
                Ok(())
            }
        }

        $crate::ext::global::global_mutex! {
            /// The file, as long as the module is there.
            static FILE: Option<$crate::ext::debugfs::File<Shown>> = None;
        }

        /// Makes the file.
        pub(crate) fn show() {
            let file = || -> kernel::error::Result<_> {
                let shown = kernel::sync::Arc::new(Shown, kernel::alloc::flags::GFP_KERNEL)?;
                let dir = $crate::ext::debugfs::Dir::<$module>::new($dir)?;
                Ok(dir.file($file, shown))
            };
            *FILE.lock() = file().ok();
        }

        /// Removes it.
        pub(crate) fn hide() {
            let file = FILE.lock().take();
            drop(file);
        }
    };
}
pub(crate) use counts;
