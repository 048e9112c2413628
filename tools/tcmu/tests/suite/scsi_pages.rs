// SPDX-License-Identifier: GPL-2.0
//! INQUIRY, mode pages, sense data, and commands that the disk does not know.

use tcmu::data::DataBuffer;
use tcmu::ring::Response;
use tcmu::scsi::backing::Ram;
use tcmu::scsi::{opcode_name, Disk, CHECK_CONDITION, GOOD};

/// A disk of 2048 blocks.
pub fn disk() -> Disk {
    Disk::new(Box::new(Ram::new(1 << 20)), 512, "serial-1").unwrap()
}

/// Sense key, additional sense code and its qualifier of a response.
pub fn sense_of(response: &Response) -> (u8, u8, u8) {
    assert_eq!(
        (response.status, response.sense[0]),
        (CHECK_CONDITION, 0x70)
    );
    assert_eq!(response.sense.len(), 18);
    (response.sense[2], response.sense[12], response.sense[13])
}

pub const INVALID_OPCODE: (u8, u8, u8) = (5, 0x20, 0);
pub const LBA_OUT_OF_RANGE: (u8, u8, u8) = (5, 0x21, 0);
pub const INVALID_FIELD: (u8, u8, u8) = (5, 0x24, 0);
pub const INVALID_PARAMETER: (u8, u8, u8) = (5, 0x26, 0);
pub const PARAMETER_LENGTH: (u8, u8, u8) = (5, 0x1a, 0);

/// The Data-In of a command with a buffer of `len` bytes that was full of something else.
fn data_in(disk: &mut Disk, cdb: &[u8], len: usize) -> Vec<u8> {
    let mut data = vec![0xdd; len];
    let response = disk.execute(cdb, &mut data);
    assert_eq!(response.status, GOOD, "{cdb:02x?}: {:02x?}", response.sense);
    let valid = response.read_len.map_or(len, |read_len| read_len as usize);
    assert!(
        data[valid..].iter().all(|byte| *byte == 0),
        "old data behind the answer"
    );
    data.truncate(valid);
    data
}

fn refused(disk: &mut Disk, cdb: &[u8], mut data: Vec<u8>) -> (u8, u8, u8) {
    sense_of(&disk.execute(cdb, &mut data))
}

#[test]
fn standard_inquiry() {
    let inquiry = data_in(&mut disk(), &[0x12, 0, 0, 0, 255, 0], 255);
    assert_eq!(inquiry.len(), 36);
    assert_eq!(inquiry[..8], [0, 0, 5, 2, 31, 0, 0, 2]);
    assert_eq!(&inquiry[8..32], b"LIO-RUSTtcmud disk      ");
}

#[test]
fn answers_are_cut_to_the_allocation_length_and_to_the_buffer() {
    let mut disk = disk();
    assert_eq!(data_in(&mut disk, &[0x12, 0, 0, 0, 5, 0], 36).len(), 5);
    assert_eq!(data_in(&mut disk, &[0x12, 0, 0, 0, 36, 0], 7).len(), 7);
    assert_eq!(data_in(&mut disk, &[0x12, 0, 0, 0, 36, 0], 0).len(), 0);
    let mut data = vec![0xdd; 36];
    let response = disk.execute(&[0x12, 0, 0, 0, 0, 0], &mut data);
    assert_eq!(
        (response.status, response.read_len),
        (GOOD, None),
        "0 would mean no length"
    );
    assert_eq!(data, [0; 36]);
}

#[test]
fn vital_product_data() {
    let mut disk = disk();
    let mut page = |number: u8| data_in(&mut disk, &[0x12, 1, number, 0, 255, 0], 255);
    let supported = page(0);
    assert_eq!(supported, [0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
    for number in &supported[4..] {
        let bytes = page(*number);
        assert_eq!(bytes[..2], [0, *number]);
        let len = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        assert_eq!(bytes.len(), 4 + len, "page {number:#x}");
    }
    assert_eq!(&page(0x80)[4..], b"serial-1");

    let id = page(0x83);
    assert_eq!(id[4..8], [0x02, 0x01, 0, 16]);
    assert_eq!(&id[8..24], b"LIO-RUSTserial-1");
    assert_eq!(id[24..28], [0x01, 0x03, 0, 8]);
    assert_eq!(
        (id.len(), id[28] >> 4),
        (36, 3),
        "locally assigned NAA name"
    );

    let limits = page(0xb0);
    assert_eq!((limits.len(), limits[4]), (64, 1));
    assert_eq!(page(0xb1)[4..6], [0, 1]);
    assert_eq!(page(0xb2)[5..7], [0xe4, 2]);
}

#[test]
fn disks_with_other_serial_numbers_have_other_names() {
    let name = |serial: &str| {
        let mut disk = Disk::new(Box::new(Ram::new(512)), 512, serial).unwrap();
        let page = data_in(&mut disk, &[0x12, 1, 0x83, 0, 255, 0], 255);
        page[page.len() - 8..].to_vec()
    };
    assert_ne!(name("a"), name("b"));
    assert_eq!(name("a"), name("a"));
    // Longer than a page can say, and not printable.
    assert_eq!(name(&"ü".repeat(1000)).len(), 8);
}

#[test]
fn inquiry_of_unknown_pages_is_refused() {
    let mut disk = disk();
    for cdb in [
        [0x12, 1, 0x81, 0, 255, 0],
        [0x12, 0, 0x80, 0, 255, 0],
        [0x12, 1, 0xff, 0, 255, 0],
    ] {
        assert_eq!(refused(&mut disk, &cdb, vec![0; 255]), INVALID_FIELD);
    }
}

#[test]
fn request_sense_has_nothing_to_report() {
    let mut disk = disk();
    let fixed = data_in(&mut disk, &[3, 0, 0, 0, 252, 0], 252);
    assert_eq!(
        (fixed.len(), fixed[0], fixed[2], fixed[7]),
        (18, 0x70, 0, 10)
    );
    assert_eq!(
        data_in(&mut disk, &[3, 1, 0, 0, 252, 0], 252),
        [0x72, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn commands_without_data_succeed() {
    let mut disk = disk();
    for cdb in [[0x00; 6], [0x1b, 0, 0, 0, 1, 0], [0x1b, 0, 0, 0, 0, 0]] {
        assert_eq!(disk.execute(&cdb, &mut Vec::new()), Response::status(GOOD));
    }
}

#[test]
fn every_other_opcode_is_refused() {
    let mut disk = disk();
    let mut known = 0;
    for code in 0..=255 {
        let mut data = vec![0; 4096];
        let response = disk.execute(&[code; 16], &mut data);
        if opcode_name(code).is_some() {
            known += 1;
            assert!(
                response.status == GOOD || sense_of(&response) != INVALID_OPCODE,
                "{code:#x}"
            );
        } else {
            assert_eq!(sense_of(&response), INVALID_OPCODE, "{code:#x}");
        }
    }
    assert_eq!(known, 25);
}

#[test]
fn empty_and_short_cdbs_are_survived() {
    let mut disk = disk();
    assert_eq!(
        disk.execute(&[], &mut Vec::new()).status,
        GOOD,
        "as if zeros followed"
    );
    for code in 0..=255 {
        disk.execute(&[code], &mut vec![0; 16]);
    }
}

const CACHING: u8 = 0x08;
const CONTROL: u8 = 0x0a;

#[test]
fn mode_sense_6_has_header_descriptor_and_pages() {
    let mut disk = disk();
    let all = data_in(&mut disk, &[0x1a, 0, 0x3f, 0, 255, 0], 255);
    assert_eq!(all.len(), 4 + 8 + 20 + 12);
    assert_eq!(all[..4], [43, 0, 0x10, 8]);
    assert_eq!(
        all[4..12],
        [0, 0, 8, 0, 0, 0, 2, 0],
        "2048 blocks of 512 bytes"
    );
    assert_eq!(all[12..15], [CACHING, 18, 0x04]);
    assert_eq!(all[32..35], [CONTROL, 10, 0x02]);
    let without = data_in(&mut disk, &[0x1a, 8, CONTROL, 0, 255, 0], 255);
    assert_eq!((without.len(), without[0], without[3]), (16, 15, 0));
}

#[test]
fn mode_sense_10_has_the_longer_header() {
    let caching = data_in(&mut disk(), &[0x5a, 0, CACHING, 0, 0, 0, 0, 1, 0, 0], 256);
    assert_eq!(caching.len(), 8 + 8 + 20);
    assert_eq!(caching[..8], [0, 34, 0, 0x10, 0, 0, 0, 8]);
    assert_eq!(caching[16..19], [CACHING, 18, 4]);
}

#[test]
fn mode_sense_tells_what_can_be_changed() {
    let mut disk = disk();
    let changeable = data_in(&mut disk, &[0x1a, 8, 0x40 | 0x3f, 0, 255, 0], 255);
    assert_eq!(changeable[4..7], [CACHING, 18, 4]);
    assert_eq!(
        changeable[24..36],
        [CONTROL, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    let saved = refused(&mut disk, &[0x1a, 8, 0xc0 | 0x3f, 0, 255, 0], vec![0; 255]);
    assert_eq!(saved, (5, 0x39, 0));
    for (page, subpage) in [(0x01, 0), (CACHING, 1), (0x3f, 1)] {
        let cdb = [0x1a, 8, page, subpage, 255, 0];
        assert_eq!(refused(&mut disk, &cdb, vec![0; 255]), INVALID_FIELD);
    }
    assert!(!data_in(&mut disk, &[0x1a, 8, 0x3f, 0xff, 255, 0], 255).is_empty());
}

/// WCE as MODE SENSE reports it.
fn write_cache(disk: &mut Disk) -> bool {
    data_in(disk, &[0x1a, 8, CACHING, 0, 255, 0], 255)[6] & 4 != 0
}

fn caching_page(byte_2: u8) -> Vec<u8> {
    let mut page = vec![0; 20];
    page[..3].copy_from_slice(&[CACHING, 18, byte_2]);
    page
}

fn mode_select_6(disk: &mut Disk, list: Vec<u8>) -> Response {
    let mut data = list;
    let len = data.len() as u8;
    disk.execute(&[0x15, 0x10, 0, 0, len, 0], &mut data)
}

#[test]
fn mode_select_changes_the_write_cache() {
    let mut disk = disk();
    assert!(write_cache(&mut disk));
    let list = [vec![0; 4], caching_page(0)].concat();
    assert_eq!(mode_select_6(&mut disk, list), Response::status(GOOD));
    assert!(!write_cache(&mut disk));
    // With a block descriptor and the longer header.
    let header = vec![0, 0, 0, 0, 0, 0, 0, 8];
    let descriptor = vec![0, 0, 8, 0, 0, 0, 2, 0];
    let mut list = [header, descriptor, caching_page(4)].concat();
    let cdb = [0x55, 0x10, 0, 0, 0, 0, 0, 0, list.len() as u8, 0];
    assert_eq!(disk.execute(&cdb, &mut list), Response::status(GOOD));
    assert!(write_cache(&mut disk));
    assert_eq!(mode_select_6(&mut disk, Vec::new()), Response::status(GOOD));
}

#[test]
fn mode_select_changes_nothing_else() {
    let mut disk = disk();
    let header = vec![0; 4];
    let mut control = vec![CONTROL, 10, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let same = [header.clone(), control.clone()].concat();
    assert_eq!(
        mode_select_6(&mut disk, same).status,
        GOOD,
        "what it is already"
    );
    control[2] = 0;
    let with_descriptor = |descriptor: [u8; 8]| [vec![0, 0, 0, 8], descriptor.to_vec()].concat();
    let cases = [
        (
            [header.clone(), caching_page(0), control].concat(),
            INVALID_PARAMETER,
        ),
        (
            [header.clone(), caching_page(1)].concat(),
            INVALID_PARAMETER,
        ),
        (
            [header.clone(), vec![0x01, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
            INVALID_PARAMETER,
        ),
        ([header.clone(), vec![0x48; 20]].concat(), INVALID_PARAMETER),
        (
            [header.clone(), vec![CACHING, 17]].concat(),
            PARAMETER_LENGTH,
        ),
        ([header.clone(), vec![CACHING]].concat(), PARAMETER_LENGTH),
        (with_descriptor([0, 0, 8, 0, 0, 0, 4, 0]), INVALID_PARAMETER),
        (vec![0, 0, 0, 8, 1], PARAMETER_LENGTH),
        (vec![0; 3], PARAMETER_LENGTH),
    ];
    for (list, expected) in cases {
        let response = mode_select_6(&mut disk, list.clone());
        assert_eq!(sense_of(&response), expected, "{list:02x?}");
        assert!(write_cache(&mut disk), "nothing of a refused list counts");
    }
    // Neither a page format nor saving is known, and the list has to have come.
    for cdb in [
        [0x15, 0, 0, 0, 4, 0],
        [0x15, 0x11, 0, 0, 4, 0],
        [0x15, 0x10, 0, 0, 5, 0],
    ] {
        assert_eq!(refused(&mut disk, &cdb, vec![0; 4]), INVALID_FIELD);
    }
}

#[test]
fn geometry_is_checked() {
    let new = |size, block_size| Disk::new(Box::new(Ram::new(size)), block_size, "s").is_ok();
    assert!(new(512, 512) && new(1 << 20, 4096) && new(65536, 65536));
    assert!(
        !new(511, 512)
            && !new(4096, 0)
            && !new(4096, 256)
            && !new(4096, 513)
            && !new(1 << 20, 131072)
    );
    let mut empty = Vec::new();
    assert!(DataBuffer::is_empty(&empty) && empty.write(0, &[1]).is_err());
}
