// SPDX-License-Identifier: GPL-2.0

//! Devices of LIO.
//!
//! C header: `include/target/target_core_base.h` (`struct se_device`)

use crate::ext::{
    bindings,
    foreign::Foreign, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        ArcBorrow, //
    },
};

/// What the hardware of a device can do, as its backend says (attributes `hw_*`).
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Block size in bytes.
    BlockSize,
    /// Longest transfer in blocks.
    MaxSectors,
    /// Commands at a time.
    QueueDepth,
}

/// A device of LIO with its backend's part.
///
/// LIO knows it by the address of `se_dev`.
#[pin_data]
#[repr(C)]
pub struct Device<T> {
    #[pin]
    pub(super) se_dev: Foreign<bindings::se_device>,
    #[pin]
    pub(super) plug: Foreign<bindings::se_dev_plug>,
    /// The number by which LIO has known the device since its configuration began.
    pub(super) index: Atomic<u32>,
    /// Whether the device is configured, or its configuration has begun.
    pub(super) taken: Atomic<u32>,
    #[pin]
    pub(super) backend: T,
}

impl<T> core::ops::Deref for Device<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.backend
    }
}

/// A number in the `se_device` of `$device`, as an atomic.
macro_rules! number {
    ($device:expr, $($field:tt)+) => {
        // SAFETY: A field of the device, which lives as long. LIO reads and writes it without a
        // lock, as a plain word; an atomic access is compatible with that.
        unsafe { Atomic::from_ptr(&raw mut (*$device.se_dev.as_ptr()).$($field)+) }
    };
}

impl<T> Device<T> {
    /// Returns the device that LIO knows as `raw`.
    ///
    /// # Safety
    ///
    /// `raw` is the `se_dev` of a `Device<T>` in an [`Arc`], of which the caller (LIO) holds a
    /// reference for `'a`.
    #[inline]
    pub unsafe fn from_raw<'a>(raw: *mut bindings::se_device) -> ArcBorrow<'a, Self> {
        // SAFETY: By the safety requirements. `se_dev` is the first field of a `repr(C)` struct.
        unsafe { ArcBorrow::from_raw(raw.cast::<Self>()) }
    }

    /// Number of the device, unique in the system, from its configuration on.
    pub fn index(&self) -> u32 {
        self.index.load(Relaxed)
    }

    /// LIO's own number of the device.
    pub(super) fn dev_index(&self) -> &Atomic<u32> {
        number!(self, dev_index)
    }

    /// Whether a LUN exports the device.
    pub fn is_exported(&self) -> bool {
        number!(self, export_count).load(Relaxed) != 0
    }

    /// Block size in bytes, as initiators see it.
    pub fn block_size(&self) -> u32 {
        number!(self, dev_attrib.block_size).load(Relaxed)
    }

    fn limit_field(&self, limit: Limit) -> &Atomic<u32> {
        match limit {
            Limit::BlockSize => number!(self, dev_attrib.hw_block_size),
            Limit::MaxSectors => number!(self, dev_attrib.hw_max_sectors),
            Limit::QueueDepth => number!(self, dev_attrib.hw_queue_depth),
        }
    }

    /// What the hardware can do; 0 if nobody has said so yet.
    pub fn limit(&self, limit: Limit) -> u32 {
        self.limit_field(limit).load(Relaxed)
    }

    /// Says what the hardware can do. Blocks of no size are ignored: LIO divides by it.
    pub fn set_limit(&self, limit: Limit, value: u32) {
        if matches!(limit, Limit::BlockSize) && value == 0 {
            return;
        }
        self.limit_field(limit).store(value, Relaxed);
    }

    /// Whether the attribute `emulate_write_cache` is set.
    pub fn write_cache(&self) -> bool {
        self.write_cache_field().load(Relaxed)
    }

    /// Sets the attribute `emulate_write_cache`.
    pub fn set_write_cache(&self, on: bool) {
        self.write_cache_field().store(on, Relaxed);
    }

    fn write_cache_field(&self) -> &Atomic<bool> {
        number!(self, dev_attrib.emulate_write_cache)
    }

    /// Whether LIO has configured the device (attribute `enable`).
    pub fn is_configured(&self) -> bool {
        number!(self, dev_flags).load(Relaxed) & bindings::DF_CONFIGURED != 0
    }
}
