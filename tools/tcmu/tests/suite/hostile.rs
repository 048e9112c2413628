// SPDX-License-Identifier: GPL-2.0
//! The ring when the other side breaks the contract: errors, no panic, nothing outside the region.

use proptest::prelude::*;
use tcmu::data::DataBuffer;
use tcmu::ring::{Entry, Response, Ring, RingError};
use tcmu::shm::SharedMemory;
use tcmu::uapi;

use crate::kernel::{Heap, Kernel};

const CMDR_SIZE: usize = 1024;
const DATA_OFF: usize = uapi::MAILBOX_SIZE + CMDR_SIZE;
const INQUIRY: [u8; 6] = [0x12, 0, 0, 0, 36, 0];

/// A kernel with one command on the ring that nobody has read.
fn one_command() -> Kernel {
    let mut kernel = Kernel::new(CMDR_SIZE, 16);
    kernel.submit(&INQUIRY, &[], 36).unwrap();
    kernel
}

fn read_after(change: impl FnOnce(&Heap)) -> Result<Option<Entry>, RingError> {
    let kernel = one_command();
    let mut ring = Ring::attach(kernel.mem.clone()).unwrap();
    change(&kernel.mem);
    let result = ring.next_entry();
    if result.is_err() {
        assert_eq!(ring.next_entry(), result, "an error does not go away");
        assert_eq!(ring.outstanding(), 0);
        assert!(!ring.take_kick(), "nothing is given back");
    }
    result
}

fn assert_bad(what: &str, change: impl FnOnce(&Heap)) {
    match read_after(change) {
        Err(RingError::Entry { offset: 0, .. } | RingError::Access(_)) => (),
        other => panic!("{what}: {other:?}"),
    }
}

/// Offset of a field of the first entry.
fn field(offset: usize) -> usize {
    uapi::MAILBOX_SIZE + offset
}

#[test]
fn the_unchanged_command_is_fine() {
    assert!(matches!(read_after(|_| ()), Ok(Some(Entry::Command(_)))));
}

#[test]
fn lengths_and_kinds_are_checked() {
    for op in [0u32, 1, 2] {
        // Nothing, less than the least, past the head, past the end, and the largest there is.
        for len in [0u32, 8, 24, 104, 128, 1024, 4096, !7] {
            if op == 0 && (8..=120).contains(&len) || op == 2 && (32..=120).contains(&len) {
                continue;
            }
            let what = format!("kind {op} length {len}");
            assert_bad(&what, |mem| mem.put(field(0), (op | len).to_ne_bytes()));
        }
    }
    for op in 3u32..8 {
        assert_bad(&format!("kind {op}"), |mem| {
            mem.put(field(0), (op | 120).to_ne_bytes())
        });
    }
}

#[test]
fn command_fields_are_checked() {
    for count in [5u32, 1000, u32::MAX] {
        for at in [
            uapi::REQ_IOV_CNT,
            uapi::REQ_IOV_BIDI_CNT,
            uapi::REQ_IOV_DIF_CNT,
        ] {
            assert_bad("too many vectors", |mem| {
                mem.put(field(at), count.to_ne_bytes())
            });
        }
    }
    let size = one_command().mem.size() as u64;
    for base in [
        0,
        128,
        DATA_OFF as u64 - 1,
        size - 1,
        size,
        u64::MAX - 10,
        u64::MAX,
    ] {
        assert_bad("base", |mem| {
            mem.put(field(uapi::REQ_IOV), base.to_ne_bytes())
        });
    }
    for len in [size, u64::MAX, u64::MAX - DATA_OFF as u64] {
        assert_bad("length", |mem| {
            mem.put(field(uapi::REQ_IOV + uapi::IOV_LEN), len.to_ne_bytes());
        });
    }
    for cdb_off in [0, 127, DATA_OFF as u64 - 1, DATA_OFF as u64, size, u64::MAX] {
        assert_bad("CDB", |mem| {
            mem.put(field(uapi::REQ_CDB_OFF), cdb_off.to_ne_bytes())
        });
    }
    assert_bad("id 0", |mem| mem.put(field(uapi::HDR_CMD_ID), [0, 0]));
}

#[test]
fn the_same_data_twice_is_not_more_than_the_region() {
    // Four vectors fit into the smallest entry; each names the whole data area.
    assert_bad("overlapping vectors", |mem| {
        mem.put(field(uapi::REQ_IOV_CNT), 4u32.to_ne_bytes());
        for n in 0..4 {
            let at = field(uapi::REQ_IOV + n * uapi::IOV_SIZE);
            mem.put(at, (DATA_OFF as u64).to_ne_bytes());
            mem.put(at + uapi::IOV_LEN, (16 * 256u64).to_ne_bytes());
        }
    });
}

#[test]
fn a_variable_cdb_stays_in_the_ring() {
    assert_bad("additional length", |mem| {
        let at = DATA_OFF as u64 - 16;
        mem.put(at as usize, [0x7f, 0, 0, 0, 0, 0, 0, 255]);
        mem.put(field(uapi::REQ_CDB_OFF), at.to_ne_bytes());
    });
}

#[test]
fn an_id_cannot_be_outstanding_twice() {
    let mut kernel = one_command();
    kernel.submit(&INQUIRY, &[], 0).unwrap();
    let mut ring = Ring::attach(kernel.mem.clone()).unwrap();
    let Ok(Some(Entry::Command(first))) = ring.next_entry() else {
        panic!("no command");
    };
    kernel
        .mem
        .put(kernel.at(120) + uapi::HDR_CMD_ID, first.id.to_ne_bytes());
    assert!(matches!(
        ring.next_entry(),
        Err(RingError::Entry { offset: 120, .. })
    ));
    // The first one is still answered.
    ring.complete(first.id, &Response::status(0)).unwrap();
}

#[test]
fn tmr_counts_are_checked() {
    for count in [5u32, 1 << 31, u32::MAX] {
        let mut kernel = Kernel::new(CMDR_SIZE, 1);
        assert!(kernel.tmr(1, &[1, 2, 3]));
        let mut ring = Ring::attach(kernel.mem.clone()).unwrap();
        kernel
            .mem
            .put(field(uapi::TMR_CMD_CNT), count.to_ne_bytes());
        assert!(
            matches!(ring.next_entry(), Err(RingError::Entry { .. })),
            "{count}"
        );
    }
}

#[test]
fn slot_lengths_are_remembered() {
    let kernel = &mut one_command();
    let mut ring = Ring::attach(kernel.mem.clone()).unwrap();
    let Ok(Some(Entry::Command(command))) = ring.next_entry() else {
        panic!("no command");
    };
    kernel.mem.put(field(0), (8u32 | 1).to_ne_bytes());
    ring.complete(command.id, &Response::status(0)).unwrap();
    assert_eq!(
        kernel.completions().len(),
        1,
        "the tail moved by the length that was read"
    );
}

#[test]
fn positions_are_checked() {
    for head in [4u32, 1024, 1028, u32::MAX] {
        let result = read_after(|mem| mem.put(uapi::MB_CMD_HEAD, head.to_ne_bytes()));
        assert!(
            matches!(result, Err(RingError::Position { what: "head", .. })),
            "{head}: {result:?}"
        );
    }
    for tail in [1u32, 1024, u32::MAX] {
        let kernel = one_command();
        kernel.mem.put(uapi::MB_CMD_TAIL, tail.to_ne_bytes());
        let result = Ring::attach(kernel.mem).map(|_| ());
        assert!(
            matches!(result, Err(RingError::Position { what: "tail", .. })),
            "{tail}: {result:?}"
        );
    }
}

#[test]
fn mailboxes_are_checked() {
    let refused = |change: &dyn Fn(&Heap)| {
        let kernel = one_command();
        change(&kernel.mem);
        matches!(Ring::attach(kernel.mem), Err(RingError::Mailbox(_)))
    };
    assert!(!refused(&|_| ()));
    for version in [0u16, 1, 3] {
        assert!(refused(
            &|mem| mem.put(uapi::MB_VERSION, version.to_ne_bytes())
        ));
    }
    assert!(refused(&|mem| mem.put(uapi::MB_FLAGS, [0xe, 0])));
    for cmdr_off in [0u32, 64, 129, 5000, u32::MAX] {
        assert!(
            refused(&|mem| mem.put(uapi::MB_CMDR_OFF, cmdr_off.to_ne_bytes())),
            "{cmdr_off}"
        );
    }
    for cmdr_size in [0u32, 8, 104, 1028, 1 << 20, u32::MAX - 7] {
        assert!(
            refused(&|mem| mem.put(uapi::MB_CMDR_SIZE, cmdr_size.to_ne_bytes())),
            "{cmdr_size}"
        );
    }
    for size in [0, 1, 64, 127] {
        assert!(Ring::attach(Heap::new(size)).is_err(), "{size}");
    }
}

/// Reads and answers everything, as a daemon would, until nothing or an error comes.
fn drain(mem: Heap) -> Result<(), TestCaseError> {
    let Ok(mut ring) = Ring::attach(mem.clone()) else {
        return Ok(());
    };
    // Every entry takes at least a header, so a correct reader ends.
    for _ in 0..=CMDR_SIZE / 8 {
        let Ok(Some(entry)) = ring.next_entry() else {
            return Ok(());
        };
        if let Entry::Command(command) = entry {
            prop_assert!(command.data_len() <= mem.size());
            for iov in command.iovs.iter().chain(&command.bidi_iovs) {
                prop_assert!(iov.base >= uapi::MAILBOX_SIZE && iov.base + iov.len <= mem.size());
            }
            let mut buffer = ring.buffer(&command.iovs);
            let zeros = vec![0; buffer.len()];
            prop_assert!(buffer.write(0, &zeros).is_ok());
            prop_assert!(ring.complete(command.id, &Response::status(0)).is_ok());
        }
    }
    prop_assert!(false, "the reader does not end");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A valid ring with a few bytes changed.
    #[test]
    fn corruption_is_survived(
        commands in prop::collection::vec(0usize..1000, 1..6),
        changes in prop::collection::vec((0..DATA_OFF, any::<u8>()), 1..12),
    ) {
        let mut kernel = Kernel::new(CMDR_SIZE, 16);
        for (n, len) in commands.into_iter().enumerate() {
            if n % 3 == 2 {
                kernel.tmr(1, &[1, 2]);
            }
            kernel.submit(&INQUIRY, &[], len);
        }
        for (offset, value) in changes {
            kernel.mem.put(offset, [value]);
        }
        drain(kernel.mem)?;
    }

    /// A valid mailbox before noise, made of words that look like entries often enough to get somewhere.
    #[test]
    fn noise_is_survived(
        head in 0u32..1100,
        tail in 0u32..1100,
        words in prop::collection::vec(
            prop_oneof![
                (0u32..300).prop_map(|len| (len * 8) | 1),
                (0u32..300).prop_map(|len| (len * 8) | 2),
                (0u32..8).prop_map(|count| count),
                (0u32..6000).prop_map(|offset| offset),
                any::<u32>(),
            ],
            CMDR_SIZE / 4,
        ),
    ) {
        let kernel = Kernel::new(CMDR_SIZE, 16);
        for (n, word) in words.iter().enumerate() {
            kernel.mem.put(field(n * 4), word.to_ne_bytes());
        }
        kernel.mem.put(uapi::MB_CMD_HEAD, (head / 8 * 8).to_ne_bytes());
        kernel.mem.put(uapi::MB_CMD_TAIL, (tail / 8 * 8).to_ne_bytes());
        drain(kernel.mem)?;
    }

    /// A mailbox of noise.
    #[test]
    fn any_mailbox_is_survived(mailbox in prop::array::uniform32(any::<u8>())) {
        let kernel = one_command();
        kernel.mem.put(4, mailbox);
        drain(kernel.mem)?;
    }
}
