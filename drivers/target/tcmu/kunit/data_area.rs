// SPDX-License-Identifier: GPL-2.0

//! The data area.

use super::logic::{
    data_area::{
        AllocError,
        Allocation,
        DataArea, //
    },
    NoMemory, //
};
use super::suite::{
    check,
    check_eq,
    suite, //
};
use super::table::Kernel;

const BLOCK: u32 = 4096;

/// The default area: 1 GiB in pages.
const BLOCKS: u32 = 1 << 18;

fn with_area(blocks: u32, test: impl FnOnce(DataArea<Kernel>)) {
    let area = DataArea::new(blocks, BLOCK);
    check!(area.is_ok());
    if let Ok(area) = area {
        test(area);
    }
}

fn take(area: &mut DataArea<Kernel>, length: u32) -> Result<Allocation, AllocError> {
    area.allocate(length, |_, _| Ok(()))
}

fn hands_out_every_block_once() {
    with_area(BLOCKS, |mut area| {
        let list = take(&mut area, BLOCKS * BLOCK - 1);
        check!(list.is_ok());
        let list = list.unwrap_or_default();
        check!(area.iter(list.blocks).eq(0..BLOCKS));
        check_eq!(area.used(), BLOCKS);
        check_eq!(take(&mut area, 1), Err(AllocError::Full));
        area.free(list.blocks);
        check_eq!(area.used(), 0);
    });
}

fn describes_neighbours_as_one_run() {
    with_area(64, |mut area| {
        let lists = [0, 1, 2].map(|_| take(&mut area, 4 * BLOCK).unwrap_or_default());
        area.free(lists[0].blocks);
        area.free(lists[2].blocks);
        // Four blocks before the hole's end, three behind it, the last one not full.
        let list = take(&mut area, 6 * BLOCK + 100).unwrap_or_default();
        check_eq!(list.runs, 2);
        let mut runs = area.runs(&list);
        check_eq!(runs.next(), Some((0, 4 * BLOCK)));
        check_eq!(runs.next(), Some((8, 2 * BLOCK + 100)));
        check_eq!(runs.next(), None);
    });
}

fn takes_nothing_when_a_page_is_refused() {
    with_area(64, |mut area| {
        let mut left = 5;
        let result = area.allocate(8 * BLOCK, |_, _| {
            left -= 1;
            if left == 0 {
                Err(NoMemory)
            } else {
                Ok(())
            }
        });
        check_eq!(result, Err(AllocError::NoMemory));
        check_eq!(area.used(), 0);
        check!(take(&mut area, 64 * BLOCK).is_ok());
    });
}

fn names_what_is_free() {
    with_area(1_000, |mut area| {
        let lists = [0, 1, 2].map(|_| take(&mut area, 100 * BLOCK).unwrap_or_default());
        area.free(lists[1].blocks);
        let mut runs = area.free_runs();
        check_eq!(runs.next(), Some(100..200));
        // Blocks that were never used have no memory to give back.
        check!(runs.all(|run| run.start >= 300));
    });
}

suite!(tcmu_data_area:
    hands_out_every_block_once,
    describes_neighbours_as_one_run,
    takes_nothing_when_a_page_is_refused,
    names_what_is_free,
);
