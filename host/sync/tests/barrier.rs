// SPDX-License-Identifier: GPL-2.0

//! What loom makes of `smp_mb()`: neither more nor less than a full barrier.

use std::collections::BTreeSet;
use std::sync::{Arc as StdArc, Mutex};

use loom::sync::Arc;
use loom::thread;
use sync::loom::atomic::{Acquire, Atomic, Relaxed, Release};
use sync::loom::barrier::{smp_mb, Full};

/// Two threads each write a number of their own, then read the other's: store buffering. The pairs
/// that they read, in all orders; `first` and `second` are what each does in between.
fn store_buffering(first: fn(), second: fn()) -> BTreeSet<(u32, u32)> {
    let seen = StdArc::<Mutex<BTreeSet<_>>>::default();
    let to = seen.clone();
    loom::model(move || {
        let numbers = Arc::new([Atomic::new(0u32), Atomic::new(0u32)]);
        let other = numbers.clone();
        let thread = thread::spawn(move || {
            other[1].store(1, Relaxed);
            second();
            other[0].load(Relaxed)
        });
        numbers[0].store(1, Relaxed);
        first();
        let here = numbers[1].load(Relaxed);
        let there = thread.join().expect("it ends");
        to.lock().expect("nobody panics").insert((here, there));
    });
    let seen = seen.lock().expect("nobody panics");
    seen.clone()
}

fn barrier() {
    smp_mb(Full);
}

fn nothing() {}

#[test]
fn of_two_barriers_the_later_one_sees_what_was_before_the_other() {
    let seen = store_buffering(barrier, barrier);
    assert_eq!(seen, BTreeSet::from([(0, 1), (1, 0), (1, 1)]));
}

/// And each is needed.
#[test]
fn without_both_barriers_neither_may_see_the_other() {
    for (first, second) in [
        (nothing as fn(), nothing as fn()),
        (barrier, nothing),
        (nothing, barrier),
    ] {
        let seen = store_buffering(first, second);
        assert_eq!(seen, BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1)]));
    }
}

/// The orders that loads and stores can have are no full barrier; so it is on x86, too.
#[test]
fn release_and_acquire_do_not_replace_a_barrier() {
    let seen = StdArc::<Mutex<BTreeSet<_>>>::default();
    let to = seen.clone();
    loom::model(move || {
        let numbers = Arc::new([Atomic::new(0u32), Atomic::new(0u32)]);
        let other = numbers.clone();
        let thread = thread::spawn(move || {
            other[1].store(1, Release);
            other[0].load(Acquire)
        });
        numbers[0].store(1, Release);
        let here = numbers[1].load(Acquire);
        let there = thread.join().expect("it ends");
        to.lock().expect("nobody panics").insert((here, there));
    });
    assert!(seen.lock().expect("nobody panics").contains(&(0, 0)));
}

/// A barrier on each side hands over what was written before it.
#[test]
fn barriers_hand_over() {
    loom::model(|| {
        let shared = Arc::new((Atomic::new(0u32), Atomic::new(false)));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.0.store(7, Relaxed);
            smp_mb(Full);
            other.1.store(true, Relaxed);
        });
        if shared.1.load(Relaxed) {
            smp_mb(Full);
            assert_eq!(shared.0.load(Relaxed), 7);
        }
        thread.join().expect("it ends");
    });
}

/// Without loom it is the processor's.
#[test]
fn processor_has_it() {
    sync::barrier::smp_mb(sync::barrier::Full);
}
