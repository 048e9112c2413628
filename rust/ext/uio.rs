// SPDX-License-Identifier: GPL-2.0

//! UIO devices whose memory is served page by page.
//!
//! C header: `include/linux/uio_driver.h`

use super::{
    bindings,
    foreign::{
        Foreign,
        ForeignPtr, //
    },
    memalloc::NoIoScope,
    page::{
        SharedPage,
        SharedWords, //
    },
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    device,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};

/// How often a number is tried that another driver's device has not let go of. The first pause is a
/// millisecond, each one twice as long as the one before: a second in all.
const TRIES: u32 = 11;

/// A page that a mapping gets, with a reference of its own, and locked until it is mapped.
pub struct MappedPage(NonNull<bindings::page>);

impl MappedPage {
    /// Takes a reference to a page and locks it; may wait for another fault on the same page.
    pub fn of(page: &SharedPage) -> Self {
        // SAFETY: The page is valid, as a `SharedPage` holds a reference to it.
        unsafe { Self::from_raw(NonNull::new_unchecked(page.as_ptr())) }
    }

    /// # Safety
    ///
    /// The page is valid.
    unsafe fn from_raw(page: NonNull<bindings::page>) -> Self {
        // SAFETY: By the safety requirements.
        unsafe {
            bindings::get_page(page.as_ptr());
            bindings::lock_page(page.as_ptr());
        }
        Self(page)
    }

    /// As [`MappedPage::of`], for the page that is `offset` bytes into an array.
    pub fn of_words(words: &SharedWords, offset: usize) -> Option<Self> {
        if offset >= size_of_val(&**words) {
            return None;
        }
        let address = words.as_ptr().cast::<u8>().wrapping_add(offset);
        // SAFETY: The address is in the array, which is in a vmalloc area, whose pages are valid.
        unsafe {
            let page = NonNull::new(bindings::vmalloc_to_page(address.cast()))?;
            Some(Self::from_raw(page))
        }
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
            bindings::put_page(self.0.as_ptr());
        }
    }
}

/// Where user space has mapped a UIO node that it has opened.
///
/// Keeps the inode of the node, and with it the file system that the inode is on. Drop it without
/// a lock that writing to a disk needs, unless the node is still open: the last one who keeps a
/// file system writes it back.
///
/// # Invariants
///
/// Owns a reference to the inode and an active one to its superblock.
pub struct Mapping(ForeignPtr<bindings::inode>);

impl Mapping {
    /// # Safety
    ///
    /// The inode is valid, and that of a file that is being opened or open.
    unsafe fn from_raw(inode: NonNull<bindings::inode>) -> Self {
        // SAFETY: By the safety requirements. The file keeps its file system mounted, so that the
        // count of active references, a C atomic, is not 0. References are not bound to a thread,
        // and the memory management does its own locking.
        unsafe {
            let active = &raw mut (*(*inode.as_ptr()).i_sb).s_active.counter;
            Atomic::from_ptr(active).fetch_add(1, Relaxed);
            bindings::ihold(inode.as_ptr());
            // INVARIANT: Just taken.
            Self(ForeignPtr::new(inode))
        }
    }

    /// Takes `length` bytes from `offset` on out of all mappings, so that the next access faults.
    ///
    /// May sleep. Call it with no page locked that it may meet.
    pub fn unmap(&self, offset: usize, length: usize) {
        // SAFETY: By the type invariant the inode is valid.
        unsafe {
            let mapping = (*self.0.as_ptr()).i_mapping;
            bindings::unmap_mapping_range(mapping, offset as i64, length as i64, 1);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: The references are ours by the type invariant. That to the superblock comes last:
        // a superblock is not freed as long as somebody has an inode of it.
        unsafe {
            let superblock = (*self.0.as_ptr()).i_sb;
            bindings::iput(self.0.as_ptr());
            bindings::deactivate_super(superblock);
        }
    }
}

/// What serves a UIO device.
///
/// UIO calls all but [`Operations::fault`] with a lock of the device's own held (`info_lock`).
pub trait Operations: Send + Sync + Sized + 'static {
    /// Version string of the interface.
    const VERSION: &'static CStr;

    /// Name of the memory region.
    const REGION: &'static CStr;

    /// Somebody opens the node, for which there will be no mapping but in `mapping`.
    fn open(this: ArcBorrow<'_, Self>, mapping: Mapping) -> Result;

    /// The last user closes the node.
    fn release(this: ArcBorrow<'_, Self>);

    /// User space writes to the node.
    fn irqcontrol(this: ArcBorrow<'_, Self>);

    /// Size of the memory region in bytes; a mapping must have just this size.
    fn region_size(&self) -> usize;

    /// The page at `offset` bytes into the region. `None` kills the accessing thread with SIGBUS.
    fn fault(this: ArcBorrow<'_, Self>, offset: usize) -> Option<MappedPage>;
}

/// A device without a parent, below which UIO devices appear in sysfs.
#[pin_data]
pub struct Root {
    device: RootDevice,
    /// Held while a UIO device is registered or unregistered: the UIO core gives the number of a
    /// device away before it takes the name with that number out of sysfs, and the next device with
    /// the number could not be registered. Taken before UIO's `info_lock`.
    #[pin]
    numbers: Mutex<()>,
}

/// Unregisters the device when dropped.
struct RootDevice(ForeignPtr<bindings::device>);

impl Root {
    /// Registers a root device.
    pub fn new(name: &'static CStr, module: &'static ThisModule) -> Result<Arc<Self>> {
        // SAFETY: The name and the module are valid.
        let dev = unsafe { bindings::__root_device_register(name.as_char_ptr(), module.as_ptr()) };
        let dev = NonNull::new(kernel::error::from_err_ptr(dev)?).ok_or(ENODEV)?;
        // SAFETY: The driver core does its own locking.
        let device = RootDevice(unsafe { ForeignPtr::new(dev) });
        Arc::pin_init(
            pin_init!(Self {
                device,
                numbers <- kernel::new_mutex!((), "uio::Root::numbers"),
            }),
            GFP_KERNEL,
        )
    }
}

impl Drop for RootDevice {
    fn drop(&mut self) {
        // SAFETY: Registered by `Root::new`; there is no UIO device below it, as each holds a
        // reference to the `Root`.
        unsafe { bindings::root_device_unregister(self.0.as_ptr()) };
    }
}

/// Whether sysfs can show `text`: UIO writes it with a newline into a page, whatever its length.
const fn fits_sysfs(text: &CStr) -> bool {
    text.to_bytes_with_nul().len() < PAGE_SIZE
}

/// What UIO is told of a device.
///
/// Kept as long as anybody may notify the device.
#[pin_data]
struct Info {
    #[pin]
    info: Foreign<bindings::uio_info>,
}

/// A registered UIO device, which `data` serves; dropping it unregisters the device.
///
/// Dropping waits for calls of [`Operations`] that are under way. Who has the node open keeps it,
/// but nothing behind it any more; mappings, and with them `data`, stay until they are unmapped.
///
/// # Invariants
///
/// `info` is registered and its private pointer is `data`; `info.name` points to `name`.
pub struct Registration<T: Operations> {
    info: Arc<Info>,
    name: CString,
    root: Arc<Root>,
    data: Arc<T>,
}

impl<T: Operations> Registration<T> {
    /// Registers a UIO device under `name`; `region` is the address of its memory, which users are
    /// shown and nothing else is done with.
    ///
    /// `ENAMETOOLONG`: sysfs could not show the name. `EEXIST`: another driver's device keeps the
    /// number for too long.
    pub fn new(
        data: Arc<T>,
        module: &'static ThisModule,
        root: Arc<Root>,
        name: CString,
        region: *const u8,
    ) -> Result<Self> {
        const { assert!(fits_sysfs(T::VERSION) && fits_sysfs(T::REGION)) };
        if !fits_sysfs(&name) {
            return Err(ENAMETOOLONG);
        }
        let raw = bindings::uio_info {
            name: name.as_char_ptr(),
            version: T::VERSION.as_char_ptr(),
            priv_: Arc::as_ptr(&data).cast_mut().cast(),
            irq: bindings::UIO_IRQ_CUSTOM as c_long,
            irqcontrol: Some(Callbacks::<T>::irqcontrol),
            mmap_prepare: Some(Callbacks::<T>::mmap_prepare),
            open: Some(Callbacks::<T>::open),
            release: Some(Callbacks::<T>::release),
            ..pin_init::zeroed()
        };
        let region = bindings::uio_mem {
            name: T::REGION.as_char_ptr(),
            addr: region.expose_provenance() as bindings::phys_addr_t,
            size: data.region_size() as bindings::resource_size_t,
            memtype: bindings::UIO_MEM_NONE as c_int,
            ..Default::default()
        };
        let info = Arc::pin_init(
            pin_init!(Info {
                // SAFETY: The whole struct is written. UIO does its own locking.
                info <- unsafe {
                    Foreign::ffi_init(|slot: *mut bindings::uio_info| {
                        slot.write(raw);
                        (*slot).mem[0] = region;
                    })
                },
            }),
            GFP_KERNEL,
        )?;
        // Who has to wait for the root may serve a disk that reclaim writes to.
        let noio = NoIoScope::enter();
        let numbers = root.numbers.lock();
        for attempt in 1..=TRIES {
            // SAFETY: The struct, its strings, which fit a page of sysfs, and `data` live until the
            // result of this function is dropped, which unregisters the struct; the functions keep
            // UIO's contract.
            let result = kernel::error::to_result(unsafe {
                let parent = root.device.0.as_ptr();
                bindings::__uio_register_device(module.as_ptr(), parent, info.info.as_ptr())
            });
            match result {
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
        drop(numbers);
        drop(noio);
        // INVARIANT: Just registered.
        Ok(Self {
            info,
            name,
            root,
            data,
        })
    }

    /// What wakes the users of the device.
    pub fn notifier(&self) -> Notifier {
        // SAFETY: By the type invariant `uio_dev` is valid.
        let device = unsafe {
            let uio_dev = (*self.info.info.as_ptr()).uio_dev;
            device::Device::get_device(&raw mut (*uio_dev).dev)
        };
        // INVARIANT: The reference has just been taken.
        Notifier {
            info: self.info.clone(),
            _device: device,
        }
    }

    /// Gives the device another name. Readers of sysfs see the old or the new one.
    ///
    /// `ENAMETOOLONG`: sysfs could not show it.
    pub fn rename(&mut self, name: CString) -> Result {
        if !fits_sysfs(&name) {
            return Err(ENAMETOOLONG);
        }
        // SAFETY: By the type invariant `uio_dev` is valid; its `info_lock` excludes all readers of
        // the name. The old name is freed after that.
        unsafe {
            let info = self.info.info.as_ptr();
            let lock = &raw mut (*(*info).uio_dev).info_lock;
            bindings::mutex_lock(lock);
            (*info).name = name.as_char_ptr();
            bindings::mutex_unlock(lock);
        }
        self.name = name;
        Ok(())
    }

    /// The name.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// The minor number of the node.
    pub fn minor(&self) -> u32 {
        // SAFETY: By the type invariant `uio_dev` is valid; the minor does not change.
        let minor = unsafe { (*(*self.info.info.as_ptr()).uio_dev).minor };
        minor as u32
    }
}

impl<T: Operations> Drop for Registration<T> {
    fn drop(&mut self) {
        // As in `new`; and UIO allocates memory while users of the node wait for its lock.
        let _noio = NoIoScope::enter();
        let _numbers = self.root.numbers.lock();
        // SAFETY: Registered by the type invariant.
        unsafe { bindings::uio_unregister_device(self.info.info.as_ptr()) };
        let _ = &self.data;
    }
}

/// Wakes the users of a UIO device, as long as it is registered; then it does nothing.
///
/// # Invariants
///
/// `info.uio_dev` points to the UIO device that `_device` is part of.
pub struct Notifier {
    info: Arc<Info>,
    _device: ARef<device::Device>,
}

impl Notifier {
    /// Wakes the users of the device.
    #[inline]
    pub fn notify(&self) {
        // SAFETY: By the type invariant `uio_dev` is valid, and the function uses nothing else:
        // after the end of the registration it counts and wakes nobody.
        unsafe { bindings::uio_event_notify(self.info.info.as_ptr()) };
    }
}

/// The functions of `struct uio_info` and `struct vm_operations_struct`.
struct Callbacks<T>(PhantomData<T>);

/// Makes the functions of `struct uio_info`.
macro_rules! uio_callbacks {
    ($(fn $name:ident($data:ident, $arg:ident: $ty:ty) $body:block)*) => {$(
        /// # Safety
        ///
        /// Called by UIO with the struct of a registered device, under `info_lock`.
        unsafe extern "C" fn $name(info: *mut bindings::uio_info, $arg: $ty) -> c_int {
            // SAFETY: By the safety requirements the device has not been unregistered, so that its
            // registration still has its reference to what `priv_` points to.
            let $data: ArcBorrow<'_, T> = unsafe { ArcBorrow::from_raw((*info).priv_.cast()) };
            kernel::error::from_result(|| $body)
        }
    )*};
}

/// Makes the functions of `struct vm_operations_struct` that take an area.
macro_rules! vma_callbacks {
    ($(fn $name:ident($data:ident: $own:ty, $arc:ident) $body:block)*) => {$(
        /// # Safety
        ///
        /// Called by the memory management with an area that `mapped` has seen.
        unsafe extern "C" fn $name(vma: *mut bindings::vm_area_struct) {
            // SAFETY: Each area owns one reference to the data, taken by `mapped` or `vma_open` and
            // given back by `vma_close`.
            let $data: $own = unsafe { $arc::from_raw((*vma).vm_private_data.cast::<T>()) };
            $body
        }
    )*};
}

impl<T: Operations> Callbacks<T> {
    const VM_OPS: &'static bindings::vm_operations_struct = &bindings::vm_operations_struct {
        mapped: Some(Self::vma_mapped),
        open: Some(Self::vma_open),
        close: Some(Self::vma_close),
        fault: Some(Self::fault),
        ..pin_init::zeroed()
    };

    uio_callbacks! {
        fn open(data, inode: *mut bindings::inode) {
            let inode = NonNull::new(inode).ok_or(EINVAL)?;
            // SAFETY: UIO passes the inode of the file that is being opened.
            let mapping = unsafe { Mapping::from_raw(inode) };
            T::open(data, mapping).map(|()| 0)
        }

        fn release(data, _inode: *mut bindings::inode) {
            T::release(data);
            Ok(0)
        }

        fn irqcontrol(data, _on: i32) {
            T::irqcontrol(data);
            Ok(0)
        }

        fn mmap_prepare(data, desc: *mut bindings::vm_area_desc) {
            let own: Arc<T> = data.into();
            // SAFETY: UIO passes a descriptor that is ours to fill; the table is a constant.
            let pages = unsafe {
                bindings::vma_desc_set_shared_memory(desc);
                (*desc).vm_ops = Self::VM_OPS;
                (*desc).private_data = Arc::as_ptr(&own).cast_mut().cast();
                ((*desc).end - (*desc).start) >> PAGE_SHIFT
            };
            if pages == data.region_size() >> PAGE_SHIFT {
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
        let data: ArcBorrow<'_, T> = unsafe { ArcBorrow::from_raw((*private).cast()) };
        // The area's own reference, until `vma_close`.
        let _ = Arc::into_raw(Arc::from(data));
        0
    }

    vma_callbacks! {
        fn vma_open(data: ArcBorrow<'_, T>, ArcBorrow) {
            let _ = Arc::into_raw(Arc::from(data));
        }

        fn vma_close(data: Arc<T>, Arc) {
            drop(data);
        }
    }

    /// # Safety
    ///
    /// Called by the memory management with a fault in an area that `mapped` has seen.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: By the safety requirements; the area owns a reference to the data.
        let (data, page_offset) = unsafe {
            let vma = (*vmf).__bindgen_anon_1.vma;
            let data: ArcBorrow<'_, T> = ArcBorrow::from_raw((*vma).vm_private_data.cast());
            // UIO takes the number of the region for the offset of its first page; there is only
            // region 0.
            (data, (*vmf).__bindgen_anon_1.pgoff)
        };
        match T::fault(data, page_offset << PAGE_SHIFT) {
            Some(page) => {
                // SAFETY: The fault takes over the reference and, as its result says, the lock.
                unsafe { (*vmf).page = page.into_raw() };
                bindings::vm_fault_reason_VM_FAULT_LOCKED
            }
            None => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
        }
    }
}
