// SPDX-License-Identifier: GPL-2.0

//! What LIO asks of a tcmu device.

use super::super::lio::{
    backend::{
        Backend,
        Device,
        Mode,
        SenseReason, //
    },
    bindings,
    command::{
        AbortedCommands,
        Command, //
    },
    delayed_work::DelayedWork,
    output::Output,
    uio::Uio, //
};
use super::super::policy::{
    Refusal,
    Sizes,
    SlotIndex,
    TmrKind, //
};
use super::super::{
    control,
    netlink, //
};
use super::{
    Active,
    Phase,
    QfullTimeout,
    Settings,
    State,
    Tcmu,
    DEFAULT_TIMEOUT_MS, //
};
use kernel::{
    fmt::Write as _,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::Atomic,
        ArcBorrow, //
    },
    time::Instant, //
};

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

#[vtable]
impl Backend for Tcmu {
    const NAME: &'static CStr = c"user";
    const MODE: Mode = Mode::Passthrough;

    fn new(host_id: u32, name: &CStr) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            host_id,
            name: CString::try_from(name)?,
            epoch: Instant::now(),
            silent_until: Atomic::new(0),
            daemon: Atomic::new(0),
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
                    status: None,
                },
                "Tcmu::state"
            ),
            uio <- Uio::new(),
            timer <- DelayedWork::new(),
            submitter: Atomic::new(0),
        })
    }

    fn configure(device: ArcBorrow<'_, Device<Self>>) -> Result {
        let index = device.index();
        let sizes = {
            let mut state = device.state.lock();
            // LIO does not keep a second writer of `enable` out while the first waits for a daemon.
            if state.phase != Phase::Disabled {
                return Err(device.refuse(EBUSY, fmt!("is being enabled by somebody else")));
            }
            state.phase = Phase::Changing;
            state.settings.sizes
        };
        let result = Self::enable(device, &sizes).map_err(|error| {
            let mut state = Self::disable(&device);
            // A daemon may have mapped the memory meanwhile; faults find nothing from here on.
            let active = state.active.take();
            drop(state);
            drop(active);
            device.refuse(error, fmt!("cannot be enabled"))
        });
        // A second writer of `enable` has been refused above, but not before LIO changed this.
        device.restore_index(index);
        result
    }

    fn destroy(device: ArcBorrow<'_, Device<Self>>) {
        // Nobody listens, or does not answer in time: the device goes all the same.
        match netlink::removed(&device) {
            Err(error) if error != ESRCH => {
                pr_warn!("{}: removal not confirmed: {error:?}\n", device.label());
            }
            _ => {}
        }
        let state = Self::disable(&device);
        // LIO has drained its commands before.
        if let Some(Active { engine, .. }) = &state.active {
            kernel::warn_on!(engine.owes_answers());
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
        // LIO may wait from here on inside the batch that this thread submits, whose end comes after
        // that: user space must be told now of its commands (P9).
        device.end_batch();
        locked.finish();
    }

    fn plug(device: &Device<Self>) -> bool {
        device.begin_batch()
    }

    fn unplug(device: &Device<Self>) {
        device.end_batch();
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
