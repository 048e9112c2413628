// SPDX-License-Identifier: GPL-2.0

//! The data area: lowest block first, all or nothing.

use super::memory::{refuse, TestMemory};
use crate::logic::alloc::NoMemory;
use crate::logic::data_area::{AllocError, Allocation, DataArea};
use proptest::prelude::*;

fn area(blocks: u32, block_size: u32) -> DataArea<TestMemory> {
    refuse(0);
    DataArea::new(blocks, block_size).unwrap_or_else(|error| panic!("{error:?}"))
}

fn take(area: &mut DataArea<TestMemory>, length: u32) -> Allocation {
    area.allocate(length, |_, _| Ok(()))
        .unwrap_or_else(|error| panic!("{error:?}"))
}

fn blocks(area: &DataArea<TestMemory>, list: Allocation) -> Vec<u32> {
    area.iter(list.blocks).collect()
}

#[test]
fn lowest_block_comes_first() {
    let mut area = area(200, 4096);
    let first = take(&mut area, 3 * 4096);
    let second = take(&mut area, 1);
    let third = take(&mut area, 70 * 4096);
    assert_eq!(blocks(&area, first), [0, 1, 2]);
    assert_eq!(blocks(&area, second), [3]);
    assert_eq!(blocks(&area, third), (4..74).collect::<Vec<_>>());
    area.free(first.blocks);
    let fourth = take(&mut area, 2 * 4096);
    assert_eq!(blocks(&area, fourth), [0, 1]);
    area.free(second.blocks);
    let fifth = take(&mut area, 3 * 4096);
    assert_eq!(blocks(&area, fifth), [2, 3, 74]);
    // Lists that were made earlier have not changed.
    assert_eq!(blocks(&area, third), (4..74).collect::<Vec<_>>());
}

#[test]
fn no_data_needs_no_block() {
    let mut area = area(1, 4096);
    let list = take(&mut area, 0);
    assert_eq!(list, Allocation::default());
    assert_eq!(blocks(&area, list), []);
    assert_eq!(area.runs(&list).count(), 0);
    area.free(list.blocks);
    assert_eq!(area.blocks_for(0), 0);
    assert_eq!(area.blocks_for(1), 1);
    assert_eq!(area.blocks_for(4096), 1);
    assert_eq!(area.blocks_for(4097), 2);
    assert_eq!(area.blocks_for(u32::MAX), 1 << 20);
}

#[test]
fn full_area_changes_nothing() {
    let mut area = area(3, 10);
    let list = take(&mut area, 15);
    let mut asked = 0;
    let result = area.allocate(11, |_, _| {
        asked += 1;
        Ok(())
    });
    assert_eq!(result, Err(AllocError::Full));
    assert_eq!(asked, 0, "pages were allocated for nothing");
    assert_eq!(
        area.allocate(u32::MAX, |_, _| Ok(())),
        Err(AllocError::Full)
    );
    let last = take(&mut area, 10);
    assert_eq!(blocks(&area, last), [2]);
    assert_eq!(blocks(&area, list), [0, 1]);
}

#[test]
fn refused_page_gives_everything_back() {
    for fails in 0..4 {
        let mut area = area(6, 10);
        let held = take(&mut area, 20);
        let mut asked = Vec::new();
        let result = area.allocate(35, |block, bytes| {
            asked.push((block, bytes));
            if asked.len() > fails {
                Err(NoMemory)
            } else {
                Ok(())
            }
        });
        assert_eq!(result, Err(AllocError::NoMemory));
        assert_eq!(asked, [(2, 10), (3, 10), (4, 10), (5, 5)][..=fails]);
        assert_eq!(blocks(&area, held), [0, 1]);
        let all = take(&mut area, 40);
        assert_eq!(blocks(&area, all), [2, 3, 4, 5]);
    }
}

#[test]
fn refused_book_keeping_gives_everything_back() {
    refuse(1);
    assert_eq!(DataArea::<TestMemory>::new(64, 1).err(), Some(NoMemory));
    let mut area = area(480, 1);
    let held = take(&mut area, 60);
    // Blocks 60 to 63 have their place already, the array grows for block 64.
    refuse(1);
    assert_eq!(area.allocate(10, |_, _| Ok(())), Err(AllocError::NoMemory));
    refuse(0);
    let list = take(&mut area, 10);
    assert_eq!(blocks(&area, list), (60..70).collect::<Vec<_>>());
    assert_eq!(blocks(&area, held), (0..60).collect::<Vec<_>>());
}

#[test]
fn consecutive_blocks_are_one_run() {
    let mut area = area(10, 10);
    let lists: Vec<_> = (0..10).map(|_| take(&mut area, 10)).collect();
    for block in [1, 2, 3, 5, 8, 9] {
        area.free(lists[block].blocks);
    }
    let list = take(&mut area, 53);
    assert_eq!(blocks(&area, list), [1, 2, 3, 5, 8, 9]);
    let runs: Vec<_> = area.runs(&list).collect();
    assert_eq!(runs, [(1, 30), (5, 10), (8, 13)]);
    assert_eq!((list.runs, list.single_run()), (3, None));
    area.free(list.blocks);
    let list = take(&mut area, 25);
    assert_eq!(list.single_run(), Some((1, 25)));
}

proptest! {
    #[test]
    fn blocks_have_one_owner(
        count in 1..150u32,
        block_size in prop::sample::select(&[1u32, 7, 4096][..]),
        steps in prop::collection::vec((any::<bool>(), 0..40u32, any::<usize>(), 0..80usize), 1..80),
    ) {
        let mut area = area(count, block_size);
        let mut owner = vec![None; count as usize];
        let mut lists: Vec<(usize, u32, Allocation, Vec<u32>)> = Vec::new();
        for (name, (is_allocation, wanted, pick, fails)) in steps.into_iter().enumerate() {
            if is_allocation {
                // The last block is used in part.
                let length = (wanted * block_size).saturating_sub(wanted % block_size);
                let needed = length.div_ceil(block_size) as usize;
                prop_assert_eq!(area.blocks_for(length) as usize, needed);
                let free: Vec<u32> = (0..count).filter(|&at| owner[at as usize].is_none()).collect();
                let mut asked = 0;
                let result = area.allocate(length, |_, _| {
                    asked += 1;
                    if asked > fails { Err(NoMemory) } else { Ok(()) }
                });
                if needed > free.len() {
                    prop_assert_eq!(result, Err(AllocError::Full));
                } else if needed > fails {
                    prop_assert_eq!(result, Err(AllocError::NoMemory));
                } else if let Ok(list) = result {
                    let expected = free[..needed].to_vec();
                    for &block in &expected {
                        owner[block as usize] = Some(name);
                    }
                    lists.push((name, length, list, expected));
                } else {
                    prop_assert!(false, "{:?}", result);
                }
            } else if !lists.is_empty() {
                let (_, _, list, old) = lists.swap_remove(pick % lists.len());
                area.free(list.blocks);
                for block in old {
                    owner[block as usize] = None;
                }
            }
            for (_, length, list, expected) in &lists {
                prop_assert_eq!(&blocks(&area, *list), expected);
                let runs: Vec<_> = area.runs(list).collect();
                prop_assert_eq!((list.length, list.runs as usize), (*length, runs.len()));
                if let [run] = runs[..] {
                    prop_assert_eq!(list.single_run(), Some(run));
                } else {
                    prop_assert_eq!(list.single_run(), None);
                }
                let sum: u32 = runs.iter().map(|run| run.1).sum();
                prop_assert_eq!(sum, *length);
                let spread = runs.iter().flat_map(|&(first, bytes)| {
                    first..first + bytes.div_ceil(block_size)
                });
                prop_assert_eq!(&spread.collect::<Vec<_>>(), expected);
                for pair in runs.windows(2) {
                    prop_assert!(pair[0].0 + pair[0].1 / block_size < pair[1].0, "not merged");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn free_runs_are_the_free_blocks(
        lengths in prop::collection::vec(1..9u32, 1..60),
        freed in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let mut area = area(480, 1);
        let mut lists: Vec<_> = lengths.iter().map(|&length| take(&mut area, length)).collect();
        let mut free = vec![false; lengths.iter().sum::<u32>() as usize];
        for index in freed {
            if lists.is_empty() {
                break;
            }
            let list = lists.swap_remove(index.index(lists.len()));
            for block in area.iter(list.blocks) {
                free[block as usize] = true;
            }
            area.free(list.blocks);
        }
        let mut found = vec![false; free.len()];
        let mut end = None;
        for run in area.free_runs() {
            prop_assert!(!run.is_empty());
            prop_assert!(end.is_none_or(|end| end < run.start), "two runs that touch");
            end = Some(run.end);
            for block in run {
                if let Some(found) = found.get_mut(block as usize) {
                    *found = true;
                } else {
                    // Never allocated: book-keeping has grown ahead of the need.
                    prop_assert!(block < 480);
                }
            }
        }
        prop_assert_eq!(found, free);
    }
}
