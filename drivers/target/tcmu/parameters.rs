// SPDX-License-Identifier: GPL-2.0

//! The module parameters.

use super::logic::{
    decimal,
    unsigned, //
};
use super::{
    netlink,
    reclaim, //
};
use crate::ext::{
    output::Output,
    parameter::{
        module_parameter,
        Parameter, //
    },
};
use kernel::{
    fmt::Write as _,
    prelude::*, //
};

/// Says why a value is refused; the result is the error.
fn refuse(why: &str) -> Error {
    pr_err!("{why}: {EINVAL:?}\n");
    EINVAL
}

/// `global_max_data_area_mb`: what the data area of a device can have at most in MiB, and what all
/// of them together should have at most.
struct GlobalMaxDataAreaMb;

impl Parameter for GlobalMaxDataAreaMb {
    const MODE: u16 = 0o644;

    fn set(text: &[u8]) -> Result {
        // As in C: any malformed number is EINVAL here, and all are decimal.
        let value = decimal(text, i32::MAX as u64).map_err(|_| EINVAL)?;
        if value == 0 {
            return Err(refuse("global_max_data_area_mb must be larger than 0"));
        }
        reclaim::set_limit_mb(value as u32);
        Ok(())
    }

    fn get(out: &mut Output<'_>) -> Result {
        Ok(out.write_fmt(fmt!("{}\n", reclaim::limit_mb()))?)
    }
}

/// `block_netlink`: 1 lets no netlink message out that needs a reply, 0 lets them out again.
struct BlockNetlink;

impl Parameter for BlockNetlink {
    const MODE: u16 = 0o644;

    fn set(text: &[u8]) -> Result {
        let value = unsigned(text, u8::MAX.into())?;
        if value > 1 {
            return Err(refuse("block_netlink must be 0 or 1"));
        }
        netlink::set_blocked(value == 1);
        Ok(())
    }

    fn get(out: &mut Output<'_>) -> Result {
        out.write_bytes(if netlink::is_blocked() {
            b"blocked\n"
        } else {
            b"unblocked\n"
        })
    }
}

/// `reset_netlink`: 1 ends every wait for a reply with EINTR, while `block_netlink` is 1.
struct ResetNetlink;

impl Parameter for ResetNetlink {
    const MODE: u16 = 0o200;

    fn set(text: &[u8]) -> Result {
        if unsigned(text, u8::MAX.into())? != 1 {
            return Err(refuse("reset_netlink must be 1"));
        }
        netlink::reset()
    }

    fn get(_out: &mut Output<'_>) -> Result {
        Err(EPERM)
    }
}

module_parameter!(
    "target_core_user",
    "global_max_data_area_mb",
    GlobalMaxDataAreaMb,
    "Max MBs of the data areas of all devices, and of each one."
);
module_parameter!(
    "target_core_user",
    "block_netlink",
    BlockNetlink,
    "Block new netlink commands."
);
module_parameter!(
    "target_core_user",
    "reset_netlink",
    ResetNetlink,
    "Reset netlink commands."
);
