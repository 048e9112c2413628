// SPDX-License-Identifier: GPL-2.0

//! See `tcmu_logic_fuzz::control_parameters`.

#![no_main]

use tcmu_logic_fuzz::control_parameters;

libfuzzer_sys::fuzz_target!(|data: &[u8]| control_parameters(data));
