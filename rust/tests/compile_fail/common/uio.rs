// SPDX-License-Identifier: GPL-2.0

// What serves the UIO device of a backend of common/backend.rs.

impl ext::uio::Operations for Device<Hostile> {
    const VERSION: &'static CStr = c"1";
    const REGION: &'static CStr = c"region";

    fn open(_this: ArcBorrow<'_, Self>, _mapping: ext::uio::Mapping) -> Result {
        Ok(())
    }

    fn release(_this: ArcBorrow<'_, Self>) {}

    fn irqcontrol(_this: ArcBorrow<'_, Self>) {}

    fn region_size(&self) -> usize {
        4096
    }

    fn fault(_this: ArcBorrow<'_, Self>, _offset: usize) -> Option<ext::uio::MappedPage> {
        None
    }
}
