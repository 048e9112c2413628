// SPDX-License-Identifier: GPL-2.0

//! The backend operations: what LIO calls.

use super::super::logic::{
    Refusal,
    Sizes,
    SlotIndex,
    Timeouts,
    TmrKind, //
};
use super::super::{
    netlink,
    TcmuModule, //
};
use super::{
    control,
    Active,
    Phase,
    Settings,
    State,
    Tcmu, //
};
use crate::{
    ext::{
        output::Output,
        ratelimit::RateLimit, //
    },
    target::{
        backend::{
            Backend,
            Mode, //
        },
        command::{
            AbortedCommands,
            Command,
            Refused,
            SenseReason, //
        },
        device::Device,
        tmr_function::TmrFunction,
    },
};
use kernel::{
    fmt::Write as _,
    new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    str::CString,
    sync::{
        atomic::Atomic,
        ArcBorrow, //
    },
    time::Instant, //
};

/// The least time between two messages about a broken ring, in milliseconds.
const SILENCE_MS: u32 = 5_000;

/// The kind of the notification about a task management function.
fn tmr_kind(function: TmrFunction) -> TmrKind {
    match function {
        TmrFunction::AbortTask => TmrKind::AbortTask,
        TmrFunction::AbortTaskSet => TmrKind::AbortTaskSet,
        TmrFunction::ClearAca => TmrKind::ClearAca,
        TmrFunction::ClearTaskSet => TmrKind::ClearTaskSet,
        TmrFunction::LunReset => TmrKind::LunReset,
        TmrFunction::TargetWarmReset => TmrKind::TargetWarmReset,
        TmrFunction::TargetColdReset => TmrKind::TargetColdReset,
        TmrFunction::LunResetPro => TmrKind::LunResetPro,
        TmrFunction::Unknown => TmrKind::Unknown,
    }
}

#[vtable]
impl Backend for Tcmu {
    type Module = TcmuModule;

    const NAME: &'static CStr = c"user";
    const MODE: Mode = Mode::Passthrough;

    fn new(host_id: u32, name: &CStr) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            host_id,
            name: CString::try_from(name)?,
            epoch: Instant::now(),
            broken_messages: RateLimit::new(SILENCE_MS, 1),
            daemon: Atomic::new(0),
            size: Atomic::new(0),
            state <- new_mutex!(
                State {
                    settings: Settings {
                        config: None,
                        sizes: Sizes::new(PAGE_SHIFT as u32),
                        timeouts: Timeouts::default(),
                        nl_reply_supported: 0,
                        tmr_notification: false,
                    },
                    phase: Phase::Disabled,
                    active: None,
                    open: false,
                },
                "Tcmu::state"
            ),
            uio <- new_mutex!(None, "Tcmu::uio"),
            submitter: Atomic::new(0),
        })
    }

    fn configure_device(device: ArcBorrow<'_, Device<Self>>) -> Result {
        let sizes = {
            let mut state = device.state.lock();
            // LIO does not keep a second writer of `enable` out while the first waits for a daemon.
            if Self::is_sized(&state) {
                return Err(device.refuse(EBUSY, fmt!("is being enabled by somebody else")));
            }
            state.phase = Phase::Changing;
            state.settings.sizes
        };
        Self::enable(device, &sizes).map_err(|error| {
            let mut state = Self::disable(&device);
            // A daemon may have mapped the memory meanwhile; faults find nothing from here on.
            let active = state.active.take();
            drop(state);
            drop(active);
            device.refuse(error, fmt!("cannot be enabled"))
        })
    }

    fn destroy_device(device: ArcBorrow<'_, Device<Self>>) {
        // Nobody listens, or does not answer in time: the device goes all the same.
        match netlink::removed(&*device) {
            Err(error) if error != ESRCH => {
                pr_warn!("{}: removal not confirmed: {error:?}\n", device.label());
            }
            _ => {}
        }
        let state = Self::disable(&device);
        // LIO has drained its commands before.
        if let Some(Active { engine, .. }) = &state.active {
            kernel::warn_on!(engine.has_outstanding());
            let tmrs = engine.counters();
            pr_debug!(
                "{}: TMRs: {} announced, {} on the ring, {} dropped\n",
                device.label(),
                tmrs.announced,
                tmrs.delivered,
                tmrs.dropped
            );
        }
    }

    fn execute_cmd(device: &Device<Self>, command: Command) -> Result<(), Refused> {
        let mut locked = Tcmu::locked(device);
        let Some(Active { engine, memory }) = &mut locked.guard.active else {
            return Err(command.refuse(SenseReason::CommunicationFailure));
        };
        let result = engine.submit(memory, command);
        locked.finish();
        result.map(|_| ()).map_err(|(command, refusal)| {
            command.refuse(match refusal {
                Refusal::Aborted => SenseReason::AbortedCommand,
                Refusal::Blocked => SenseReason::LunBusy,
                Refusal::Broken => SenseReason::CommunicationFailure,
                Refusal::TooBig => SenseReason::InvalidCdbField,
                Refusal::NoResources => SenseReason::OutOfResources,
            })
        })
    }

    fn tmr_notify(device: &Device<Self>, function: TmrFunction, aborted: AbortedCommands<'_>) {
        let mut locked = Tcmu::locked(device);
        let notify = locked.guard.settings.tmr_notification;
        if let Some(Active { engine, memory }) = &mut locked.guard.active {
            let slots = aborted.flatten().map(SlotIndex::from_raw);
            engine.tmr_notify(memory, tmr_kind(function), slots, notify);
        }
        // After this LIO waits, perhaps in the middle of this thread's batch. User space must be
        // woken for the commands of the batch before that (P9).
        device.end_batch();
        locked.finish();
    }

    fn plug_device(device: &Device<Self>) -> bool {
        device.begin_batch()
    }

    fn unplug_device(device: &Device<Self>) {
        device.end_batch();
        Tcmu::locked(device).finish();
    }

    fn set_configfs_dev_params(device: &Device<Self>, text: &[u8]) -> Result {
        control::store(device, text)
    }

    fn show_configfs_dev_params(device: &Device<Self>, out: &mut Output<'_>) -> Result {
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

    fn get_blocks(device: &Device<Self>) -> u64 {
        let block = u64::from(device.block_size());
        let size = device.size();
        size.checked_div(block).unwrap_or(0).saturating_sub(1)
    }
}
