// SPDX-License-Identifier: GPL-2.0

//! The attributes and actions of tcmu devices in configfs.

use super::device::{
    text_of,
    Tcmu, //
};
use super::logic::{
    signed,
    unsigned,
    NumberError,
    QfullTimeout,
    ResetStatus,
    CONFIG_LEN, //
};
use crate::{
    ext::output::Output,
    netlink,
    target::{
        attribute::{
            Action,
            Attrib,
            Attribute,
            AttributeTable, //
        },
        device::Device,
    },
};
use kernel::{
    fmt::{
        self,
        Write as _, //
    },
    prelude::*, //
};

/// The directory `attrib`: LIO's attributes of passthrough backends and our own.
pub(crate) fn attrib() -> Result<AttributeTable<Tcmu, Attrib>> {
    AttributeTable::passthrough()?
        .with::<CmdTimeOut>()?
        .with::<QfullTimeOut>()?
        .with::<MaxDataAreaMb>()?
        .with::<DataPagesPerBlk>()?
        .with::<CmdRingSizeMb>()?
        .with::<DevConfig>()?
        .with::<DevSize>()?
        .with::<EmulateWriteCache>()?
        .with::<TmrNotification>()?
        .with::<NlReplySupported>()
}

/// The directory `action`.
pub(crate) fn action() -> Result<AttributeTable<Tcmu, Action>> {
    AttributeTable::new()?
        .with::<BlockDev>()?
        .with::<ResetRing>()?
        .with::<FreeKeptBuf>()
}

impl From<NumberError> for Error {
    fn from(error: NumberError) -> Self {
        match error {
            NumberError::Syntax => EINVAL,
            NumberError::Range => ERANGE,
        }
    }
}

/// Prints a number and a newline.
fn line(out: &mut Output<'_>, value: impl fmt::Display) -> Result {
    Ok(out.write_fmt(fmt!("{}\n", value))?)
}

/// `EINVAL` with a message unless the device has been enabled.
fn require_configured(device: &Device<Tcmu>) -> Result {
    if device.is_configured() {
        return Ok(());
    }
    Err(device.refuse(EINVAL, fmt!("the device has not been enabled")))
}

/// `cmd_time_out`: time limit of a command on the ring in seconds, 0 is none.
struct CmdTimeOut;

#[vtable]
impl Attribute<Tcmu> for CmdTimeOut {
    const NAME: &'static CStr = c"cmd_time_out";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
        line(out, device.lock().settings.timeouts.command_ms / 1000)
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        if device.is_exported() {
            let why = "cmd_time_out cannot be set while LUNs export the device";
            return Err(device.refuse(EINVAL, fmt!("{why}")));
        }
        // C lets the number of milliseconds wrap.
        let seconds = unsigned(text, u64::from(u32::MAX / 1000))?;
        device.lock().settings.timeouts.command_ms = seconds as u32 * 1000;
        Ok(())
    }
}

/// `qfull_time_out`: time limit in the qfull queue in seconds, 0 is no waiting, -1 as
/// `cmd_time_out`.
struct QfullTimeOut;

#[vtable]
impl Attribute<Tcmu> for QfullTimeOut {
    const NAME: &'static CStr = c"qfull_time_out";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
        let timeout = device.lock().settings.timeouts.qfull;
        match timeout {
            QfullTimeout::AsCommand => line(out, -1),
            QfullTimeout::Never => line(out, 0),
            QfullTimeout::Ms(ms) => line(out, ms / 1000),
        }
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        let timeout = match signed(text, i32::MIN.into(), i64::from(i32::MAX / 1000))? {
            -1 => QfullTimeout::AsCommand,
            0 => QfullTimeout::Never,
            seconds if seconds > 0 => QfullTimeout::Ms(seconds as u32 * 1000),
            seconds => {
                return Err(device.refuse(EINVAL, fmt!("qfull_time_out cannot be {seconds}")));
            }
        };
        device.lock().settings.timeouts.qfull = timeout;
        Ok(())
    }
}

/// Makes a read-only attribute that prints one of the sizes.
macro_rules! size_attribute {
    ($(#[$meta:meta])* $type:ident, $name:literal, $method:ident) => {
        $(#[$meta])*
        struct $type;

        #[vtable]
        impl Attribute<Tcmu> for $type {
            const NAME: &'static CStr = $name;

            fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
                line(out, device.lock().settings.sizes.$method())
            }
        }
    };
}

size_attribute! {
    /// `max_data_area_mb`: size of the data area in MiB.
    MaxDataAreaMb, c"max_data_area_mb", data_area_mb
}
size_attribute! {
    /// `data_pages_per_blk`: size of a block of the data area in pages.
    DataPagesPerBlk, c"data_pages_per_blk", pages_per_block
}
size_attribute! {
    /// `cmd_ring_size_mb`: size of mailbox and command ring in MiB.
    CmdRingSizeMb, c"cmd_ring_size_mb", ring_mb
}

/// `dev_config`: the daemon's configuration string, at most 255 bytes.
struct DevConfig;

#[vtable]
impl Attribute<Tcmu> for DevConfig {
    const NAME: &'static CStr = c"dev_config";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
        let state = device.lock();
        if let Some(config) = &state.settings.config {
            out.write_bytes(config.to_bytes())?;
        }
        out.write_bytes(b"\n")
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        if text.is_empty() || text.len() >= CONFIG_LEN {
            let most = CONFIG_LEN - 1;
            return Err(device.refuse(EINVAL, fmt!("dev_config must have 1 to {most} bytes")));
        }
        let config = text_of(text)?;
        if !device.is_configured() {
            device.lock().settings.config = Some(config);
            return Ok(());
        }
        netlink::reconfigure(device, &config)
            .map_err(|error| device.refuse(error, fmt!("dev_config could not be changed")))?;
        device.lock().settings.config = Some(config);
        device.rename()
    }
}

/// `dev_size`: size of the device in bytes.
struct DevSize;

#[vtable]
impl Attribute<Tcmu> for DevSize {
    const NAME: &'static CStr = c"dev_size";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
        line(out, device.size())
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        let size = unsigned(text, u64::MAX)?;
        if device.is_configured() {
            netlink::resize(device, size)
                .map_err(|error| device.refuse(error, fmt!("dev_size could not be changed")))?;
        }
        device.set_size(size);
        Ok(())
    }
}

/// `emulate_write_cache`: whether the device has a write cache, 0 or 1.
struct EmulateWriteCache;

#[vtable]
impl Attribute<Tcmu> for EmulateWriteCache {
    const NAME: &'static CStr = c"emulate_write_cache";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
        line(out, u8::from(device.write_cache()))
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        let value = unsigned(text, u8::MAX.into())? as u8;
        if device.is_configured() {
            netlink::set_write_cache(device, value).map_err(|error| {
                device.refuse(error, fmt!("emulate_write_cache could not be changed"))
            })?;
        }
        device.set_write_cache(value != 0);
        Ok(())
    }
}

/// `tmr_notification`: whether user space is told of task management functions, 0 or 1.
struct TmrNotification;

#[vtable]
impl Attribute<Tcmu> for TmrNotification {
    const NAME: &'static CStr = c"tmr_notification";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
        line(out, u8::from(device.lock().settings.tmr_notification))
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        let value = unsigned(text, u8::MAX.into())?;
        if value > 1 {
            return Err(device.refuse(EINVAL, fmt!("tmr_notification must be 0 or 1")));
        }
        device.lock().settings.tmr_notification = value == 1;
        Ok(())
    }
}

/// `nl_reply_supported`: whether a reply to netlink messages is waited for; below 0 never.
struct NlReplySupported;

#[vtable]
impl Attribute<Tcmu> for NlReplySupported {
    const NAME: &'static CStr = c"nl_reply_supported";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
        line(out, device.lock().settings.nl_reply_supported)
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        let value = signed(text, i8::MIN.into(), i8::MAX.into())?;
        device.lock().settings.nl_reply_supported = value as i32;
        Ok(())
    }
}

/// `block_dev`: 1 stops the device, 0 lets it go on.
struct BlockDev;

#[vtable]
impl Attribute<Tcmu> for BlockDev {
    const NAME: &'static CStr = c"block_dev";

    fn show(device: &Device<Tcmu>, out: &mut Output<'_>) -> Result {
        out.write_bytes(if device.is_blocked() {
            b"blocked\n"
        } else {
            b"unblocked\n"
        })
    }

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        require_configured(device)?;
        let value = unsigned(text, u8::MAX.into())?;
        if value > 1 {
            return Err(device.refuse(EINVAL, fmt!("block_dev must be 0 or 1")));
        }
        Tcmu::set_blocked(device, value == 1);
        Ok(())
    }
}

/// `reset_ring`: empties the ring; 1 answers what is in flight with BUSY, 2 with CHECK CONDITION.
struct ResetRing;

#[vtable]
impl Attribute<Tcmu> for ResetRing {
    const NAME: &'static CStr = c"reset_ring";

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        require_configured(device)?;
        let status = match unsigned(text, u8::MAX.into())? {
            1 => ResetStatus::Busy,
            2 => ResetStatus::CheckCondition,
            _ => {
                return Err(device.refuse(EINVAL, fmt!("reset_ring must be 1 or 2")));
            }
        };
        Tcmu::reset_ring(device, status);
        Ok(())
    }
}

/// `free_kept_buf`: frees the buffer of the command with this id, completed with `KEEP_BUF`.
struct FreeKeptBuf;

#[vtable]
impl Attribute<Tcmu> for FreeKeptBuf {
    const NAME: &'static CStr = c"free_kept_buf";

    fn store(device: &Device<Tcmu>, text: &[u8]) -> Result {
        require_configured(device)?;
        let id = unsigned(text, u16::MAX.into())? as u16;
        if Tcmu::free_kept(device, id) {
            return Ok(());
        }
        let why = "was not completed with KEEP_BUF";
        Err(device.refuse(EINVAL, fmt!("free_kept_buf: cmd_id {id} {why}")))
    }
}
