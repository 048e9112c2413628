// SPDX-License-Identifier: GPL-2.0

//! Locks that C initialised and that protect C data.
//!
//! `kernel::sync::Lock<(), _>` is layout compatible with the C lock alone (see `Lock::from_raw()`),
//! so a lock that is a field of a C structure is used in place, with the kernel crate's guards.
//! Every acquisition through them runs the lock's lockdep assertion.

use kernel::sync::lock::{
    mutex::MutexBackend,
    Lock, //
};

/// A C `spinlock_t` that is never taken from interrupts.
pub type SpinLock = kernel::sync::SpinLock<()>;

/// A C `spinlock_t` that C takes with `spin_lock_irqsave()`. Taken inside of another one, too.
pub type IrqSpinLock = kernel::sync::SpinLockIrq<()>;

/// What holds an [`IrqSpinLock`].
pub type IrqSpinLockGuard<'a> = kernel::sync::SpinLockIrqGuard<'a, ()>;

/// A C `struct mutex`.
pub type Mutex = Lock<(), MutexBackend>;
