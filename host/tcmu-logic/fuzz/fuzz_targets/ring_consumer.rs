// SPDX-License-Identifier: GPL-2.0

//! See `tcmu_logic_fuzz::ring_consumer`.

#![no_main]

use tcmu_logic_fuzz::ring_consumer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| ring_consumer(data));
