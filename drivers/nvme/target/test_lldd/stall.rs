// SPDX-License-Identifier: GPL-2.0

//! Holds up `nvmet_fc_rcv_fcp_req()` where the implementation in C has given up the lock of a
//! queue, to allocate the memory for a command that has to wait for a job.
//!
//! A probe of the allocator, which looks where it returns to. It needs nothing of this LLDD: the
//! commands may be those of any other.

use core::mem::size_of;

use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

use crate::bindings;

/// Milliseconds that it is held up; 0: it is not.
static DELAY: Atomic<u32> = Atomic::new(0);

/// How often it was.
static HITS: Atomic<usize> = Atomic::new(0);

/// The address of the function whose allocations take that long.
static CALLER: Atomic<usize> = Atomic::new(0);

/// What it calls to allocate the memory.
const ALLOCATOR: &CStr = c"__kmalloc_cache_noprof";

/// More than the code of either function is long.
const LENGTH: usize = 0x1000;

/// What C allocates: a list head and a pointer.
const SIZE: usize = size_of::<bindings::list_head>() + size_of::<*mut c_void>();

/// Number of the allocator's argument that is the size.
const SIZE_ARGUMENT: c_uint = 2;

/// The longest that a CPU may be held up without anybody complaining.
const MOST_MS: u32 = 5_000;

/// From now on each time, for so long; 0: no longer. `EINVAL`: that would be too long.
pub(crate) fn set(msecs: u32) -> Result {
    if msecs > MOST_MS {
        return Err(EINVAL);
    }
    DELAY.store(msecs, Relaxed);
    Ok(())
}

/// How often `nvmet_fc_rcv_fcp_req()` was held up.
pub(crate) fn hits() -> usize {
    HITS.load(Relaxed)
}

/// # Safety
///
/// Called by the probe, at the beginning of the allocator.
unsafe extern "C" fn allocating(
    _probe: *mut bindings::kprobe,
    regs: *mut bindings::pt_regs,
) -> c_int {
    let msecs = DELAY.load(Relaxed);
    if msecs != 0 {
        // SAFETY: By the contract of this function.
        let (size, caller) = unsafe {
            (
                bindings::regs_get_kernel_argument(regs, SIZE_ARGUMENT) as usize,
                bindings::probed_return_address(regs) as usize,
            )
        };
        let begin = CALLER.load(Relaxed);
        if size == SIZE && (begin..begin + LENGTH).contains(&caller) {
            HITS.fetch_add(1, Relaxed);
            // SAFETY: May be called in any context; nothing is locked here.
            unsafe { bindings::mdelay(msecs) };
        }
    }
    0
}

/// The probe's structure, which the kernel uses from its registration to its end.
struct Probe(Opaque<bindings::kprobe>);

// SAFETY: Only the kernel uses it, under locks of its own.
unsafe impl Sync for Probe {}

static PROBE: Probe = Probe(Opaque::new(bindings::kprobe {
    pre_handler: Some(allocating),
    ..pin_init::zeroed()
}));

/// Whether the probe finds an allocation such as that of C. Without that it would say nothing that
/// it finds none.
fn fires() -> bool {
    let before = hits();
    let allocate: unsafe extern "C" fn() = bindings::allocate_as_receiver;
    CALLER.store(allocate as usize, Relaxed);
    DELAY.store(1, Relaxed);
    // SAFETY: It may be called in any context that sleeps.
    unsafe { allocate() };
    DELAY.store(0, Relaxed);
    hits() == before + 1
}

/// The probe, as long as this is there.
pub(crate) struct Stall(());

impl Stall {
    /// Puts the probe where it belongs. Called once, when the module is loaded. `ENODEV`: it does
    /// not find what it is for.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: Only one is made while the module is loaded, and `drop` unregisters it before the
        // module goes. Nobody but the kernel uses the structure after this.
        to_result(unsafe {
            (*PROBE.0.get()).symbol_name = ALLOCATOR.as_char_ptr();
            bindings::register_kprobe(PROBE.0.get())
        })?;
        let this = Self(());
        if !fires() {
            return Err(ENODEV);
        }
        let receive: unsafe extern "C" fn(_, _, _, _) -> _ = bindings::nvmet_fc_rcv_fcp_req;
        CALLER.store(receive as usize, Relaxed);
        Ok(this)
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        // SAFETY: It was registered. Waits for those that are held up.
        unsafe { bindings::unregister_kprobe(PROBE.0.get()) };
    }
}
