// SPDX-License-Identifier: GPL-2.0

//! What a controller does that has lost its port, and memory behind objects.

use super::{
    common::{
        check,
        check_eq, //
    },
    ext::kunit::suite,
    logic::{
        connectivity::{
            PortState,
            Reconnect, //
        },
        private_size::PrivateSizes,
    },
};

/// Jiffies in a second, at most.
const HZ: u32 = 1000;

fn retries_until_the_deadline() {
    // Also where jiffies wrap.
    for now in [0, 5, u64::MAX - 20_000, u64::MAX] {
        let lost = PortState::lost(now, 60, HZ);
        check_eq!(lost.reconnect(now, 2_000), Reconnect::Retry(2_000));
        check_eq!(lost.reconnect(now, 70_000), Reconnect::Retry(60_000));
        let later = now.wrapping_add(59_999);
        check_eq!(lost.reconnect(later, 2_000), Reconnect::Retry(1));
        for after in [60_000, 60_001, 1 << 40] {
            let after = now.wrapping_add(after);
            check_eq!(lost.reconnect(after, 2_000), Reconnect::Expired);
        }
        check_eq!(PortState::Online.reconnect(later, 2_000), Reconnect::Online);
    }
}

fn none_is_too_long() {
    // C's product has 32 bits.
    let lost = PortState::lost(0, u32::MAX, HZ);
    let end = u64::from(u32::MAX) * u64::from(HZ);
    check_eq!(lost.reconnect(end - 1, 2_000), Reconnect::Retry(1));
    check_eq!(lost.reconnect(end, 2_000), Reconnect::Expired);
    check_eq!(
        PortState::lost(7, 0, HZ).reconnect(7, 1),
        Reconnect::Expired
    );
}

fn sizes(local: u32, remote: u32, fcprqst: u32) -> PrivateSizes {
    PrivateSizes {
        local,
        remote,
        fcprqst,
    }
}

fn nobody_gets_more_memory_than_there_is() {
    let there = sizes(8, 16, 24);
    for more in [sizes(9, 16, 24), sizes(8, 17, 24), sizes(8, 16, 25)] {
        check_eq!(there.replace(more), None);
    }
    check_eq!(there.replace(there), Some(there));
    // Objects that are made with less have less from then on, but the local port stays.
    let less = there.replace(sizes(0, 1, 2));
    check_eq!(less, Some(sizes(8, 1, 2)));
    check!(less.is_some_and(|less| less.replace(there).is_none()));
    check!(less.is_some_and(|less| less.replace(sizes(8, 1, 2)).is_some()));
}

suite!(fcgate_connectivity:
    retries_until_the_deadline,
    none_is_too_long,
    nobody_gets_more_memory_than_there_is,
);
