// SPDX-License-Identifier: GPL-2.0

//! A tcmu device: its state under its lock, and its life.

use super::control;
use super::lio::{
    backend::{
        Backend,
        Device,
        Limit,
        SenseReason, //
    },
    bindings,
    command::{
        AbortedCommands,
        Command, //
    },
    delayed_work::{
        DelayedWork,
        HasDelayedWork, //
    },
    memalloc::NoIoScope,
    output::Output,
    uio::{
        HasUio,
        MappedPage,
        Uio, //
    },
};
use super::memory::{
    Kernel,
    SharedMemory, //
};
use super::netlink;
use super::policy::{
    Broken,
    Engine,
    Refusal,
    ResetStatus,
    Sizes,
    SlotIndex,
    TmrKind, //
};
use super::{
    TcmuModule,
    ROOT, //
};
use kernel::{
    fmt::Write as _,
    module, new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        barrier::smp_mb,
        ArcBorrow,
        Mutex,
        MutexGuard, //
    },
    time::{
        Instant,
        Monotonic, //
    },
};

/// Default time limit of a command on the ring, and of one in the qfull queue if neither limit is
/// set, in milliseconds.
const DEFAULT_TIMEOUT_MS: u32 = 30_000;

/// How long a command may wait in the qfull queue (attribute `qfull_time_out`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QfullTimeout {
    /// As long as a command may be on the ring (-1).
    AsCommand,
    /// Not at all (0).
    Never,
    /// So many milliseconds.
    Ms(u32),
}

/// What users have set, besides the sizes.
pub(crate) struct Settings {
    /// `dev_config`, empty if not set.
    pub(crate) config: Option<CString>,
    /// Sizes, fixed while the device is enabled.
    pub(crate) sizes: Sizes,
    /// `cmd_time_out` in milliseconds; 0 is none.
    pub(crate) command_timeout_ms: u32,
    /// `qfull_time_out`.
    pub(crate) qfull_timeout: QfullTimeout,
    /// `nl_reply_supported`: below 0 no, above 0 yes, 0 as the daemon says.
    pub(crate) nl_reply_supported: i32,
    /// `tmr_notification`
    pub(crate) tmr_notification: bool,
}

/// Whether a device is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not enabled.
    Disabled,
    /// On the way from one to the other.
    Changing,
    /// Enabled.
    Enabled,
}

/// The fields of a device that its lock protects.
///
/// # Invariants
///
/// In phase `Enabled` the UIO device is registered. Delayed work is armed in no other phase, and
/// cancelled after that phase.
pub(crate) struct State {
    pub(crate) settings: Settings,
    phase: Phase,
    /// While the device is enabled, and after that until its last mapping is gone.
    active: Option<Active>,
    /// Whether somebody has the UIO node open.
    open: bool,
    /// When the delayed work runs, in ticks, if it is queued.
    armed: Option<u64>,
}

/// What an enabled device has.
struct Active {
    engine: Engine<Command, Kernel>,
    memory: SharedMemory,
}

/// The tcmu part of a device.
#[pin_data]
pub(crate) struct Tcmu {
    host_id: u32,
    name: CString,
    /// Ticks count milliseconds from here.
    epoch: Instant<Monotonic>,
    /// `dev_size` in bytes. No lock: LIO asks for it to build sense data, wherever it does that.
    size: Atomic<u64>,
    #[pin]
    state: Mutex<State>,
    #[pin]
    uio: Uio,
    #[pin]
    timer: DelayedWork<Tcmu>,
    /// 1 while LIO submits a batch of commands; user space is woken at its end.
    plugged: Atomic<u32>,
}

/// A device with its lock held, and what follows when it is released.
struct Locked<'a> {
    device: &'a Device<Tcmu>,
    /// The time in ticks.
    now: u64,
    guard: MutexGuard<'a, State>,
    /// No reclaim may write to a disk that this device itself serves.
    _noio: NoIoScope,
}

impl Locked<'_> {
    /// A deadline `ms` milliseconds from now, at a full second: many share one wake-up.
    fn deadline(&self, ms: u32) -> u64 {
        (self.now + u64::from(ms)).next_multiple_of(1000)
    }

    /// Deadline of a command that gets onto the ring now.
    fn command_deadline(&self) -> Option<u64> {
        match self.guard.settings.command_timeout_ms {
            0 => None,
            ms => Some(self.deadline(ms)),
        }
    }

    /// Deadline of a command that begins to wait now.
    fn waiting_deadline(&self) -> Option<u64> {
        let settings = &self.guard.settings;
        let ms = match settings.qfull_timeout {
            QfullTimeout::Never => return None,
            QfullTimeout::Ms(ms) => ms,
            QfullTimeout::AsCommand if settings.command_timeout_ms > 0 => {
                settings.command_timeout_ms
            }
            QfullTimeout::AsCommand => DEFAULT_TIMEOUT_MS,
        };
        Some(self.deadline(ms))
    }

    /// Ends the access: wakes user space, sets the timer, releases the lock.
    ///
    /// Nothing touches the device after the lock is released: from then on user space can complete
    /// the command that kept the device.
    fn finish(self) {
        self.finish_waking(false);
    }

    /// As [`Locked::finish`]; with `even_plugged` user space is not left to the end of a batch.
    fn finish_waking(mut self, even_plugged: bool) {
        let now = self.now;
        let device = self.device;
        let state = &mut *self.guard;
        if state.phase != Phase::Enabled {
            return;
        }
        if let Some(active) = &mut state.active {
            if active.memory.wants_notify() {
                // Pairs with `unplug`: this finds it unplugged, or `unplug` finds the wish.
                smp_mb(Full);
                if even_plugged || device.plugged.load(Relaxed) == 0 {
                    active.memory.set_notified();
                    // SAFETY: The phase is `Enabled`, and the lock is held.
                    unsafe { device.uio.notify() };
                }
            }
            let wake = active.engine.wake();
            if wake.is_some_and(|wake| state.armed.is_none_or(|armed| wake < armed)) {
                state.armed = wake;
                let delay = wake.unwrap_or(now).saturating_sub(now);
                // SAFETY: The phase is `Enabled`, and the lock is held.
                unsafe { DelayedWork::arm(device, u32::try_from(delay).unwrap_or(u32::MAX)) };
            }
        }
    }
}

/// Tells once why a ring is broken.
fn report(device: &Device<Tcmu>, result: Result<(), Broken>) {
    let name = &*device.name;
    match result {
        Ok(()) => {}
        Err(Broken::Tail(tail)) => {
            pr_err!("{name}: ring broken: cmd_tail {tail} is not the start of an entry on it\n");
        }
        Err(Broken::UnknownId(id)) => {
            pr_err!("{name}: ring broken: completion of cmd_id {id}, which is not on it\n");
        }
        Err(Broken::KeptId(id)) => {
            pr_err!("{name}: ring broken: second completion of cmd_id {id}, kept with KEEP_BUF\n");
        }
    }
}

/// The number of a task management function in LIO as user space is told.
fn tmr_kind(function: u32) -> TmrKind {
    match function {
        bindings::tcm_tmreq_table_TMR_ABORT_TASK => TmrKind::AbortTask,
        bindings::tcm_tmreq_table_TMR_ABORT_TASK_SET => TmrKind::AbortTaskSet,
        bindings::tcm_tmreq_table_TMR_CLEAR_ACA => TmrKind::ClearAca,
        bindings::tcm_tmreq_table_TMR_CLEAR_TASK_SET => TmrKind::ClearTaskSet,
        bindings::tcm_tmreq_table_TMR_LUN_RESET => TmrKind::LunReset,
        bindings::tcm_tmreq_table_TMR_TARGET_WARM_RESET => TmrKind::TargetWarmReset,
        bindings::tcm_tmreq_table_TMR_TARGET_COLD_RESET => TmrKind::TargetColdReset,
        bindings::tcm_tmreq_table_TMR_LUN_RESET_PRO => TmrKind::LunResetPro,
        _ => TmrKind::Unknown,
    }
}

impl Tcmu {
    /// The device's lock, for what is not on the path of commands.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn locked(device: &Device<Self>) -> Locked<'_> {
        let noio = NoIoScope::enter();
        let guard = device.state.lock();
        Locked {
            device,
            now: u64::try_from(device.epoch.elapsed().as_millis()).unwrap_or(0),
            guard,
            _noio: noio,
        }
    }

    /// Calls `with` with engine and memory of an enabled device, and deadlines of commands.
    fn with_active<R>(
        device: &Device<Self>,
        with: impl FnOnce(&mut Engine<Command, Kernel>, &mut SharedMemory, Option<u64>) -> R,
    ) -> Option<R> {
        let mut locked = Self::locked(device);
        let deadline = locked.command_deadline();
        let active = locked.guard.active.as_mut()?;
        let result = with(&mut active.engine, &mut active.memory, deadline);
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
        let result = Self::with_active(device, |engine, memory, _| {
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
        Self::with_active(device, |engine, memory, deadline| {
            engine.reset_ring(memory, status, deadline)
        });
    }

    /// Action `free_kept_buf`. Says whether there was such a buffer.
    pub(crate) fn free_kept(device: &Device<Self>, id: u16) -> bool {
        Self::with_active(device, |engine, memory, deadline| {
            engine.free_kept(memory, id, deadline)
        })
        .unwrap_or(false)
    }

    /// Whether the sizes are fixed.
    pub(crate) fn is_sized(state: &State) -> bool {
        state.phase != Phase::Disabled
    }

    /// What `configure` does; on error the caller undoes it.
    fn enable(device: ArcBorrow<'_, Device<Self>>, sizes: &Sizes) -> Result {
        let name = device.uio_name()?;
        let memory = SharedMemory::new(sizes)?;
        let engine = Engine::new(&sizes.config()).map_err(|_| ENOMEM)?;
        let region = memory.address();
        let active = Active { engine, memory };
        // LIO may have destroyed the device before without freeing it.
        let old = device.state.lock().active.replace(active);
        drop(old);
        match &*ROOT.lock() {
            Some(root) => Uio::register(
                &device,
                module::this_module::<TcmuModule>(),
                root,
                name,
                region,
            )?,
            None => return Err(ENODEV),
        }

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
            // INVARIANT: Just registered.
            state.phase = Phase::Enabled;
            if state.settings.nl_reply_supported >= 0 {
                state.settings.nl_reply_supported = supported;
            }
        }
        netlink::added(&device)
    }

    /// Ends the UIO device, if there is one, and the timer; the result is the state after that.
    fn disable(device: &Device<Self>) -> MutexGuard<'_, State> {
        device.state.lock().phase = Phase::Changing;
        // INVARIANT: The phase has ended; work that runs now does not arm itself again.
        device.timer.cancel();
        device.uio.unregister();
        let mut state = device.state.lock();
        state.phase = Phase::Disabled;
        state.armed = None;
        // Who has the node open closes it without our being told.
        state.open = false;
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
        self.uio.rename(self.uio_name()?);
        Ok(())
    }

    /// Calls `with` with name and minor number of the UIO device, if there is one.
    pub(crate) fn with_uio<R>(&self, with: impl FnOnce(&CStr, u32) -> R) -> Option<R> {
        self.uio.with_name(with)
    }
}

#[vtable]
impl Backend for Tcmu {
    const NAME: &'static CStr = c"user";
    const FLAGS: (u32, u32) = (
        bindings::TRANSPORT_FLAG_PASSTHROUGH,
        bindings::TRANSPORT_FLAG_PASSTHROUGH_PGR | bindings::TRANSPORT_FLAG_PASSTHROUGH_ALUA,
    );

    fn new(host_id: u32, name: &CStr) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            host_id,
            name: CString::try_from(name)?,
            epoch: Instant::now(),
            size: Atomic::new(0),
            state <- new_mutex!(
                State {
                    settings: Settings {
                        config: None,
                        sizes: Sizes::default(),
                        command_timeout_ms: DEFAULT_TIMEOUT_MS,
                        qfull_timeout: QfullTimeout::AsCommand,
                        nl_reply_supported: 0,
                        tmr_notification: false,
                    },
                    phase: Phase::Disabled,
                    active: None,
                    open: false,
                    armed: None,
                },
                "Tcmu::state"
            ),
            uio <- Uio::new(),
            timer <- DelayedWork::new(),
            plugged: Atomic::new(0),
        })
    }

    fn configure(device: ArcBorrow<'_, Device<Self>>) -> Result {
        let sizes = {
            let mut state = device.state.lock();
            // LIO does not keep a second writer of `enable` out while the first waits for a daemon.
            if state.phase != Phase::Disabled {
                return Err(EBUSY);
            }
            state.phase = Phase::Changing;
            state.settings.sizes
        };
        Self::enable(device, &sizes).inspect_err(|_| {
            let mut state = Self::disable(&device);
            // A daemon may have mapped the memory meanwhile; faults find nothing from here on.
            let active = state.active.take();
            drop(state);
            drop(active);
        })
    }

    fn destroy(device: ArcBorrow<'_, Device<Self>>) {
        // Nobody listens, or does not answer in time: the device goes all the same.
        if let Err(error) = netlink::removed(&device) {
            pr_debug!("{}: removal not confirmed: {:?}\n", &*device.name, error);
        }
        let state = Self::disable(&device);
        // LIO has drained its commands before.
        if let Some(Active { engine, .. }) = &state.active {
            kernel::warn_on!(engine.owes_answers());
            let tmrs = engine.counters();
            pr_debug!(
                "{}: TMRs: {} announced, {} on the ring, {} dropped\n",
                &*device.name,
                tmrs.announced,
                tmrs.on_ring,
                tmrs.dropped
            );
        }
    }

    fn queue(device: &Device<Self>, command: Command) -> Result<(), SenseReason> {
        let mut locked = Tcmu::locked(device);
        let on_ring = locked.command_deadline();
        let waiting = locked.waiting_deadline();
        let Some(Active { engine, memory }) = &mut locked.guard.active else {
            return Err(SenseReason::CommunicationFailure);
        };
        let result = engine.submit(memory, command, on_ring, waiting);
        locked.finish();
        // A refused command is LIO's again as soon as this returns.
        result.map(|_| ()).map_err(|(_, refusal)| match refusal {
            Refusal::Aborted => SenseReason::AbortedCommand,
            Refusal::Blocked => SenseReason::LunBusy,
            Refusal::Broken => SenseReason::CommunicationFailure,
            Refusal::TooBig => SenseReason::InvalidCdbField,
            Refusal::NoResources => SenseReason::OutOfResources,
        })
    }

    fn task_management(device: &Device<Self>, function: u32, aborted: AbortedCommands<'_>) {
        let mut locked = Tcmu::locked(device);
        let notify = locked.guard.settings.tmr_notification;
        let deadline = locked.command_deadline();
        if let Some(Active { engine, memory }) = &mut locked.guard.active {
            let slots = aborted.flatten().map(SlotIndex::from_raw);
            engine.task_management(memory, tmr_kind(function), slots, notify, deadline);
        }
        // LIO may wait from here on for commands of the batch that is being submitted, whose end
        // comes after that: user space must be told of them now (P9).
        locked.finish_waking(true);
    }

    fn plug(device: &Device<Self>) -> bool {
        device.plugged.xchg(1, Full) == 0
    }

    fn unplug(device: &Device<Self>) {
        // Full: see `Locked::finish`; and `plug` hands out the same structure again.
        device.plugged.xchg(0, Full);
        Tcmu::locked(device).finish();
    }

    fn set_parameters(device: &Device<Self>, text: &[u8]) -> Result {
        control::store(device, text)
    }

    fn show_parameters(device: &Device<Self>, out: &mut Output<'_>) -> Result {
        let state = device.state.lock();
        let settings = &state.settings;
        out.write_bytes(b"Config: ")?;
        out.write_bytes(
            settings
                .config
                .as_ref()
                .map_or(b"NULL", |config| config.to_bytes()),
        )?;
        out.write_fmt(fmt!(
            " Size: {} MaxDataAreaMB: {} DataPagesPerBlk: {} CmdRingSizeMB: {}\n",
            device.size(),
            settings.sizes.data_area_mb(),
            settings.sizes.pages_per_block(),
            settings.sizes.ring_mb(),
        ))?;
        Ok(())
    }

    fn last_block(device: &Device<Self>) -> u64 {
        let block = u64::from(device.block_size());
        let size = device.size();
        size.checked_div(block).unwrap_or(0).saturating_sub(1)
    }
}

impl HasUio for Tcmu {
    const VERSION: &'static CStr = c"2";
    const REGION: &'static CStr = c"tcm-user command & data buffer";

    fn uio(device: &Device<Self>) -> &Uio {
        &device.uio
    }

    fn open(device: &Device<Self>) -> Result {
        let mut state = device.state.lock();
        if state.open {
            return Err(EBUSY);
        }
        state.open = true;
        Ok(())
    }

    fn release(device: &Device<Self>) {
        Tcmu::with_active(device, |engine, memory, deadline| {
            engine.free_all_kept(memory, deadline)
        });
        device.state.lock().open = false;
    }

    fn kick(device: &Device<Self>) {
        let result = Tcmu::with_active(device, |engine, memory, deadline| {
            engine.handle_completions(memory, deadline)
        });
        report(device, result.unwrap_or(Ok(())));
    }

    fn region_size(device: &Device<Self>) -> usize {
        device.state.lock().settings.sizes.region_size() as usize
    }

    fn fault(device: &Device<Self>, offset: usize) -> Option<MappedPage> {
        let state = device.state.lock();
        let page = state.active.as_ref()?.memory.page(offset);
        if page.is_none() {
            let name = &*device.name;
            kernel::pr_err_once!("{name}: access to offset {offset}, which no command was given\n");
        }
        page
    }
}

impl HasDelayedWork for Tcmu {
    fn delayed_work(device: &Device<Self>) -> &DelayedWork<Self> {
        &device.timer
    }

    fn run(device: ArcBorrow<'_, Device<Self>>) {
        let mut locked = Tcmu::locked(&device);
        let now = locked.now;
        let deadline = locked.command_deadline();
        locked.guard.armed = None;
        if let Some(Active { engine, memory }) = &mut locked.guard.active {
            engine.expire(memory, now, deadline);
        }
        locked.finish();
    }
}
