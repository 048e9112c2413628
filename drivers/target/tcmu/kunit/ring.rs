// SPDX-License-Identifier: GPL-2.0

//! The command ring.

use super::logic::{
    ring::{
        Broken,
        Place,
        Ring, //
    },
    uapi::EntryKind, //
};
use super::suite::{
    check,
    check_eq,
    suite, //
};
use super::table::Kernel;

/// The largest ring: `cmd_ring_size_mb` 8, less the mailbox.
const LARGEST: u32 = (8 << 20) - 128;

fn with_ring(size: u32, test: impl FnOnce(Ring<Kernel>)) {
    let ring = Ring::new(size);
    check!(ring.is_ok());
    if let Ok(ring) = ring {
        test(ring);
    }
}

/// Puts an entry on the ring; says where, if it fits.
fn put(ring: &mut Ring<Kernel>, len: u32, kind: EntryKind) -> Option<Place> {
    let place = ring.place(len)?;
    ring.commit(place, len, kind);
    Some(place)
}

fn fills_to_the_last_entry_and_drains_in_order() {
    with_ring(LARGEST, |mut ring| {
        let mut count = 0;
        while put(&mut ring, 120, EntryKind::Command).is_some() {
            count += 1;
        }
        // One byte at least stays free.
        check_eq!(count, (LARGEST - 1) / 120);
        check_eq!(ring.used(), count * 120);
        let head = ring.head();
        check!(ring.check_tail(head).is_ok());
        let mut expected = 0;
        while let Some(entry) = ring.oldest(head) {
            check_eq!((entry.offset, entry.is_command), (expected, true));
            ring.release_oldest();
            expected += 120;
        }
        check_eq!(expected, head);
        check_eq!(ring.used(), 0);
    });
}

fn pads_the_end_and_goes_on_at_the_start() {
    with_ring(1024, |mut ring| {
        for _ in 0..4 {
            check!(put(&mut ring, 200, EntryKind::Command).is_some());
        }
        check!(put(&mut ring, 240, EntryKind::Command).is_none());
        let head = ring.head();
        for _ in 0..4 {
            check!(ring.oldest(head).is_some());
            ring.release_oldest();
        }
        check_eq!(
            put(&mut ring, 240, EntryKind::Tmr),
            Some(Place {
                pad: Some(800),
                offset: 0
            })
        );
        check_eq!(ring.pad_length(800), 224);
        let head = ring.head();
        check_eq!(head, 240);
        // The padding, then the entry.
        check!(ring
            .oldest(head)
            .is_some_and(|entry| entry.offset == 800 && !entry.is_command));
        ring.release_oldest();
        check!(ring
            .oldest(head)
            .is_some_and(|entry| entry.offset == 0 && !entry.is_command));
        ring.release_oldest();
        check!(ring.oldest(head).is_none());
    });
}

fn takes_no_tail_but_the_start_of_an_entry() {
    with_ring(1024, |mut ring| {
        for _ in 0..3 {
            check!(put(&mut ring, 120, EntryKind::Command).is_some());
        }
        let starts = [0, 120, 240, 360];
        for tail in (0..2048).chain([u32::MAX, u32::MAX - 7, 1 << 31]) {
            let expected = if starts.contains(&tail) {
                Ok(())
            } else {
                Err(Broken::Tail(tail))
            };
            check_eq!(ring.check_tail(tail), expected);
        }
    });
}

fn is_empty_after_a_reset() {
    with_ring(4096, |mut ring| {
        check!(put(&mut ring, 2000, EntryKind::Command).is_some());
        ring.reset();
        check_eq!((ring.head(), ring.used()), (0, 0));
        check!(ring.oldest(0).is_none());
        check_eq!(ring.check_tail(2000), Err(Broken::Tail(2000)));
    });
}

suite!(tcmu_ring:
    fills_to_the_last_entry_and_drains_in_order,
    pads_the_end_and_goes_on_at_the_start,
    takes_no_tail_but_the_start_of_an_entry,
    is_empty_after_a_reset,
);
