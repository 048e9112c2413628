// SPDX-License-Identifier: GPL-2.0

//! A tcmu device: its state under its lock, and its life.

mod completer;
mod control;
mod locked;
mod message;
mod operations;
mod status;
mod user_space;

use super::logic::{
    Engine,
    ResetStatus,
    Sizes,
    Socket,
    Timeouts, //
};
use super::memory::SharedMemory;
use super::netlink;
use super::{
    reclaim::{
        self,
        Reclaim, //
    },
    table::Kernel,
    TcmuModule,
    ROOT, //
};
use crate::{
    ext::{
        debugfs,
        memalloc::NoIoScope,
        ratelimit::RateLimit,
        uio,
        work::Work, //
    },
    target::device::{
        Device,
        Limit, //
    },
};
use completer::LioCompleter;
pub(crate) use control::text_of;
use kernel::{
    fmt, module,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
        Mutex,
        MutexGuard, //
    },
    task::Task,
    time::{
        Instant,
        Monotonic, //
    },
};
use locked::Locked;
use user_space::report;

/// What users have set, besides the sizes.
pub(crate) struct Settings {
    /// `dev_config`, empty if not set.
    pub(crate) config: Option<CString>,
    /// Sizes, fixed while the device is enabled.
    pub(crate) sizes: Sizes,
    /// `cmd_time_out` and `qfull_time_out`
    pub(crate) timeouts: Timeouts,
    /// `nl_reply_supported`: below 0 no, above 0 yes, 0 as the daemon says.
    pub(crate) nl_reply_supported: i32,
    /// `tmr_notification`
    pub(crate) tmr_notification: bool,
}

/// Whether a device is enabled.
enum Phase {
    /// Not enabled.
    Disabled,
    /// On the way from one to the other.
    Changing,
    /// Enabled.
    Enabled(Enabled),
}

/// The guards of an enabled device. Dropped in the order of the fields, and without the device's
/// lock: dropping waits for callbacks that take it.
struct Enabled {
    /// What debugfs shows.
    _status: debugfs::File<Device<Tcmu>>,
    /// Wakes user space.
    notifier: uio::Notifier,
    /// Answers commands whose time is over.
    timer: Work<Device<Tcmu>>,
    /// The time in milliseconds that the timer is set for, if it is. It may run earlier.
    armed: Option<u64>,
}

/// The fields of a device that its lock protects.
pub(crate) struct State {
    pub(crate) settings: Settings,
    phase: Phase,
    /// While the device is enabled, and after that until its last mapping is gone.
    active: Option<Active>,
    /// Whether somebody has the UIO node open.
    open: bool,
}

/// What commands and mappings need.
struct Active {
    engine: Engine<LioCompleter, Kernel>,
    memory: SharedMemory,
}

/// The tcmu part of a device.
#[pin_data]
pub(crate) struct Tcmu {
    host_id: u32,
    name: CString,
    /// The device's clock counts milliseconds from here.
    epoch: Instant<Monotonic>,
    /// Limits messages about a broken ring.
    broken_messages: RateLimit,
    /// The socket from which the last netlink reply about the device came, 0 if none did.
    daemon: Atomic<u32>,
    /// `dev_size` in bytes. Read without the lock: LIO asks for it in any context, for sense data.
    size: Atomic<u64>,
    #[pin]
    state: Mutex<State>,
    /// The UIO device, while there is one. Taken before UIO's `info_lock`, and that before `state`.
    #[pin]
    uio: Mutex<Option<uio::Registration<Device<Tcmu>>>>,
    /// The thread in which LIO submits a batch of commands, 0 if there is none. Its commands wake
    /// user space at the end of the batch. Those of other threads do so at once: LIO may execute
    /// commands of its own in the batch, which can wait for anything.
    submitter: Atomic<usize>,
}

/// The thread that runs, as a number to tell it from others.
fn this_thread() -> usize {
    Task::current_raw().addr()
}

impl Tcmu {
    /// The device's lock, for what is not on the path of commands.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Takes the device's lock and sets the engine's clock; [`Locked::finish`] ends the access.
    fn locked(device: &Device<Self>) -> Locked<'_> {
        let noio = NoIoScope::enter();
        let mut guard = device.state.lock();
        let now = device.now();
        let state = &mut *guard;
        if let Some(active) = &mut state.active {
            active.engine.set_clock(now, state.settings.timeouts);
        }
        Locked {
            device,
            now,
            guard,
            _noio: noio,
        }
    }

    /// This thread begins to submit a batch; says whether no other is in the middle of one.
    fn begin_batch(&self) -> bool {
        self.submitter.cmpxchg(0, this_thread(), Full).is_ok()
    }

    /// This thread's batch is at its end, if it has one.
    fn end_batch(&self) {
        let _ = self.submitter.cmpxchg(this_thread(), 0, Full);
    }

    /// Whether this thread is submitting a batch.
    fn in_batch(&self) -> bool {
        self.submitter.load(Relaxed) == this_thread()
    }

    /// The time in milliseconds.
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(0)
    }

    /// Calls `with` with engine and memory, if the device has them.
    fn with_active<R>(
        device: &Device<Self>,
        with: impl FnOnce(&mut Engine<LioCompleter, Kernel>, &mut SharedMemory) -> R,
    ) -> Option<R> {
        let mut locked = Self::locked(device);
        let active = locked.guard.active.as_mut()?;
        let result = with(&mut active.engine, &mut active.memory);
        locked.finish();
        Some(result)
    }

    /// Attribute `dev_size` in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Relaxed)
    }

    /// Sets the attribute `dev_size` in bytes.
    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Relaxed);
    }

    /// Whether the device is blocked (action `block_dev`).
    pub(crate) fn is_blocked(&self) -> bool {
        let state = self.state.lock();
        state
            .active
            .as_ref()
            .is_some_and(|active| active.engine.is_blocked())
    }

    /// Action `block_dev`.
    pub(crate) fn set_blocked(device: &Device<Self>, blocked: bool) {
        let result = Self::with_active(device, |engine, memory| {
            if blocked {
                engine.block(memory)
            } else {
                engine.unblock();
                Ok(())
            }
        });
        report(device, result.unwrap_or(Ok(())));
    }

    /// Action `reset_ring`.
    pub(crate) fn reset_ring(device: &Device<Self>, status: ResetStatus) {
        Self::with_active(device, |engine, memory| engine.reset_ring(memory, status));
    }

    /// Action `free_kept_buf`. Says whether there was such a buffer.
    pub(crate) fn free_kept(device: &Device<Self>, id: u16) -> bool {
        Self::with_active(device, |engine, memory| engine.free_kept(memory, id)).unwrap_or(false)
    }

    /// Gives back the memory of the data area that no command has.
    fn reclaim(device: &Device<Self>) {
        let result = Self::with_active(device, |engine, memory| {
            // What user space is done with is free after this.
            let result = engine.handle_completions(memory);
            engine.reclaim(memory);
            result
        });
        report(device, result.unwrap_or(Ok(())));
    }

    /// Whether the sizes are fixed.
    pub(crate) fn is_sized(state: &State) -> bool {
        !matches!(state.phase, Phase::Disabled)
    }

    /// What `configure_device` does; on error the caller undoes it.
    fn enable(device: ArcBorrow<'_, Device<Self>>, sizes: &Sizes) -> Result {
        let name = device.uio_name()?;
        let memory = SharedMemory::new(sizes)?;
        let engine = Engine::new(&sizes.config(), LioCompleter).map_err(|_| ENOMEM)?;
        let region = memory.address();
        let active = Active { engine, memory };
        // LIO may have destroyed the device before without freeing it.
        let old = device.state.lock().active.replace(active);
        drop(old);
        let (root, status) = {
            // Reclaim may wait for a disk whose daemon waits for this lock.
            let _noio = NoIoScope::enter();
            let root = ROOT.lock();
            let root = root.as_ref().ok_or(ENODEV)?;
            (root.uio.clone(), status::file(&root.debugfs, device)?)
        };
        let this = module::this_module::<TcmuModule>();
        let registration = uio::Registration::new(device.into(), this, root, name, region)?;
        let enabled = Enabled {
            _status: status,
            notifier: registration.notifier(),
            timer: Work::new(device.into())?,
            armed: None,
        };
        *device.uio.lock() = Some(registration);

        // What users have not set before enabling the device.
        for (limit, default) in [(Limit::BlockSize, 512), (Limit::MaxSectors, 128)] {
            if device.limit(limit) == 0 {
                device.set_limit(limit, default);
            }
        }
        device.set_limit(Limit::QueueDepth, 128);
        {
            let supported = i32::from(netlink::reply_supported());
            let mut state = device.state.lock();
            state.phase = Phase::Enabled(enabled);
            if state.settings.nl_reply_supported >= 0 {
                state.settings.nl_reply_supported = supported;
            }
        }
        let owner: Arc<Device<Self>> = device.into();
        reclaim::enter(owner)?;
        netlink::added(&*device)
    }

    /// Ends the UIO device, if there is one, and the timer; the result is the state after that.
    fn disable(device: &Device<Self>) -> MutexGuard<'_, State> {
        let enabled = {
            let mut state = device.state.lock();
            core::mem::replace(&mut state.phase, Phase::Changing)
        };
        // Waits for readers of debugfs and for the timer, which take the lock.
        drop(enabled);
        netlink::forget(device);
        reclaim::leave(device);
        let registration = device.uio.lock().take();
        drop(registration);
        // Whoever has the node open will close it without our being told. Nothing is unmapped any
        // more: what user space still has mapped has its pages for itself.
        let mapping = {
            let mut state = device.state.lock();
            state.open = false;
            let active = state.active.as_mut();
            active.and_then(|active| active.memory.set_mapping(None))
        };
        // May write back what the disk itself has to take: see `Mapping`.
        drop(mapping);
        let mut state = device.state.lock();
        state.phase = Phase::Disabled;
        state
    }

    /// The name that UIO and netlink show: `tcm-user/HBA/DEVICE[/CONFIG]`.
    fn uio_name(&self) -> Result<CString> {
        // The device may serve disks already: see `Locked`.
        let _noio = NoIoScope::enter();
        let mut name = KVec::new();
        let prefix = CString::try_from_fmt(fmt!("tcm-user/{}/", self.host_id))?;
        name.extend_from_slice(prefix.to_bytes(), GFP_KERNEL)?;
        name.extend_from_slice(self.name.to_bytes(), GFP_KERNEL)?;
        if let Some(config) = &self.state.lock().settings.config {
            name.push(b'/', GFP_KERNEL)?;
            name.extend_from_slice(config.to_bytes(), GFP_KERNEL)?;
        }
        name.push(0, GFP_KERNEL)?;
        let name = CStr::from_bytes_with_nul(&name).map_err(|_| EINVAL)?;
        Ok(CString::try_from(name)?)
    }

    /// Puts a changed `dev_config` into the name of the UIO device.
    pub(crate) fn rename(&self) -> Result {
        let name = self.uio_name()?;
        if let Some(registration) = &mut *self.uio.lock() {
            registration.rename(name)?;
        }
        Ok(())
    }
}

impl Reclaim for Device<Tcmu> {
    fn reclaim(&self) {
        Tcmu::reclaim(self);
    }
}

impl netlink::Subject for Device<Tcmu> {
    fn index(&self) -> u32 {
        Device::index(self)
    }

    fn label(&self) -> impl fmt::Display {
        Tcmu::label(self)
    }

    fn refuse(&self, error: Error, why: fmt::Arguments<'_>) -> Error {
        Tcmu::refuse(self, error, why)
    }

    fn waits_for_replies(&self) -> bool {
        self.lock().settings.nl_reply_supported > 0
    }

    fn daemon(&self) -> Socket {
        self.daemon.load(Relaxed)
    }

    fn set_daemon(&self, socket: Socket) {
        self.daemon.store(socket, Relaxed);
    }

    fn with_uio<R>(&self, with: impl FnOnce(&CStr, u32) -> R) -> Option<R> {
        let registration = self.uio.lock();
        let registration = registration.as_ref()?;
        Some(with(registration.name(), registration.minor()))
    }
}
