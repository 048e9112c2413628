// SPDX-License-Identifier: GPL-2.0

//! A UIO device whose memory a backend serves page by page.
//!
//! C header: `include/linux/uio_driver.h`

use super::backend::{
    Backend,
    Device, //
};
use super::bindings;
use super::memalloc::NoIoScope;
use core::ptr::NonNull;
use kernel::{
    page::{
        Page,
        PAGE_SHIFT, //
    },
    prelude::*,
    str::CString,
    sync::{
        Arc,
        ArcBorrow,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

/// How often a number is tried that another driver's device has not let go of. The first pause is a
/// millisecond, each one twice as long as the one before: a second in all.
const TRIES: u32 = 11;

/// A page that a mapping gets, with a reference of its own, and locked until it is mapped.
pub(crate) struct MappedPage(NonNull<bindings::page>);

impl MappedPage {
    /// Takes a reference to a page and locks it; may wait for another fault on the same page.
    pub(crate) fn of(page: &Page) -> Self {
        // SAFETY: The page is valid, as a `Page` holds a reference to it.
        unsafe { Self::from_raw(NonNull::new_unchecked(page.as_ptr())) }
    }

    /// # Safety
    ///
    /// The page is valid.
    unsafe fn from_raw(page: NonNull<bindings::page>) -> Self {
        // SAFETY: By the safety requirements.
        unsafe {
            bindings::tcmu_shim_get_page(page.as_ptr());
            bindings::tcmu_shim_lock_page(page.as_ptr());
        }
        Self(page)
    }

    /// As [`MappedPage::of`], for the page behind an address in a vmalloc area.
    ///
    /// # Safety
    ///
    /// `address` is in a live vmalloc area.
    pub(crate) unsafe fn of_vmalloc(address: *const u8) -> Option<Self> {
        // SAFETY: By the safety requirements.
        let page = NonNull::new(unsafe { bindings::vmalloc_to_page(address.cast()) })?;
        // SAFETY: A page of a live vmalloc area is valid.
        Some(unsafe { Self::from_raw(page) })
    }

    /// The page; the caller takes over the reference and the lock.
    fn into_raw(self) -> *mut bindings::page {
        core::mem::ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for MappedPage {
    fn drop(&mut self) {
        // SAFETY: The lock and the reference are ours.
        unsafe {
            bindings::unlock_page(self.0.as_ptr());
            bindings::tcmu_shim_put_page(self.0.as_ptr());
        }
    }
}

/// Where user space has mapped a UIO node that it has opened.
pub(crate) struct Mapping(NonNull<bindings::inode>);

// SAFETY: The reference to the inode is not bound to a thread, and the memory management does its
// own locking.
unsafe impl Send for Mapping {}

impl Mapping {
    /// # Safety
    ///
    /// The inode is valid.
    unsafe fn from_raw(inode: NonNull<bindings::inode>) -> Self {
        // SAFETY: By the safety requirements.
        unsafe { bindings::ihold(inode.as_ptr()) };
        Self(inode)
    }

    /// Takes `length` bytes from `offset` on out of all mappings, so that the next access faults.
    ///
    /// May sleep. Call it with no page locked that it may meet.
    pub(crate) fn unmap(&self, offset: usize, length: usize) {
        // SAFETY: We have a reference to the inode.
        unsafe {
            let mapping = (*self.0.as_ptr()).i_mapping;
            bindings::unmap_mapping_range(mapping, offset as i64, length as i64, 1);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: The reference is ours.
        unsafe { bindings::iput(self.0.as_ptr()) };
    }
}

/// A backend whose devices have a UIO device.
pub(crate) trait HasUio: Backend {
    /// Version string of the interface.
    const VERSION: &'static CStr;

    /// Name of the memory region.
    const REGION: &'static CStr;

    /// The UIO device of a device.
    fn uio(device: &Device<Self>) -> &Uio;

    /// Somebody opens the node, for which there will be no mapping but in `mapping`.
    fn open(device: &Device<Self>, mapping: Mapping) -> Result;

    /// The last user closes the node.
    fn release(device: &Device<Self>);

    /// User space writes to the node: look at the ring.
    fn kick(device: &Device<Self>);

    /// Size of the memory region in bytes; a mapping must have just this size.
    fn region_size(device: &Device<Self>) -> usize;

    /// The page at `offset` bytes into the region. `None` kills the accessing thread with SIGBUS.
    fn fault(device: &Device<Self>, offset: usize) -> Option<MappedPage>;
}

/// A device without a parent, below which UIO devices appear in sysfs.
///
/// Whoever registers or unregisters one has it for himself meanwhile: the UIO core gives the number
/// of a device away before it takes the name with that number out of sysfs, and the next device
/// with the number could not be registered.
pub(crate) struct RootDevice(NonNull<bindings::device>);

// SAFETY: The driver core does its own locking.
unsafe impl Send for RootDevice {}

impl RootDevice {
    /// Registers a root device.
    pub(crate) fn new(name: &'static CStr, module: &'static ThisModule) -> Result<Self> {
        // SAFETY: The name and the module are valid.
        let dev = unsafe { bindings::__root_device_register(name.as_char_ptr(), module.as_ptr()) };
        let dev = kernel::error::from_err_ptr(dev)?;
        NonNull::new(dev).map(Self).ok_or(ENODEV)
    }
}

impl Drop for RootDevice {
    fn drop(&mut self) {
        // SAFETY: Registered by `new`; UIO devices below it hold a reference to the module.
        unsafe { bindings::root_device_unregister(self.0.as_ptr()) };
    }
}

/// The UIO device of a backend's device.
#[pin_data]
pub(crate) struct Uio {
    #[pin]
    info: Opaque<bindings::uio_info>,
    /// What `info.name` points to; stored just while `info` is registered.
    ///
    /// Taken before UIO's `info_lock`.
    #[pin]
    name: Mutex<Option<CString>>,
}

// SAFETY: The UIO core does its own locking.
unsafe impl Send for Uio {}
// SAFETY: As above.
unsafe impl Sync for Uio {}

impl Uio {
    /// Makes a UIO device that is not registered.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            info: Opaque::zeroed(),
            name <- kernel::new_mutex!(None, "Uio::name"),
        })
    }

    /// Registers the UIO device of `device` under `name`; `region` is the address of its memory.
    ///
    /// `EBUSY`: it is registered. `EEXIST`: another driver's device keeps the number for too long.
    pub(crate) fn register<T: HasUio>(
        device: &Device<T>,
        module: &'static ThisModule,
        parent: &mut RootDevice,
        name: CString,
        region: *const u8,
    ) -> Result {
        // Who has to wait for `parent` may serve a disk that reclaim writes to.
        let _noio = NoIoScope::enter();
        let uio = T::uio(device);
        let mut stored = uio.name.lock();
        if stored.is_some() {
            return Err(EBUSY);
        }
        for attempt in 1..=TRIES {
            match uio.try_register(device, module, parent, &name, region) {
                Err(error) if error == EEXIST && attempt < TRIES => {
                    if attempt == 1 {
                        pr_warn!("{}: another UIO device has the number: {error:?}\n", &*name);
                    }
                    fsleep(Delta::from_millis(1 << (attempt - 1)));
                }
                result => {
                    result?;
                    break;
                }
            }
        }
        *stored = Some(name);
        Ok(())
    }

    /// Registers the UIO device; the caller holds the lock of the name, which it stores.
    fn try_register<T: HasUio>(
        &self,
        device: &Device<T>,
        module: &'static ThisModule,
        parent: &mut RootDevice,
        name: &CStr,
        region: *const u8,
    ) -> Result {
        // SAFETY: Without a name the struct is not registered, and the lock is held: nobody else
        // uses it. It lives in the device, whose owner calls `unregister` before the device goes;
        // the name lives as long as it is stored; the functions keep UIO's contract.
        kernel::error::to_result(unsafe {
            let info = self.info.get();
            (*info).uio_dev = core::ptr::null_mut();
            (*info).name = name.as_char_ptr();
            (*info).version = T::VERSION.as_char_ptr();
            (*info).priv_ = core::ptr::from_ref(device).cast_mut().cast();
            (*info).mem[0] = bindings::uio_mem {
                name: T::REGION.as_char_ptr(),
                addr: region.expose_provenance() as bindings::phys_addr_t,
                size: T::region_size(device) as bindings::resource_size_t,
                memtype: bindings::UIO_MEM_NONE as c_int,
                ..Default::default()
            };
            (*info).irq = bindings::UIO_IRQ_CUSTOM as c_long;
            (*info).irqcontrol = Some(Operations::<T>::irqcontrol);
            (*info).mmap_prepare = Some(Operations::<T>::mmap_prepare);
            (*info).open = Some(Operations::<T>::open);
            (*info).release = Some(Operations::<T>::release);
            bindings::__uio_register_device(module.as_ptr(), parent.0.as_ptr(), info)
        })
    }

    /// Undoes [`Uio::register`], if it succeeded; waits for calls that are under way.
    ///
    /// `parent` is that of the registration.
    pub(crate) fn unregister(&self, _parent: &mut RootDevice) {
        // As in `register`; and UIO allocates memory while users of the node wait for its lock.
        let _noio = NoIoScope::enter();
        let mut stored = self.name.lock();
        if stored.is_some() {
            // SAFETY: The struct is registered while a name is stored.
            unsafe { bindings::uio_unregister_device(self.info.get()) };
            *stored = None;
        }
    }

    /// Gives a registered UIO device another name. Readers of sysfs see the old or the new one.
    pub(crate) fn rename(&self, name: CString) {
        let mut stored = self.name.lock();
        if stored.is_none() {
            return;
        }
        // SAFETY: The struct is registered while a name is stored, so `uio_dev` is valid; its
        // `info_lock` excludes all readers of the name. The old name is freed after that.
        unsafe {
            let info = self.info.get();
            let lock = &raw mut (*(*info).uio_dev).info_lock;
            bindings::mutex_lock(lock);
            (*info).name = name.as_char_ptr();
            bindings::mutex_unlock(lock);
        }
        *stored = Some(name);
    }

    /// Calls `with` with the name and the minor number of a registered UIO device.
    pub(crate) fn with_name<R>(&self, with: impl FnOnce(&CStr, u32) -> R) -> Option<R> {
        let stored = self.name.lock();
        let name = stored.as_ref()?;
        // SAFETY: The struct is registered while a name is stored; the minor does not change.
        let minor = unsafe { (*(*self.info.get()).uio_dev).minor };
        Some(with(name, minor as u32))
    }

    /// Wakes the users of the UIO device.
    ///
    /// # Safety
    ///
    /// The UIO device is registered and stays so until this returns.
    pub(crate) unsafe fn notify(&self) {
        // SAFETY: By the safety requirements.
        unsafe { bindings::uio_event_notify(self.info.get()) };
    }
}

/// The functions of `struct uio_info` and `struct vm_operations_struct`.
struct Operations<T>(core::marker::PhantomData<T>);

/// Makes the functions of `struct uio_info`.
macro_rules! uio_callbacks {
    ($(fn $name:ident($device:ident, $arg:ident: $ty:ty) $body:block)*) => {$(
        /// # Safety
        ///
        /// Called by UIO with the struct of a registered device, under `info_lock`.
        unsafe extern "C" fn $name(info: *mut bindings::uio_info, $arg: $ty) -> c_int {
            // SAFETY: By the safety requirements the device has not been unregistered, so LIO
            // still holds its reference; `register` has stored the device.
            let $device: ArcBorrow<'_, Device<T>> = unsafe { Device::from_raw((*info).priv_.cast()) };
            kernel::error::from_result(|| $body)
        }
    )*};
}

/// Makes the functions of `struct vm_operations_struct` that take an area.
macro_rules! vma_callbacks {
    ($(fn $name:ident($device:ident: $own:ty, $arc:ident) $body:block)*) => {$(
        /// # Safety
        ///
        /// Called by the memory management with an area that `mapped` has seen.
        unsafe extern "C" fn $name(vma: *mut bindings::vm_area_struct) {
            // SAFETY: Each area owns one reference to the device, taken by `mapped` or `vma_open`
            // and given back by `vma_close`.
            let $device: $own = unsafe { $arc::from_raw((*vma).vm_private_data.cast::<Device<T>>()) };
            $body
        }
    )*};
}

impl<T: HasUio> Operations<T> {
    const VM_OPS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        mapped: Some(Self::vma_mapped),
        open: Some(Self::vma_open),
        close: Some(Self::vma_close),
        fault: Some(Self::fault),
        ..pin_init::zeroed()
    };

    uio_callbacks! {
        fn open(device, inode: *mut bindings::inode) {
            let inode = NonNull::new(inode).ok_or(EINVAL)?;
            // SAFETY: UIO passes the inode that is being opened.
            let mapping = unsafe { Mapping::from_raw(inode) };
            T::open(&device, mapping).map(|()| 0)
        }

        fn release(device, _inode: *mut bindings::inode) {
            T::release(&device);
            Ok(0)
        }

        fn irqcontrol(device, _on: i32) {
            T::kick(&device);
            Ok(0)
        }

        fn mmap_prepare(device, desc: *mut bindings::vm_area_desc) {
            // SAFETY: UIO passes a descriptor that is ours to fill; the table is a constant.
            let pages = unsafe {
                bindings::tcmu_shim_vma_desc_set_flags(desc);
                (*desc).vm_ops = &Self::VM_OPS;
                (*desc).private_data = (&raw const *device).cast_mut().cast();
                ((*desc).end - (*desc).start) >> PAGE_SHIFT
            };
            if pages == T::region_size(&device) >> PAGE_SHIFT {
                Ok(0)
            } else {
                Err(EINVAL)
            }
        }
    }

    /// # Safety
    ///
    /// Called by the memory management with what `mmap_prepare` has stored, still under
    /// `info_lock`.
    unsafe extern "C" fn vma_mapped(
        _start: c_ulong,
        _end: c_ulong,
        _pgoff: c_ulong,
        _file: *const bindings::file,
        private: *mut *mut c_void,
    ) -> c_int {
        // SAFETY: By the safety requirements; UIO's lock keeps the device registered.
        let device: ArcBorrow<'_, Device<T>> = unsafe { Device::from_raw((*private).cast()) };
        // The area's own reference, until `vma_close`.
        let _ = Arc::into_raw(Arc::from(device));
        0
    }

    vma_callbacks! {
        fn vma_open(device: ArcBorrow<'_, Device<T>>, ArcBorrow) {
            let _ = Arc::into_raw(Arc::from(device));
        }

        fn vma_close(device: Arc<Device<T>>, Arc) {
            drop(device);
        }
    }

    /// # Safety
    ///
    /// Called by the memory management with a fault in an area that `mapped` has seen.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: By the safety requirements; the area owns a reference to the device.
        let (device, page_offset) = unsafe {
            let vma = (*vmf).__bindgen_anon_1.vma;
            let device: ArcBorrow<'_, Device<T>> = Device::from_raw((*vma).vm_private_data.cast());
            // UIO takes the number of the region for the offset of its first page; there is only
            // region 0.
            (device, (*vmf).__bindgen_anon_1.pgoff)
        };
        match T::fault(&device, page_offset << PAGE_SHIFT) {
            Some(page) => {
                // SAFETY: The fault takes over the reference and, as its result says, the lock.
                unsafe { (*vmf).page = page.into_raw() };
                bindings::vm_fault_reason_VM_FAULT_LOCKED
            }
            None => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
        }
    }
}
