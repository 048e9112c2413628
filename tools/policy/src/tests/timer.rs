// SPDX-License-Identifier: GPL-2.0

//! How long the timer of a device is set.

use crate::logic::timer::{delay_ms, MOST_MS};

/// What `msecs_to_jiffies()` takes for "never", read as the `int` that it looks at.
fn is_never(ms: u32) -> bool {
    (ms as i32) < 0
}

/// The largest time limits that the attributes take, in milliseconds.
const LARGEST: [u64; 2] = [
    (u32::MAX / 1000 * 1000) as u64,
    (i32::MAX / 1000 * 1000) as u64,
];

#[test]
fn a_delay_is_what_is_left() {
    assert_eq!(delay_ms(5, 1000), 995);
    assert_eq!(delay_ms(1000, 1000), 0);
    assert_eq!(delay_ms(2000, 1000), 0);
    assert_eq!(delay_ms(0, MOST_MS.into()), MOST_MS);
}

#[test]
fn no_delay_is_endless() {
    assert!(is_never(MOST_MS + 1) && !is_never(MOST_MS));
    for wake in [
        u64::from(MOST_MS) + 1,
        1 << 31,
        u64::from(u32::MAX),
        1 << 32,
        u64::MAX,
    ] {
        assert!(!is_never(delay_ms(0, wake)), "{wake}");
    }
}

#[test]
fn the_longest_time_limits_end() {
    for limit in LARGEST {
        let start = 123_456;
        let wake = (start + limit).next_multiple_of(1000);
        let mut now = start;
        let mut waits = 0;
        while now < wake {
            let delay = delay_ms(now, wake);
            assert!(delay > 0 && !is_never(delay));
            now += u64::from(delay);
            waits += 1;
        }
        assert_eq!(now, wake);
        assert!(waits <= 3, "{waits} waits");
    }
}
