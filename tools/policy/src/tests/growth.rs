// SPDX-License-Identifier: GPL-2.0

//! The length of tables: what the allocator gives is used, and growth is not for nothing.

use crate::logic::growth::{grown, PAGE};

/// Lengths that a table of `T` goes through up to `end` elements.
fn lengths<T>(end: usize) -> Vec<usize> {
    let mut lengths = vec![grown::<T>(0, 1)];
    while let Some(&last) = lengths.last().filter(|&&last| last < end) {
        lengths.push(grown::<T>(last, last + 1));
    }
    lengths
}

fn check<T>() {
    let size = size_of::<T>();
    for pair in lengths::<T>(1 << 20).windows(2) {
        let (old, new) = (pair[0] * size, pair[1] * size);
        assert!(pair[1] > pair[0]);
        let given = if new <= PAGE {
            new.next_power_of_two()
        } else {
            new.next_multiple_of(PAGE)
        };
        assert!(given - new < size, "{new} bytes leave {given} unused");
        if old > PAGE {
            assert!(new <= old + old / 8 + 2 * PAGE, "from {old} to {new} bytes");
        }
    }
}

#[test]
fn tables_fill_what_they_are_given() {
    check::<u32>();
    check::<u64>();
    check::<[u64; 3]>();
    check::<[u64; 6]>();
    check::<[u8; 300]>();
}

#[test]
fn growth_is_a_part_of_the_whole() {
    // A million elements are not copied more than nine times each.
    let copied: usize = lengths::<u64>(1 << 20).iter().sum();
    assert!(copied < 10 << 20, "{copied}");
}

#[test]
fn what_is_needed_at_once_is_there() {
    assert_eq!(grown::<u32>(0, 1), 64);
    assert_eq!(grown::<u64>(512, 5000), 5120);
    assert_eq!(grown::<[u8; 5000]>(0, 1), 1);
    assert!(grown::<u64>(1 << 20, (1 << 20) + 1) >= (1 << 20) + (1 << 17));
}
