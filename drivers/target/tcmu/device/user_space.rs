// SPDX-License-Identifier: GPL-2.0

//! What user space asks of a tcmu device through its UIO node, and what happens with time.

use super::super::lio::{
    backend::Device,
    delayed_work::{
        DelayedWork,
        HasDelayedWork, //
    },
    uio::{
        HasUio,
        MappedPage,
        Mapping,
        Uio, //
    },
};
use super::super::policy::Broken;
use super::{
    Active,
    Tcmu, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        ArcBorrow, //
    },
};

/// How long after a message about a broken ring the next one comes, in milliseconds.
///
/// A daemon may break its ring as often as somebody repairs it. debugfs has the reason at any time,
/// and counts.
const SILENCE_MS: u64 = 5_000;

/// Tells once why a ring is broken.
pub(super) fn report(device: &Device<Tcmu>, result: Result<(), Broken>) {
    if let Err(broken) = result {
        // Two at a time may both be told: nothing depends on it.
        let now = device.now();
        let silent_until = device.silent_until.load(Relaxed);
        if now < silent_until {
            return;
        }
        device.silent_until.store(now + SILENCE_MS, Relaxed);
        pr_err!("{}: ring broken: {broken}\n", device.label());
    }
}

impl HasUio for Tcmu {
    const VERSION: &'static CStr = c"2";
    const REGION: &'static CStr = c"tcm-user command & data buffer";

    fn uio(device: &Device<Self>) -> &Uio {
        &device.uio
    }

    fn open(device: &Device<Self>, mapping: Mapping) -> Result {
        let mut state = device.state.lock();
        if state.open {
            return Err(EBUSY);
        }
        state.open = true;
        if let Some(active) = &mut state.active {
            active.memory.set_mapping(Some(mapping));
        }
        Ok(())
    }

    fn release(device: &Device<Self>) {
        Tcmu::with_active(device, |engine, memory, deadline| {
            engine.free_all_kept(memory, deadline);
            // Its last mapping is gone.
            memory.set_mapping(None);
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
            let name = device.label();
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
