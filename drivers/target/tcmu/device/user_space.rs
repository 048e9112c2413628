// SPDX-License-Identifier: GPL-2.0

//! The UIO node of a device, and its timer.

use super::super::logic::Broken;
use super::{
    Active,
    Phase,
    Tcmu, //
};
use crate::{
    ext::{
        uio::{
            self,
            MappedPage,
            Mapping, //
        },
        work::WorkItem, //
    },
    target::device::Device,
};
use kernel::{
    prelude::*,
    sync::ArcBorrow, //
};

/// Logs why a ring has become broken.
pub(super) fn report(device: &Device<Tcmu>, result: Result<(), Broken>) {
    if let Err(broken) = result {
        // A daemon may break its ring again and again; debugfs has the reason and a count.
        if device.broken_messages.allows() {
            pr_err!("{}: ring broken: {broken}\n", device.label());
        }
    }
}

impl uio::Operations for Device<Tcmu> {
    const VERSION: &'static CStr = c"2";
    const REGION: &'static CStr = c"tcm-user command & data buffer";

    fn open(device: ArcBorrow<'_, Self>, mapping: Mapping) -> Result {
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

    fn release(device: ArcBorrow<'_, Self>) {
        Tcmu::with_active(&device, |engine, memory| {
            engine.free_all_kept(memory);
            // Its last mapping is gone.
            memory.set_mapping(None);
        });
        device.state.lock().open = false;
    }

    fn irqcontrol(device: ArcBorrow<'_, Self>) {
        let result = Tcmu::with_active(&device, |engine, memory| engine.handle_completions(memory));
        report(&device, result.unwrap_or(Ok(())));
    }

    fn region_size(&self) -> usize {
        self.state.lock().settings.sizes.region_size() as usize
    }

    fn fault(device: ArcBorrow<'_, Self>, offset: usize) -> Option<MappedPage> {
        let state = device.state.lock();
        let page = state.active.as_ref()?.memory.page(offset);
        if page.is_none() {
            let name = device.label();
            kernel::pr_err_once!("{name}: access to offset {offset}, which no command was given\n");
        }
        page
    }
}

impl WorkItem for Device<Tcmu> {
    fn run(device: ArcBorrow<'_, Self>) {
        let mut locked = Tcmu::locked(&device);
        if let Phase::Enabled(enabled) = &mut locked.guard.phase {
            enabled.armed = None;
        }
        if let Some(Active { engine, memory }) = &mut locked.guard.active {
            engine.check_timeouts(memory);
        }
        locked.finish();
    }
}
