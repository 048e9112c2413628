// SPDX-License-Identifier: GPL-2.0

//! Words of the shared memory, byte for byte as the C structures have them.

use crate::logic::uapi::*;

/// Bytes of a word as user space sees them.
fn bytes(word: u64) -> [u8; 8] {
    word.to_ne_bytes()
}

/// The bytes of a 32-bit number in memory order.
fn int(value: u32) -> [u8; 4] {
    value.to_ne_bytes()
}

#[test]
fn entry_header() {
    let word = bytes(header(EntryKind::Command, 0x120, 0x3456));
    assert_eq!(word[..4], int(0x121));
    assert_eq!(word[4..6], 0x3456u16.to_ne_bytes());
    assert_eq!(word[6..], [0, 0]);
    let word = bytes(header(EntryKind::Tmr, 40, 0));
    assert_eq!((&word[..4], &word[4..]), (&int(42)[..], &[0; 4][..]));
    let word = bytes(header(EntryKind::Pad, 0x00ff_fff8, 0));
    assert_eq!(word[..4], int(0x00ff_fff8));
}

#[test]
#[cfg(target_endian = "little")]
fn entry_header_on_little_endian_machines() {
    let word = bytes(header(EntryKind::Command, 120, 7));
    assert_eq!(word, [121, 0, 0, 0, 7, 0, 0, 0]);
    assert_eq!(bytes(pair(3, 0x0102)), [3, 0, 0, 0, 2, 1, 0, 0]);
    assert_eq!(bytes(quad([1, 2, 3, 0x0405])), [1, 0, 2, 0, 3, 0, 5, 4]);
    assert_eq!(bytes(tmr_word(128, 0x0201)), [128, 0, 0, 0, 1, 2, 0, 0]);
}

#[test]
fn fields_are_in_memory_order() {
    let word = bytes(pair(0xaabb_ccdd, 0x1122_3344));
    assert_eq!(word[..4], int(0xaabb_ccdd));
    assert_eq!(word[4..], int(0x1122_3344));
    let word = bytes(quad([0x0102, 0x0304, 0x0506, 0x0708]));
    for (nth, id) in [0x0102u16, 0x0304, 0x0506, 0x0708].into_iter().enumerate() {
        assert_eq!(word[2 * nth..2 * nth + 2], id.to_ne_bytes());
    }
    let word = bytes(tmr_word(5, 0x0a0b_0c0d));
    assert_eq!(word[..4], [5, 0, 0, 0]);
    assert_eq!(word[4..], int(0x0a0b_0c0d));
}

#[test]
fn completion_header() {
    for uflags in 0..=u8::MAX {
        let [id0, id1] = 0xfedcu16.to_ne_bytes();
        // Length, operation and kflags are user space's to spoil: they are not looked at.
        let word = u64::from_ne_bytes([0xff, 0xee, 0xdd, 0xcc, id0, id1, 0xaa, uflags]);
        let read = CompletionHeader::from_word(word);
        assert_eq!(
            read,
            CompletionHeader {
                id: 0xfedc,
                unknown_op: uflags & 1 != 0,
                read_len: uflags & 2 != 0,
                keep_buf: uflags & 4 != 0,
            }
        );
    }
}

#[test]
fn response_word() {
    let [a, b, c, d] = int(0xdead_beef);
    let word = u64::from_ne_bytes([0x28, 1, 2, 3, a, b, c, d]);
    assert_eq!(response(word), (0x28, 0xdead_beef));
}

#[test]
fn sizes_are_those_of_the_header() {
    assert_eq!(RING_OFFSET, 128);
    assert_eq!(ALIGN, 8);
    assert_eq!(CMD_ENTRY_SIZE, 112);
    assert_eq!((IOV_OFFSET, IOV_SIZE), (48, 16));
    assert_eq!((RESPONSE_OFFSET, SENSE_OFFSET), (8, 16));
    assert_eq!(TMR_IDS_OFFSET, 32);
    for (kind, number) in super::rig::KINDS {
        assert_eq!(kind as u8, number);
    }
}
