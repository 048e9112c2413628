// SPDX-License-Identifier: GPL-2.0

//! One logic file, mounted with `std`'s atomics and with loom's.

#![expect(clippy::duplicate_mod, reason = "that is the purpose")]

#[path = "."]
mod plain {
    use sync::atomic;

    pub(crate) mod logic;
}

#[path = "."]
mod model {
    use sync::loom::atomic;

    pub(crate) mod logic;
}

use sync::atomic::{Atomic, Full, Relaxed, Release};

#[test]
fn threads_of_the_host_hand_over() {
    let slot = plain::logic::Slot::new();
    std::thread::scope(|scope| {
        scope.spawn(|| slot.put(7, Release));
        let value = loop {
            if let Some(value) = slot.take() {
                break value;
            }
            std::thread::yield_now();
        };
        assert_eq!(value, 7);
    });
    assert_eq!(slot.take(), None);
}

#[test]
fn loom_goes_through_all_orders() {
    loom::model(|| {
        let slot = loom::sync::Arc::new(model::logic::Slot::new());
        let other = slot.clone();
        let thread = loom::thread::spawn(move || other.put(7, Release));
        assert!(matches!(slot.take(), None | Some(7)), "it is stale");
        thread.join().expect("it ends");
    });
}

/// What loom is for: with a flag that is not released the value may be stale.
#[test]
#[should_panic(expected = "it is stale")]
fn loom_finds_what_is_not_released() {
    loom::model(|| {
        let slot = loom::sync::Arc::new(model::logic::Slot::new());
        let other = slot.clone();
        let thread = loom::thread::spawn(move || other.put(7, Relaxed));
        assert!(matches!(slot.take(), None | Some(7)), "it is stale");
        thread.join().expect("it ends");
    });
}

#[test]
fn methods_do_what_their_names_say() {
    let number = Atomic::new(5u32);
    assert_eq!(number.fetch_add(2, Relaxed), 5);
    assert_eq!(number.fetch_sub(8, Full), 7);
    assert_eq!(number.load(Relaxed), u32::MAX);
    number.add(1, Relaxed);
    assert_eq!(number.xchg(3, Full), 0);
    assert_eq!(number.cmpxchg(4, 9, Full), Err(3));
    assert_eq!(number.cmpxchg(3, 9, Full), Ok(3));
    assert_eq!(number.load(Relaxed), 9);
    let flag = Atomic::new(false);
    flag.store(true, Relaxed);
    assert_eq!(flag.cmpxchg(true, false, Full), Ok(true));
}
