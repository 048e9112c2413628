// SPDX-License-Identifier: GPL-2.0

//! Arrays that grow from slab memory into pages.

use super::logic::Array;
use super::suite::{
    check,
    check_eq,
    suite, //
};
use super::table::Table;
use core::cell::Cell;
use kernel::page::PAGE_SIZE;

fn keeps_what_it_holds() {
    let mut table = Table::<u64>::new();
    let mut len = 0;
    for wanted in [1, 7, PAGE_SIZE / 8, PAGE_SIZE / 8 + 1, 100_000] {
        check!(table.grow(wanted, || 7).is_ok());
        check_eq!(table.len(), wanted);
        for (nth, element) in table.iter().enumerate() {
            check_eq!(*element, if nth < len { nth as u64 } else { 7 });
        }
        for (nth, element) in table.iter_mut().enumerate() {
            *element = nth as u64;
        }
        len = wanted;
    }
}

fn changes_from_slab_to_pages_at_a_page() {
    let mut table = Table::<u64>::new();
    check!(table.grow(PAGE_SIZE / 8, || 0).is_ok());
    check!(matches!(table, Table::Small(_)));
    check!(table.grow(PAGE_SIZE / 8 + 1, || 0).is_ok());
    check!(matches!(table, Table::Large(_)));
}

fn never_shrinks() {
    let mut table = Table::<u8>::new();
    check!(table.grow(100, || 1).is_ok());
    check!(table.grow(10, || 2).is_ok());
    check_eq!(table.len(), 100);
    check!(table.iter().all(|&element| element == 1));
}

/// Counts its drops.
struct Counted<'a>(&'a Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn drops_each_element_once() {
    let drops = Cell::new(0);
    let mut table = Table::new();
    for len in [3, 600, 5_000] {
        check!(table.grow(len, || Counted(&drops)).is_ok());
        check_eq!(drops.get(), 0);
    }
    drop(table);
    check_eq!(drops.get(), 5_000);
}

suite!(tcmu_table:
    keeps_what_it_holds,
    changes_from_slab_to_pages_at_a_page,
    never_shrinks,
    drops_each_element_once,
);
