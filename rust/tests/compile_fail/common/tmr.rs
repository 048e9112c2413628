// SPDX-License-Identifier: GPL-2.0

// Task management as a crate, for what misuses it: as in drivers/target/tmr/target_core_tmr.rs.

use ext::{
    bindings,
    list,
    lock,
    object, //
};

const __LOG_PREFIX: &[u8] = b"hostile\0";
