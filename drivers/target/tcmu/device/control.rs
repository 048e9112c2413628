// SPDX-License-Identifier: GPL-2.0

//! The file `control` of a device.

use super::super::logic::{
    options,
    Clamped,
    ControlOption,
    Invalid,
    CONFIG_LEN, //
};
use super::super::reclaim;
use super::{
    State,
    Tcmu, //
};
use crate::{
    ext::memalloc::NoIoScope,
    target::device::{
        Device,
        Limit, //
    },
};
use kernel::{
    prelude::*,
    str::{
        BStr,
        CString, //
    },
};

/// Takes a list of options. Those before one that is refused have their effect, as in C.
pub(crate) fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
    for (name, option) in options(text) {
        let name = BStr::from_bytes(name);
        let result = option.and_then(|option| apply(device, name, option));
        if let Err(invalid) = result {
            let (errno, why) = match invalid {
                Invalid::Syntax => (EINVAL, "not a number"),
                Invalid::Range => (ERANGE, "the number is out of range"),
                Invalid::Value => (EINVAL, "not a possible value"),
                Invalid::Enabled => (EINVAL, "cannot be set after the device has been enabled"),
                Invalid::NoMemory => (ENOMEM, "no memory"),
            };
            return Err(device.refuse(errno, fmt!("control option '{name}': {why}")));
        }
    }
    Ok(())
}

/// Makes a string of bytes as they are. They contain no NUL and are fewer than `CONFIG_LEN`.
pub(crate) fn text_of(bytes: &[u8]) -> Result<CString> {
    let mut buffer = [0; CONFIG_LEN];
    buffer
        .get_mut(..bytes.len())
        .ok_or(EINVAL)?
        .copy_from_slice(bytes);
    let text = CStr::from_bytes_until_nul(&buffer).map_err(|_| EINVAL)?;
    Ok(CString::try_from(text)?)
}

fn apply(device: &Device<Tcmu>, name: &BStr, option: ControlOption<'_>) -> Result<(), Invalid> {
    // The device may serve disks already: reclaim must not wait for them with the lock held.
    let _noio = NoIoScope::enter();
    let mut guard = device.lock();
    let state: &mut State = &mut guard;
    let sized = Tcmu::is_sized(state);
    let settings = &mut state.settings;
    let clamped = match option {
        ControlOption::DevConfig(text) => {
            // The parser lets no text pass that is too long, or has a NUL.
            settings.config = Some(text_of(text).map_err(|_| Invalid::NoMemory)?);
            None
        }
        ControlOption::DevSize(size) => {
            device.set_size(size);
            None
        }
        ControlOption::HwBlockSize(bytes) => {
            device.set_limit(Limit::BlockSize, bytes);
            None
        }
        ControlOption::HwMaxSectors(blocks) => {
            device.set_limit(Limit::MaxSectors, blocks);
            None
        }
        ControlOption::NlReplySupported(value) => {
            settings.nl_reply_supported = value;
            None
        }
        ControlOption::MaxDataAreaMb(_)
        | ControlOption::DataPagesPerBlk(_)
        | ControlOption::CmdRingSizeMb(_)
            if sized =>
        {
            return Err(Invalid::Enabled);
        }
        ControlOption::MaxDataAreaMb(mb) => {
            settings.sizes.set_data_area_mb(mb, reclaim::limit_mb())?
        }
        ControlOption::DataPagesPerBlk(pages) => {
            settings.sizes.set_pages_per_block(pages)?;
            None
        }
        ControlOption::CmdRingSizeMb(mb) => settings.sizes.set_ring_mb(mb),
        ControlOption::Unknown(_) => {
            let label = device.label();
            kernel::pr_warn_once!("{label}: control option '{name}' is not known and is ignored\n");
            None
        }
    };
    if let Some(Clamped(limit)) = clamped {
        let label = device.label();
        pr_err!("{label}: control option '{name}' is too large, using the limit of {limit}\n");
    }
    Ok(())
}
