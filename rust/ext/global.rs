// SPDX-License-Identifier: GPL-2.0

//! Statics that a lock protects.
//!
//! Those of the kernel crate (`global_lock!`) must be initialised before their first use, which its
//! user promises. A module parameter may come before the module's `init`, so these initialise
//! themselves.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        LockClassKey,
        Mutex,
        MutexGuard, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

/// Microseconds between two looks of a thread that comes while another initialises the mutex.
const PAUSE_US: i64 = 50;

/// Nobody has used it.
const UNUSED: u32 = 0;
/// It is being initialised.
const BUSY: u32 = 1;
/// It is initialised.
const READY: u32 = 2;

/// A mutex with its data, to be used as a static. Made by [`global_mutex!`].
///
/// As with all statics the data are not dropped when the module goes.
///
/// # Invariants
///
/// In state `READY`, which is not left, `mutex` is initialised; in state `BUSY` who has entered
/// that state has it alone.
pub struct GlobalMutex<T: 'static> {
    state: Atomic<u32>,
    mutex: Opaque<Mutex<T>>,
    name: &'static CStr,
    class: fn() -> Pin<&'static LockClassKey>,
    first: fn() -> T,
}

// SAFETY: By the type invariant all threads have just the mutex, or one has it alone.
unsafe impl<T: Send> Sync for GlobalMutex<T> {}

impl<T> GlobalMutex<T> {
    /// Makes one whose data `first` makes at its first use.
    pub const fn new(
        name: &'static CStr,
        class: fn() -> Pin<&'static LockClassKey>,
        first: fn() -> T,
    ) -> Self {
        Self {
            state: Atomic::new(UNUSED),
            mutex: Opaque::uninit(),
            name,
            class,
            first,
        }
    }

    /// Locks the mutex. May sleep.
    pub fn lock(&'static self) -> MutexGuard<'static, T> {
        if self.state.load(Acquire) != READY {
            self.init();
        }
        // SAFETY: By the type invariant; a static is pinned.
        unsafe { &*self.mutex.get() }.lock()
    }

    #[cold]
    fn init(&'static self) {
        if self.state.cmpxchg(UNUSED, BUSY, Relaxed).is_err() {
            // Sleeps: who initialises it may have been preempted on this very CPU.
            while self.state.load(Acquire) != READY {
                fsleep(Delta::from_micros(PAUSE_US));
            }
            return;
        }
        let mutex = Mutex::new((self.first)(), self.name, (self.class)());
        // SAFETY: By the type invariant the memory is ours alone, and it is not moved.
        unsafe { pin_init::raw_init(self.mutex.get(), mutex) };
        // INVARIANT: It is initialised.
        self.state.store(READY, Release);
    }
}

/// Makes a [`GlobalMutex`] with what its data are at first.
macro_rules! global_mutex {
    ($(#[$meta:meta])* $vis:vis static $name:ident: $data:ty = $first:expr;) => {
        $(#[$meta])*
        $vis static $name: $crate::ext::global::GlobalMutex<$data> =
            $crate::ext::global::GlobalMutex::new(
                kernel::c_str!(stringify!($name)),
                || kernel::static_lock_class!(),
                || $first,
            );
    };
}
pub(crate) use global_mutex;
