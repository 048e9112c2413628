// SPDX-License-Identifier: GPL-2.0

//! Time limits, and how long the timer of a device is set.

use crate::logic::timeouts::{
    delay_ms, Clock, QfullTimeout, Timeouts, DEFAULT_TIMEOUT_MS, MOST_MS,
};

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

fn clock(now: u64, command_ms: u32, qfull: QfullTimeout) -> Clock {
    let timeouts = Timeouts { command_ms, qfull };
    Clock { now, timeouts }
}

#[test]
fn deadlines_are_full_seconds() {
    for (now, ms, expected) in [
        (0, 1000, 1000),
        (1, 1000, 2000),
        (999, 1, 1000),
        (1000, 30_000, 31_000),
        (123_456, u32::MAX / 1000 * 1000, 4_295_091_000),
    ] {
        let clock = clock(now, ms, QfullTimeout::Ms(ms));
        assert_eq!(clock.command_deadline().get(), Some(expected));
        assert_eq!(
            clock.qfull_deadline().map(|deadline| deadline.get()),
            Some(Some(expected))
        );
    }
}

#[test]
fn a_command_without_limit_has_no_deadline() {
    let clock = clock(5, 0, QfullTimeout::Never);
    let never = clock.command_deadline();
    assert_eq!(never.get(), None);
    assert_eq!(clock.qfull_deadline(), None);
    let end = Clock {
        now: u64::MAX - 1,
        ..clock
    };
    assert!(!end.is_over(never));
}

#[test]
fn qfull_takes_the_limit_of_commands_or_the_default() {
    let of = |command_ms, qfull| clock(0, command_ms, qfull).qfull_deadline()?.get();
    assert_eq!(of(7000, QfullTimeout::AsCommand), Some(7000));
    assert_eq!(
        of(0, QfullTimeout::AsCommand),
        Some(DEFAULT_TIMEOUT_MS.into())
    );
    assert_eq!(of(7000, QfullTimeout::Ms(2000)), Some(2000));
    assert_eq!(of(0, QfullTimeout::Ms(2000)), Some(2000));
    let default = Clock::default();
    assert_eq!(default.command_deadline().get(), Some(30_000));
    assert_eq!(default.qfull_deadline(), Some(default.command_deadline()));
}

#[test]
fn a_deadline_is_over_when_it_is_reached() {
    let deadline = clock(0, 1000, QfullTimeout::Never).command_deadline();
    for (now, expected) in [(0, false), (999, false), (1000, true), (5000, true)] {
        let at = clock(now, 1000, QfullTimeout::Never);
        assert_eq!(at.is_over(deadline), expected, "{now}");
    }
}
