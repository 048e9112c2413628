// SPDX-License-Identifier: GPL-2.0

//! What a controller does that has lost its port, at all times around the deadline, and where
//! jiffies wrap.

use proptest::prelude::*;

use crate::plain::logic::connectivity::{Jiffies, PortState, Reconnect};

/// With numbers that do not wrap: `now` is so many jiffies after the loss.
fn expected(wait: i128, now: i128, delay: i128) -> Reconnect {
    if now >= wait {
        return Reconnect::Expired;
    }
    let delay = delay.min(wait - now);
    Reconnect::Retry(Jiffies::try_from(delay).expect("it is not negative"))
}

/// A port is lost `loss` jiffies after the start, and a controller looks `now` jiffies later.
fn check(loss: Jiffies, tmo: u32, hz: u32, now: Jiffies, delay: Jiffies) {
    let state = PortState::lost(loss, tmo, hz);
    let done = state.reconnect(loss.wrapping_add(now), delay);
    let wait = i128::from(tmo) * i128::from(hz);
    let expected = expected(wait, i128::from(now), i128::from(delay));
    assert_eq!(
        done, expected,
        "G6: lost at {loss} for {wait}, {now} later, delay {delay}"
    );
}

/// All small numbers, also where jiffies wrap while a controller waits.
pub(crate) fn small_numbers() {
    for loss in (0..3).chain(Jiffies::MAX - 12..=Jiffies::MAX) {
        for tmo in 0..4 {
            for hz in 1..4 {
                for now in 0..14 {
                    for delay in 0..12 {
                        check(loss, tmo, hz, now, delay);
                    }
                }
            }
        }
    }
}

#[test]
fn every_small_number() {
    small_numbers();
}

#[test]
fn online_is_online() {
    for now in [0, 1, Jiffies::MAX] {
        for delay in [0, 1, Jiffies::MAX] {
            let done = PortState::Online.reconnect(now, delay);
            assert_eq!(done, Reconnect::Online);
        }
    }
}

/// A controller that tries again when it is told to sees the deadline exactly once, at that time.
#[test]
fn attempts_end_at_the_deadline() {
    for tmo in 0..20 {
        for delay in 1..25 {
            let start = Jiffies::MAX - 7;
            let state = PortState::lost(start, tmo, 1);
            let mut now = start;
            let mut attempts = 0;
            while let Reconnect::Retry(wait) = state.reconnect(now, delay) {
                assert!(wait > 0 && wait <= delay);
                now = now.wrapping_add(wait);
                attempts += 1;
            }
            assert_eq!(now.wrapping_sub(start), Jiffies::from(tmo), "at the end");
            let expected = Jiffies::from(tmo).div_ceil(delay);
            assert_eq!(attempts, expected, "dev_loss_tmo {tmo}, delay {delay}");
        }
    }
}

/// What `nvme_fc_reconnect_or_delete()` makes of its variables, of which it reads each several
/// times and without the lock: so many jiffies until the next attempt, or `None`, it deletes the
/// controller.
fn c_reconnect(
    is_online: [bool; 2],
    dev_loss_end: [Jiffies; 3],
    jiffies: [Jiffies; 3],
    delay: Jiffies,
) -> Option<Jiffies> {
    let after = |a: Jiffies, b: Jiffies| (b.wrapping_sub(a) as i64) < 0;
    if !is_online[0] && !after(dev_loss_end[0], jiffies[0]) {
        return None;
    }
    if !is_online[1] && after(jiffies[1].wrapping_add(delay), dev_loss_end[1]) {
        return Some(dev_loss_end[2].wrapping_sub(jiffies[2]));
    }
    Some(delay)
}

/// Weakness 5 of C: what comes of a port that comes back in between, or of a tick.
#[test]
fn c_reads_state_and_deadline_apart() {
    let (now, end, delay) = (1_000_000, 1_050_000, 20_000);
    let of_c = c_reconnect([false; 2], [end; 3], [now; 3], delay);
    let same = PortState::Lost { deadline: end }.reconnect(now, delay);
    assert_eq!(of_c.map(Reconnect::Retry), Some(same), "without a race");

    let deleted = c_reconnect([false; 2], [0; 3], [now; 3], delay);
    println!("C, DELETED read before the port came back, dev_loss_end after: {deleted:?}");
    assert_eq!(
        deleted, None,
        "the controller of a port that is back is deleted"
    );

    let never = c_reconnect([false; 2], [end, end, 0], [now, end - 1, end - 1], delay);
    println!("C, dev_loss_end cleared before its last use: {never:?}");
    assert!(never > Some(Jiffies::MAX / 2), "it never tries again");

    let tick = c_reconnect([false; 2], [end; 3], [end - 1, end - 1, end + 1], delay);
    println!("C, jiffies read again after the deadline: {tick:?}");
    assert!(tick > Some(Jiffies::MAX / 2), "it never tries again");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// With numbers of any size that a kernel has.
    #[test]
    fn any_time(
        loss in any::<Jiffies>(),
        tmo in any::<u32>(),
        hz in 1..1001u32,
        now in prop_oneof![0..1u64 << 43, 0..60_000u64],
        delay in prop_oneof![any::<u32>().prop_map(Jiffies::from), 0..60_000u64],
    ) {
        check(loss, tmo, hz, now, delay);
        check(loss, tmo % 61, hz, now, delay);
    }
}
