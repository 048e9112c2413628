// SPDX-License-Identifier: GPL-2.0

//! configfs attributes of a backend's devices.
//!
//! LIO owns the groups, so the kernel crate's configfs abstraction, which wants to own them, does
//! not fit: a backend only gives tables of attributes (`tb_dev_attrib_attrs` and
//! `tb_dev_action_attrs`).

use super::device::Device;
use crate::ext::{
    bindings,
    foreign::{
        Foreign,
        ForeignPtr, //
    },
    output::Output, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::ArcBorrow, //
};

/// The groups that a device has for attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `attrib`
    Attrib,
    /// `action`
    Action,
}

/// A directory of a device.
pub trait Directory {
    /// Its group.
    const GROUP: Group;
}

/// The directory `attrib`.
pub struct Attrib;

impl Directory for Attrib {
    const GROUP: Group = Group::Attrib;
}

/// The directory `action`.
pub struct Action;

impl Directory for Action {
    const GROUP: Group = Group::Action;
}

/// An attribute of the devices of backend `T`.
#[vtable]
pub trait Attribute<T: Send + Sync + 'static> {
    /// File name.
    const NAME: &'static CStr;

    /// Prints the value and a newline. Without it the file cannot be read.
    fn show(device: &Device<T>, out: &mut Output<'_>) -> Result {
        let _ = (device, out);
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Takes what was written, with a newline at the end if there was one. Without it the file
    /// cannot be written.
    fn store(device: &Device<T>, text: &[u8]) -> Result {
        let _ = (device, text);
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }
}

/// Attribute `A` in directory `D` of the devices of backend `T`, as configfs sees it.
struct Operations<T, D, A>(PhantomData<(T, D, A)>);

impl<T: Send + Sync + 'static, D: Directory, A: Attribute<T>> Operations<T, D, A> {
    const ATTRIBUTE: bindings::configfs_attribute = {
        let read = if A::HAS_SHOW { 0o444 } else { 0 };
        let write = if A::HAS_STORE { 0o200 } else { 0 };
        bindings::configfs_attribute {
            ca_name: kernel::str::as_char_ptr_in_const_context(A::NAME),
            // Set when the backend is registered.
            ca_owner: core::ptr::null_mut(),
            ca_mode: read | write,
            show: if A::HAS_SHOW { Some(Self::show) } else { None },
            store: if A::HAS_STORE {
                Some(Self::store)
            } else {
                None
            },
        }
    };

    /// Returns the device whose group `item` is.
    ///
    /// # Safety
    ///
    /// `item` is the item of the group `D::GROUP` of a configured or unconfigured `Device<T>`,
    /// which configfs keeps alive for `'a`.
    unsafe fn device<'a>(item: *mut bindings::config_item) -> ArcBorrow<'a, Device<T>> {
        // SAFETY: By the safety requirements the item is embedded in a group, the group in the
        // device, or in its attributes, which point to the device.
        unsafe {
            let group = kernel::container_of!(item, bindings::config_group, cg_item);
            Device::from_raw(match D::GROUP {
                Group::Attrib => {
                    (*kernel::container_of!(group, bindings::se_dev_attrib, da_group)).da_dev
                }
                Group::Action => {
                    kernel::container_of!(group, bindings::se_device, dev_action_group)
                }
            })
        }
    }

    /// # Safety
    ///
    /// Called by configfs with the item of directory `D` of a device of backend `T` and a page.
    unsafe extern "C" fn show(item: *mut bindings::config_item, page: *mut c_char) -> isize {
        // SAFETY: By the safety requirements.
        let (device, page) = unsafe { (Self::device(item), &mut *page.cast::<[u8; PAGE_SIZE]>()) };
        let mut out = Output::new(page);
        kernel::error::from_result(|| {
            A::show(&device, &mut out)?;
            Ok(out.length() as isize)
        })
    }

    /// # Safety
    ///
    /// Called by configfs with the item of directory `D` of a device of backend `T` and a
    /// NUL-terminated text of `count` bytes.
    unsafe extern "C" fn store(
        item: *mut bindings::config_item,
        page: *const c_char,
        count: usize,
    ) -> isize {
        // SAFETY: By the safety requirements.
        let (device, text) = unsafe { (Self::device(item), CStr::from_char_ptr(page)) };
        kernel::error::from_result(|| A::store(&device, text.to_bytes()).map(|()| count as isize))
    }
}

/// The attributes in directory `D` of the devices of backend `T`, made when the module is loaded.
///
/// # Invariants
///
/// `pointers` ends with `None`; the others point to attributes that live as long as `self`, in
/// `own` or in LIO. All are for that directory, those in `own` for that backend.
pub struct AttributeTable<T, D> {
    /// As C has it: pointers of which the last is null.
    pointers: KVec<Option<ForeignPtr<bindings::configfs_attribute>>>,
    own: KVec<Pin<KBox<Foreign<bindings::configfs_attribute>>>>,
    devices: PhantomData<fn() -> (T, D)>,
}

impl<T: Send + Sync + 'static> AttributeTable<T, Attrib> {
    /// Makes a table with the attributes that LIO has for passthrough backends.
    pub fn passthrough() -> Result<Self> {
        let mut table = Self::new()?;
        // SAFETY: LIO's tables are constant and end with a null pointer.
        unsafe {
            table.append_all((&raw mut bindings::passthrough_attrib_attrs).cast())?;
            table.append_all((&raw mut bindings::passthrough_pr_attrib_attrs).cast())?;
        }
        Ok(table)
    }

    /// Makes a table with the attributes that LIO has for disks that it emulates.
    pub fn emulated() -> Result<Self> {
        let mut table = Self::new()?;
        // SAFETY: LIO's tables are constant and end with a null pointer.
        unsafe { table.append_all((&raw mut bindings::sbc_attrib_attrs).cast())? };
        Ok(table)
    }
}

impl<T: Send + Sync + 'static, D: Directory> AttributeTable<T, D> {
    /// Makes an empty table.
    pub fn new() -> Result<Self> {
        let mut pointers = KVec::new();
        pointers.push(None, GFP_KERNEL)?;
        Ok(Self {
            pointers,
            own: KVec::new(),
            devices: PhantomData,
        })
    }

    /// # Safety
    ///
    /// `at` is a table of attributes for directory `D` that live as long as LIO and end with a null
    /// pointer.
    unsafe fn append_all(&mut self, mut at: *mut *mut bindings::configfs_attribute) -> Result {
        // SAFETY: By the safety requirements; the null pointer is not passed.
        while let Some(attribute) = NonNull::new(unsafe { *at }) {
            self.append(attribute)?;
            at = at.wrapping_add(1);
        }
        Ok(())
    }

    fn append(&mut self, attribute: NonNull<bindings::configfs_attribute>) -> Result {
        self.pointers.push(None, GFP_KERNEL)?;
        let last = self.pointers.len() - 2;
        // SAFETY: configfs only reads attributes.
        self.pointers[last] = Some(unsafe { ForeignPtr::new(attribute) });
        Ok(())
    }

    /// Adds attribute `A`.
    pub fn with<A: Attribute<T>>(mut self) -> Result<Self> {
        // SAFETY: The whole attribute is written. configfs only reads it, once it is registered.
        let attribute = unsafe {
            Foreign::ffi_init(|slot: *mut bindings::configfs_attribute| {
                slot.write(Operations::<T, D, A>::ATTRIBUTE);
            })
        };
        let attribute = KBox::pin_init(attribute, GFP_KERNEL)?;
        let pointer = NonNull::new(attribute.as_ptr()).ok_or(EINVAL)?;
        self.own.push(attribute, GFP_KERNEL)?;
        self.append(pointer)?;
        Ok(self)
    }

    /// Makes an open file of an attribute keep `module` loaded.
    pub(super) fn set_owner(&mut self, module: &'static ThisModule) {
        for attribute in &self.own {
            // SAFETY: The table is not registered: it is the caller's alone.
            unsafe { (*attribute.as_ptr()).ca_owner = module.as_ptr() };
        }
    }

    /// The table as LIO takes it.
    pub(super) fn as_ptr(&self) -> *mut *mut bindings::configfs_attribute {
        self.pointers.as_ptr().cast_mut().cast()
    }
}
