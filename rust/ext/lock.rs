// SPDX-License-Identifier: GPL-2.0

//! Locks that C initialised and that protect C data.
//!
//! `kernel::sync::Lock<(), _>` is layout compatible with the C lock alone (see `Lock::from_raw()`),
//! so a lock that is a field of a C structure is used in place, with the kernel crate's guards.
//! Every acquisition through them runs the lock's lockdep assertion.

use core::{
    cell::UnsafeCell,
    ptr, //
};

use kernel::{
    prelude::*,
    sync::lock::{
        mutex::MutexBackend,
        Lock, //
    }, //
};

use super::bindings;

/// A C `spinlock_t` that is never taken from interrupts.
pub type SpinLock = kernel::sync::SpinLock<()>;

/// A C `spinlock_t` that C takes with `spin_lock_irqsave()`. Taken inside of another one, too.
pub type IrqSpinLock = kernel::sync::SpinLockIrq<()>;

/// What holds an [`IrqSpinLock`].
pub type IrqSpinLockGuard<'a> = kernel::sync::SpinLockIrqGuard<'a, ()>;

/// A `spinlock_t` that is taken with `spin_lock_irqsave()`, and what it protects.
///
/// The kernel crate's `SpinLockIrq` counts how often interrupts are disabled, so that its guards
/// may go in any order. That takes more instructions than C needs. Here there is no guard: what is
/// done with the lock is a function, so that whoever takes the lock last gives it up first.
///
/// An `IrqSaveSpinLock<()>` may be a C lock alone, as a `Lock<(), _>`.
#[pin_data]
#[repr(C)]
pub struct IrqSaveSpinLock<T> {
    #[pin]
    lock: kernel::sync::SpinLockIrq<()>,
    value: UnsafeCell<T>,
}

// SAFETY: Whoever has a reference gets the value with the lock alone, which one thread has at a
// time: as if the value were sent to it.
unsafe impl<T: Send> Sync for IrqSaveSpinLock<T> {}

impl<T> IrqSaveSpinLock<T> {
    /// Protects a value by a lock, which `new_spinlock_irq!((), "name")` makes.
    pub fn new(lock: impl PinInit<kernel::sync::SpinLockIrq<()>>, value: T) -> impl PinInit<Self> {
        pin_init!(Self {
            lock <- lock,
            value: UnsafeCell::new(value),
        })
    }

    /// Does something with the value, under the lock, with interrupts disabled.
    #[cfg(all(
        CONFIG_SMP,
        not(CONFIG_PREEMPT_RT),
        not(CONFIG_INLINE_SPIN_LOCK_IRQSAVE),
        not(CONFIG_INLINE_SPIN_UNLOCK_IRQRESTORE)
    ))]
    #[inline(always)]
    pub fn with<R>(&self, action: impl FnOnce(&mut T) -> R) -> R {
        // CAST: A `Lock<(), _>` is laid out as the C lock. That begins with the raw one, and with
        // these options these functions are what C calls.
        let lock = ptr::from_ref(&self.lock).cast_mut().cast();
        // SAFETY: The lock was initialised with this value.
        let flags = unsafe { bindings::_raw_spin_lock_irqsave(lock) };
        // SAFETY: By the lock nobody else uses the value now, and it is used within `action` only.
        let result = action(unsafe { &mut *self.value.get() });
        // SAFETY: The lock was taken above, and nothing unwinds. So whatever `action` has taken in
        // this way was given up: interrupts are as they were then.
        unsafe { bindings::_raw_spin_unlock_irqrestore(lock, flags) };
        result
    }

    /// Does something with the value, under the lock, with interrupts disabled.
    #[cfg(not(all(
        CONFIG_SMP,
        not(CONFIG_PREEMPT_RT),
        not(CONFIG_INLINE_SPIN_LOCK_IRQSAVE),
        not(CONFIG_INLINE_SPIN_UNLOCK_IRQRESTORE)
    )))]
    pub fn with<R>(&self, action: impl FnOnce(&mut T) -> R) -> R {
        let _guard = self.lock.lock();
        // SAFETY: By the lock nobody else uses the value now, and it is used within `action` only.
        action(unsafe { &mut *self.value.get() })
    }
}

/// A C `struct mutex`.
pub type Mutex = Lock<(), MutexBackend>;
