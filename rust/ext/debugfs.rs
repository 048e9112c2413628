// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs: read-only ones that show a value each, and write-only ones that take orders.
//!
//! Not the kernel crate's `debugfs`: its file operations name no owner. A module could go while
//! somebody has such a file open, whose closing then calls operations that are gone.
//!
//! C header: `include/linux/debugfs.h`

use core::marker::PhantomData;
use kernel::{
    fmt,
    module::ModuleMetadata,
    prelude::*,
    sync::Arc, //
};

/// What a file shows.
pub trait Show: Send + Sync + 'static {
    /// Writes the content.
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// What is told by writing to a file.
pub trait Take: Send + Sync + 'static {
    /// The most bytes that are taken at once. More are refused with `E2BIG`.
    const MOST: usize;

    /// Takes what one `write()` has written. An error is that of the `write()`.
    fn take(&self, text: &[u8]) -> Result;
}

/// A directory at the top of debugfs, removed when it and all files in it are dropped.
///
/// If the kernel has no debugfs, nothing appears, as is the rule for debugfs.
pub struct Dir<M>(Arc<imp::Entry>, PhantomData<fn() -> M>);

impl<M: ModuleMetadata> Dir<M> {
    /// Makes the directory for files of the module `M`.
    pub fn new(name: &CStr) -> Result<Self> {
        let entry = Arc::new(imp::Entry::dir(name), GFP_KERNEL)?;
        Ok(Self(entry, PhantomData))
    }

    /// Makes a file in the directory that shows `value`.
    pub fn file<T: Show>(&self, name: &CStr, value: Arc<T>) -> File<T> {
        File {
            _entry: self.0.file::<T, M>(name, &value),
            _dir: self.0.clone(),
            _value: value,
        }
    }

    /// Makes a file in the directory whose writers tell `value`, several at a time.
    pub fn orders<T: Take>(&self, name: &CStr, value: Arc<T>) -> File<T> {
        File {
            _entry: self.0.orders::<T, M>(name, &value),
            _dir: self.0.clone(),
            _value: value,
        }
    }
}

/// A file, removed when dropped; that waits for readers and writers.
// The order of the fields matters: the file goes before its directory, whose removal would take it
// along, and before what it shows.
pub struct File<T> {
    _entry: imp::Entry,
    _dir: Arc<imp::Entry>,
    _value: Arc<T>,
}

#[cfg(CONFIG_DEBUG_FS)]
mod imp {
    use super::{
        super::foreign::ForeignPtr,
        Show,
        Take, //
    };
    use core::{
        marker::PhantomData,
        ptr::NonNull, //
    };
    use kernel::{
        bindings,
        fmt,
        module::ModuleMetadata,
        prelude::*,
        seq_file::SeqFile,
        seq_print,
        uaccess::{
            UserPtr,
            UserSlice, //
        }, //
    };

    /// A directory or file, or the error pointer that stands for none.
    pub(super) struct Entry(Option<ForeignPtr<bindings::dentry>>);

    impl Entry {
        fn from_raw(entry: *mut bindings::dentry) -> Self {
            // SAFETY: debugfs does its own locking.
            Self(NonNull::new(entry).map(|entry| unsafe { ForeignPtr::new(entry) }))
        }

        fn as_ptr(&self) -> *mut bindings::dentry {
            self.0
                .as_ref()
                .map_or(core::ptr::null_mut(), ForeignPtr::as_ptr)
        }

        pub(super) fn dir(name: &CStr) -> Self {
            // SAFETY: The name is valid; without a parent the directory is at the top.
            Self::from_raw(unsafe {
                bindings::debugfs_create_dir(name.as_char_ptr(), core::ptr::null_mut())
            })
        }

        /// Makes a file, for whose life the caller keeps `value`.
        pub(super) fn file<T: Show, M: ModuleMetadata>(&self, name: &CStr, value: &T) -> Self {
            // SAFETY: The name is valid; the directory is, or is an error pointer, which is
            // accepted; the operations are for a file whose private data is a `T`, and live as
            // long as the module, of which an open file holds a reference.
            Self::from_raw(unsafe {
                bindings::debugfs_create_file_full(
                    name.as_char_ptr(),
                    0o400,
                    self.as_ptr(),
                    core::ptr::from_ref(value).cast_mut().cast(),
                    core::ptr::null(),
                    Operations::<T, M>::TABLE,
                )
            })
        }
    }

    impl Entry {
        /// Makes a file that is written, for whose life the caller keeps `value`.
        pub(super) fn orders<T: Take, M: ModuleMetadata>(&self, name: &CStr, value: &T) -> Self {
            // SAFETY: As in `file`.
            Self::from_raw(unsafe {
                bindings::debugfs_create_file_full(
                    name.as_char_ptr(),
                    0o200,
                    self.as_ptr(),
                    core::ptr::from_ref(value).cast_mut().cast(),
                    core::ptr::null(),
                    Orders::<T, M>::TABLE,
                )
            })
        }
    }

    impl Drop for Entry {
        fn drop(&mut self) {
            // SAFETY: Made by one of the functions above, and still there: a file keeps its
            // directory. Error pointers are accepted.
            unsafe { bindings::debugfs_remove(self.as_ptr()) };
        }
    }

    struct Operations<T, M>(PhantomData<(T, M)>);

    impl<T: Show, M: ModuleMetadata> Operations<T, M> {
        const TABLE: &'static bindings::file_operations = &bindings::file_operations {
            owner: M::THIS_MODULE.as_ptr(),
            open: Some(Self::open),
            read: Some(bindings::seq_read),
            llseek: Some(bindings::seq_lseek),
            release: Some(bindings::single_release),
            ..pin_init::zeroed()
        };

        /// # Safety
        ///
        /// Called by debugfs for a file of [`Entry::file`].
        unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
            // SAFETY: By the safety requirements the inode is valid, and the file is being opened.
            unsafe { bindings::single_open(file, Some(Self::show), (*inode).i_private) }
        }

        /// # Safety
        ///
        /// Called by seq_file for a file opened by [`Self::open`].
        unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
            // SAFETY: `open` passed on the pointer that `Entry::file` was given. debugfs calls no
            // operation but `release` once the file is removed, and removing it waits for those
            // under way; its `File` is dropped before what it shows.
            let value = unsafe { &*(*seq).private.cast::<T>() };
            // SAFETY: seq_file calls this with a valid file.
            let out = unsafe { SeqFile::from_raw(seq) };
            seq_print!(out, "{}", Shown(value));
            0
        }
    }

    struct Orders<T, M>(PhantomData<(T, M)>);

    impl<T: Take, M: ModuleMetadata> Orders<T, M> {
        const TABLE: &'static bindings::file_operations = &bindings::file_operations {
            owner: M::THIS_MODULE.as_ptr(),
            open: Some(bindings::simple_open),
            write: Some(Self::write),
            ..pin_init::zeroed()
        };

        /// # Safety
        ///
        /// Called by debugfs for a file of [`Entry::orders`].
        unsafe extern "C" fn write(
            file: *mut bindings::file,
            text: *const c_char,
            length: usize,
            _offset: *mut bindings::loff_t,
        ) -> isize {
            // SAFETY: `simple_open()` passed on the pointer that `Entry::orders` was given. As for
            // files that are shown it is valid while an operation is under way.
            let value = unsafe { &*(*file).private_data.cast::<T>() };
            let taken = || -> Result {
                if length > T::MOST {
                    return Err(E2BIG);
                }
                let mut copy = KVec::new();
                let text = UserPtr::from_ptr(text.cast_mut().cast());
                UserSlice::new(text, length).read_all(&mut copy, GFP_KERNEL)?;
                value.take(&copy)
            };
            match taken() {
                Ok(()) => length as isize,
                Err(error) => error.to_errno() as isize,
            }
        }
    }

    struct Shown<'a, T>(&'a T);

    impl<T: Show> fmt::Display for Shown<'_, T> {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.show(out)
        }
    }
}

#[cfg(not(CONFIG_DEBUG_FS))]
mod imp {
    use super::{
        Show,
        Take, //
    };
    use kernel::prelude::*;

    /// Nothing: the kernel has no debugfs.
    pub(super) struct Entry;

    impl Entry {
        pub(super) fn dir(_name: &CStr) -> Self {
            Self
        }

        pub(super) fn file<T: Show, M>(&self, _name: &CStr, _value: &T) -> Self {
            Self
        }

        pub(super) fn orders<T: Take, M>(&self, _name: &CStr, _value: &T) -> Self {
            Self
        }
    }
}
