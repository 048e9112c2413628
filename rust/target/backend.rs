// SPDX-License-Identifier: GPL-2.0

//! What a backend of LIO implements.
//!
//! A backend is a type that implements [`Backend`]; its value is the private part of a [`Device`].
//! This module owns everything unsafe about `struct target_backend_ops`.
//!
//! C header: `include/target/target_core_backend.h`

use super::{
    attribute::{
        Action,
        Attrib,
        AttributeTable, //
    },
    command::{
        AbortedCommands,
        Command,
        Refused, //
    },
    device::{
        Device,
        Limit, //
    },
    tmr_function::{
        tcm_tmreq_table,
        TmrFunction,
        TmrNotify, //
    },
};
use crate::ext::{
    bindings,
    foreign::Foreign,
    module::{
        is_coming,
        keep, //
    },
    output::Output, //
};
use core::{
    mem::{
        self,
        ManuallyDrop, //
    },
    ptr::NonNull, //
};
use kernel::{
    module::this_module,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        rcu,
        Arc,
        ArcBorrow, //
    },
};

/// Who executes which commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The backend executes all. Users may choose that LIO keeps reservations and port states
    /// (`TRANSPORT_FLAG_PASSTHROUGH_*`; attributes `pgr_support` and `alua_support`).
    Passthrough,
    /// LIO emulates a disk; the backend executes what reads or writes blocks, except COMPARE AND
    /// WRITE, which is refused.
    Emulated,
}

impl Mode {
    /// Transport flags (`TRANSPORT_FLAG_*`), and those among them that users may change.
    const fn flags(self) -> (u32, u32) {
        match self {
            Self::Passthrough => (
                bindings::TRANSPORT_FLAG_PASSTHROUGH,
                bindings::TRANSPORT_FLAG_PASSTHROUGH_PGR
                    | bindings::TRANSPORT_FLAG_PASSTHROUGH_ALUA,
            ),
            Self::Emulated => (0, 0),
        }
    }
}

/// A backend. The value is the private part of a device.
#[vtable]
pub trait Backend: Sized + Send + Sync + 'static {
    /// The module that the backend is part of. There are no HBAs before its initialisation is over.
    type Module: kernel::ModuleMetadata;

    /// Name of the backend, as in the name of its HBAs in configfs; at most 15 bytes.
    const NAME: &'static CStr;

    /// Who executes which commands.
    const MODE: Mode;

    /// Makes the private part of a device `name` of HBA `host_id`.
    fn new(host_id: u32, name: &CStr) -> impl PinInit<Self, Error>;

    /// Makes the device ready for commands, for which it needs a [`Limit::BlockSize`].
    ///
    /// A second writer of `enable` is not kept out: what it makes of the device has no effect.
    fn configure_device(device: ArcBorrow<'_, Device<Self>>) -> Result;

    /// Ends what [`Backend::configure_device`] began; there are no more commands.
    fn destroy_device(device: ArcBorrow<'_, Device<Self>>);

    /// Takes a command. One that it refuses LIO answers.
    fn execute_cmd(device: &Device<Self>, command: Command) -> Result<(), Refused>;

    /// A task management function has aborted commands, which LIO will now wait for.
    fn tmr_notify(device: &Device<Self>, function: TmrFunction, aborted: AbortedCommands<'_>) {
        let _ = (device, function, aborted);
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// More commands will follow at once; says whether [`Backend::unplug_device`] shall be called
    /// after.
    fn plug_device(device: &Device<Self>) -> bool {
        let _ = device;
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// The end of a batch of commands.
    fn unplug_device(device: &Device<Self>) {
        let _ = device;
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Takes the text that was written to the device's file `control`.
    fn set_configfs_dev_params(device: &Device<Self>, text: &[u8]) -> Result;

    /// Prints the backend's part of the device's file `info`.
    fn show_configfs_dev_params(device: &Device<Self>, out: &mut Output<'_>) -> Result;

    /// Number of the last block of the device, as initiators see its blocks.
    fn get_blocks(device: &Device<Self>) -> u64;
}

/// Makes the functions of the operations table that take a device.
macro_rules! device_callbacks {
    ($($(#[$meta:meta])*
       fn $name:ident($device:ident $(, $arg:ident: $ty:ty)*) $(-> $ret:ty)? $body:block)*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        ///
        /// Called by LIO with a device that [`Self::alloc_device`] returned and that has not been
        /// given back with [`Self::free_device`].
        unsafe extern "C" fn $name(
            raw: *mut bindings::se_device
            $(, $arg: $ty)*
        ) $(-> $ret)? {
            // SAFETY: By the safety requirements: LIO's own reference is dropped by `free_device`.
            let $device: ArcBorrow<'_, Device<T>> = unsafe { Device::from_raw(raw) };
            $body
        }
    )*};
}

/// What the bindings take [`TmrNotify`] for.
type TmrNotifyOfBindings = unsafe extern "C" fn(
    *mut bindings::se_device,
    bindings::tcm_tmreq_table,
    *mut bindings::list_head,
);

/// The operations table of a backend, as functions that LIO calls.
struct Operations<T>(core::marker::PhantomData<T>);

impl<T: Backend> Operations<T> {
    /// # Safety
    ///
    /// Called by LIO with an HBA that is being made.
    unsafe extern "C" fn attach_hba(hba: *mut bindings::se_hba, host_id: u32) -> c_int {
        // If the initialisation fails later on, nothing of the module must be in use.
        if is_coming(this_module::<T::Module>()) {
            return EAGAIN.to_errno();
        }
        // SAFETY: The HBA is valid; `hba_ptr` is the backend's own. The host id fits in it.
        unsafe { (*hba).hba_ptr = core::ptr::without_provenance_mut(host_id as usize) };
        0
    }

    /// # Safety
    ///
    /// Called by LIO with an HBA that is going away.
    unsafe extern "C" fn detach_hba(_hba: *mut bindings::se_hba) {}

    /// # Safety
    ///
    /// Called by LIO with an HBA that `attach_hba` has seen, and a NUL-terminated name.
    unsafe extern "C" fn alloc_device(
        hba: *mut bindings::se_hba,
        name: *const c_char,
    ) -> *mut bindings::se_device {
        // SAFETY: By the safety requirements.
        let (host_id, name) = unsafe { ((*hba).hba_ptr.addr() as u32, CStr::from_char_ptr(name)) };
        let device = Arc::pin_init(
            try_pin_init!(Device {
                // SAFETY: All zeroes is what LIO expects; it initialises the rest, and does its own
                // locking.
                se_dev <- unsafe { Foreign::zeroed() },
                // SAFETY: As above.
                plug <- unsafe { Foreign::zeroed() },
                index: Atomic::new(0),
                taken: Atomic::new(0),
                backend <- T::new(host_id, name),
            }),
            GFP_KERNEL,
        );
        match device {
            // LIO owns the reference until `free_device`.
            Ok(device) => Arc::into_raw(device).cast_mut().cast(),
            // A null pointer is the only error that LIO knows.
            Err(_) => core::ptr::null_mut(),
        }
    }

    /// # Safety
    ///
    /// Called by LIO as the last thing it does with a device that `alloc_device` returned.
    unsafe extern "C" fn free_device(raw: *mut bindings::se_device) {
        // SAFETY: By the safety requirements this is LIO's reference, `se_dev` is the first field.
        let device = unsafe { Arc::from_raw(raw.cast::<Device<T>>()) };
        // Readers of LIO may still see the device under RCU. Upstream defers the freeing; waiting
        // here lets the last reference, LIO's or that of a mapping, free all of it at once.
        rcu::synchronize_rcu();
        drop(device);
    }

    /// # Safety
    ///
    /// Called by LIO with a command that is to be executed.
    unsafe extern "C" fn execute_cmd(cmd: *mut bindings::se_cmd) -> bindings::sense_reason_t {
        // SAFETY: LIO passes a valid command with its device, whose reference it holds as long as
        // there are commands. What is given back is returned.
        let reason = unsafe {
            let raw = NonNull::new_unchecked(cmd);
            let device: ArcBorrow<'_, Device<T>> = Device::from_raw((*cmd).se_dev);
            match T::execute_cmd(&device, Command::from_raw(raw)) {
                Ok(()) => None,
                Err(refused) => refused.give_back(raw),
            }
        };
        reason.map_or(bindings::tcm_sense_reason_table_TCM_NO_SENSE, |reason| {
            reason as bindings::sense_reason_t
        })
    }

    /// # Safety
    ///
    /// As [`Self::execute_cmd`]; the command moves blocks between `direction` and its own buffer.
    unsafe extern "C" fn execute_rw(
        cmd: *mut bindings::se_cmd,
        sgl: *mut bindings::scatterlist,
        _nents: u32,
        direction: bindings::dma_data_direction,
    ) -> bindings::sense_reason_t {
        // SAFETY: By the safety requirements.
        unsafe {
            // The two steps of COMPARE AND WRITE differ from what the command itself says.
            if sgl != (*cmd).t_data_sg || direction != (*cmd).data_direction {
                return bindings::tcm_sense_reason_table_TCM_UNSUPPORTED_SCSI_OPCODE;
            }
            Self::execute_cmd(cmd)
        }
    }

    /// What LIO's emulation of a disk calls. LIO only reads it.
    const EMULATION: &'static bindings::exec_cmd_ops = &bindings::exec_cmd_ops {
        execute_rw: Some(Self::execute_rw),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by LIO with a command that is to be parsed.
    unsafe extern "C" fn parse_cdb(cmd: *mut bindings::se_cmd) -> bindings::sense_reason_t {
        // SAFETY: By the safety requirements.
        unsafe {
            match T::MODE {
                Mode::Passthrough => bindings::passthrough_parse_cdb(cmd, Some(Self::execute_cmd)),
                Mode::Emulated => {
                    bindings::sbc_parse_cdb(cmd, core::ptr::from_ref(Self::EMULATION).cast_mut())
                }
            }
        }
    }

    /// # Safety
    ///
    /// Called by LIO with what `plug_device` returned.
    unsafe extern "C" fn unplug_device(plug: *mut bindings::se_dev_plug) {
        // SAFETY: The plug is part of the device, of which LIO holds a reference since then, as the
        // commands may have been answered.
        let device: ArcBorrow<'_, Device<T>> = unsafe {
            let plug = plug.cast::<Foreign<bindings::se_dev_plug>>();
            Device::from_raw(kernel::container_of!(plug, Device<T>, plug).cast())
        };
        T::unplug_device(&device);
    }

    device_callbacks! {
        /// Attribute `enable`.
        fn configure_device(device) -> c_int {
            // LIO gives the device a new number for each writer of `enable`, also for one that
            // comes while another is in here, and forgets the older one: after the device is freed
            // the older number would still lead to it.
            let number = device.dev_index();
            let index = number.load(Relaxed);
            let is_first = device.taken.cmpxchg(0, 1, Full).is_ok();
            if is_first {
                device.index.store(index, Relaxed);
            }
            let mut result = T::configure_device(device);
            if is_first {
                if result.is_ok() && device.limit(Limit::BlockSize) == 0 {
                    T::destroy_device(device);
                    result = Err(EINVAL);
                }
                number.store(index, Relaxed);
                if result.is_err() {
                    device.taken.store(0, Release);
                }
            } else if result.is_ok() {
                result = Err(EBUSY);
            }
            kernel::error::from_result(|| result.map(|()| 0))
        }

        /// Removal of a configured device.
        fn destroy_device(device) {
            T::destroy_device(device);
            device.taken.store(0, Release);
        }

        /// Begin of a batch of commands.
        fn plug_device(device) -> *mut bindings::se_dev_plug {
            if T::plug_device(&device) {
                device.plug.as_ptr()
            } else {
                core::ptr::null_mut()
            }
        }

        /// Task management function.
        fn tmr_notify(device, function: tcm_tmreq_table, list: *mut bindings::list_head) {
            // SAFETY: LIO passes the head of a list of commands that it holds until this returns.
            let aborted = unsafe { AbortedCommands::from_raw(NonNull::new_unchecked(list)) };
            T::tmr_notify(&device, function.function.into(), aborted);
        }

        /// File `control`.
        fn set_configfs_dev_params(device, page: *const c_char, count: isize) -> isize {
            // SAFETY: configfs passes a NUL-terminated page.
            let text = unsafe { CStr::from_char_ptr(page) };
            kernel::error::from_result(|| {
                T::set_configfs_dev_params(&device, text.to_bytes()).map(|()| count)
            })
        }

        /// File `info`.
        fn show_configfs_dev_params(device, page: *mut c_char) -> isize {
            // SAFETY: LIO passes the rest of a page that it has written a few short lines to; the
            // backend's part is given the same limit that LIO's own lines are known to keep.
            let buffer = unsafe { core::slice::from_raw_parts_mut(page.cast::<u8>(), INFO_SIZE) };
            let mut out = Output::new(buffer);
            match T::show_configfs_dev_params(&device, &mut out) {
                Ok(()) => out.length() as isize,
                Err(_) => 0,
            }
        }

        /// Size of the device.
        fn get_blocks(device) -> bindings::sector_t {
            T::get_blocks(&device)
        }
    }
}

/// Room in bytes for a backend's part of the file `info`, after LIO's lines of at most a few
/// hundred bytes.
const INFO_SIZE: usize = kernel::page::PAGE_SIZE / 2;

/// A backend that LIO knows.
///
/// It belongs into the value of the module: dropped with that, it unregisters the backend. Dropped
/// at any other time it stays registered, and the module loaded, for ever, as there may be HBAs.
///
/// # Invariants
///
/// `ops` is registered; it and the tables it points to stay as they are until it is not.
pub struct Registration<T: Backend> {
    ops: ManuallyDrop<Pin<KBox<Foreign<bindings::target_backend_ops>>>>,
    attributes: ManuallyDrop<AttributeTable<T, Attrib>>,
    actions: ManuallyDrop<AttributeTable<T, Action>>,
}

impl<T: Backend> Registration<T> {
    /// Registers the backend with its attributes and actions.
    pub fn new(
        mut attributes: AttributeTable<T, Attrib>,
        mut actions: AttributeTable<T, Action>,
    ) -> Result<Self> {
        const {
            // LIO calls the one whenever it has called the other.
            assert!(T::HAS_PLUG_DEVICE == T::HAS_UNPLUG_DEVICE);
        }
        let module = this_module::<T::Module>();
        attributes.set_owner(module);
        actions.set_owner(module);
        let mut ops = bindings::target_backend_ops {
            owner: module.as_ptr(),
            transport_flags_default: T::MODE.flags().0 as u8,
            transport_flags_changeable: T::MODE.flags().1 as u8,
            attach_hba: Some(Operations::<T>::attach_hba),
            detach_hba: Some(Operations::<T>::detach_hba),
            alloc_device: Some(Operations::<T>::alloc_device),
            configure_device: Some(Operations::<T>::configure_device),
            destroy_device: Some(Operations::<T>::destroy_device),
            free_device: Some(Operations::<T>::free_device),
            plug_device: if T::HAS_PLUG_DEVICE {
                Some(Operations::<T>::plug_device)
            } else {
                None
            },
            unplug_device: if T::HAS_UNPLUG_DEVICE {
                Some(Operations::<T>::unplug_device)
            } else {
                None
            },
            parse_cdb: Some(Operations::<T>::parse_cdb),
            tmr_notify: if T::HAS_TMR_NOTIFY {
                // SAFETY: The same function type but for the enum, which is passed as its number.
                Some(unsafe {
                    mem::transmute::<TmrNotify, TmrNotifyOfBindings>(Operations::<T>::tmr_notify)
                })
            } else {
                None
            },
            set_configfs_dev_params: Some(Operations::<T>::set_configfs_dev_params),
            show_configfs_dev_params: Some(Operations::<T>::show_configfs_dev_params),
            get_device_type: Some(bindings::sbc_get_device_type),
            get_blocks: Some(Operations::<T>::get_blocks),
            tb_dev_attrib_attrs: attributes.as_ptr(),
            tb_dev_action_attrs: actions.as_ptr(),
            ..Default::default()
        };
        let name = T::NAME.to_bytes_with_nul();
        ops.name
            .get_mut(..name.len())
            .ok_or(ENAMETOOLONG)?
            .copy_from_slice(name);
        // SAFETY: The whole table is written, and nobody changes it after that.
        let ops =
            unsafe { Foreign::ffi_init(|slot: *mut bindings::target_backend_ops| slot.write(ops)) };
        let ops = KBox::pin_init(ops, GFP_KERNEL)?;
        // SAFETY: The table and what it points to live, unchanged, until `drop` unregisters it, or
        // for ever; its functions keep the contract of `struct target_backend_ops`.
        kernel::error::to_result(unsafe { bindings::transport_backend_register(ops.as_ptr()) })?;
        // INVARIANT: Just registered.
        Ok(Self {
            ops: ManuallyDrop::new(ops),
            attributes: ManuallyDrop::new(attributes),
            actions: ManuallyDrop::new(actions),
        })
    }
}

impl<T: Backend> Drop for Registration<T> {
    fn drop(&mut self) {
        let module = this_module::<T::Module>();
        // An HBA holds a reference to the module, so that there is none when the module goes. What
        // is built in has no references: HBAs can always be there.
        if !is_coming(module) && keep(module) {
            kernel::pr_warn_once!("a backend was dropped before its module: it stays for ever\n");
            return;
        }
        // SAFETY: Registered by the type invariant, without an HBA: the module goes, or its
        // initialisation fails, before the end of which `attach_hba` has let nobody in. LIO does
        // not use the tables after that.
        unsafe {
            bindings::target_backend_unregister(self.ops.as_ptr());
            ManuallyDrop::drop(&mut self.ops);
            ManuallyDrop::drop(&mut self.attributes);
            ManuallyDrop::drop(&mut self.actions);
        }
    }
}
