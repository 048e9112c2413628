// SPDX-License-Identifier: GPL-2.0
//! Commands on blocks: every length of CDB, boundaries, failures of the backing.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use tcmu::ring::Response;
use tcmu::scsi::backing::Backing;
use tcmu::scsi::{Disk, GOOD};

use crate::scsi_pages::{
    disk, sense_of, INVALID_FIELD, INVALID_PARAMETER, LBA_OUT_OF_RANGE, PARAMETER_LENGTH,
};

/// READ or WRITE (or another command of the group of `code`) with its fields in place.
fn cdb(code: u8, lba: u64, blocks: u32) -> Vec<u8> {
    let mut cdb = vec![code];
    let lba_4 = (lba as u32).to_be_bytes();
    match code >> 5 {
        0 => cdb.extend([lba_4[1], lba_4[2], lba_4[3], blocks as u8, 0]),
        4 => {
            cdb.push(0);
            cdb.extend(lba.to_be_bytes());
            cdb.extend(blocks.to_be_bytes());
            cdb.extend([0, 0]);
        }
        5 => {
            cdb.push(0);
            cdb.extend(lba_4);
            cdb.extend(blocks.to_be_bytes());
            cdb.extend([0, 0]);
        }
        _ => {
            cdb.push(0);
            cdb.extend(lba_4);
            cdb.push(0);
            cdb.extend((blocks as u16).to_be_bytes());
            cdb.push(0);
        }
    }
    cdb
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 512 + seed) as u8).collect()
}

fn good(disk: &mut Disk, cdb: &[u8], data: &mut Vec<u8>) {
    let response = disk.execute(cdb, data);
    assert_eq!(response, Response::status(GOOD), "{cdb:02x?}");
}

fn refused(disk: &mut Disk, cdb: &[u8], mut data: Vec<u8>) -> (u8, u8, u8) {
    sense_of(&disk.execute(cdb, &mut data))
}

/// `blocks` blocks at `lba`.
fn content(disk: &mut Disk, lba: u64, blocks: u32) -> Vec<u8> {
    let mut data = vec![0xdd; blocks as usize * 512];
    good(disk, &cdb(0x88, lba, blocks), &mut data);
    data
}

const READS: [u8; 4] = [0x08, 0x28, 0xa8, 0x88];
const WRITES: [u8; 4] = [0x0a, 0x2a, 0xaa, 0x8a];

#[test]
fn what_is_written_is_read_with_every_length_of_cdb() {
    let mut disk = disk();
    for (n, write) in WRITES.into_iter().enumerate() {
        let written = pattern(3 * 512, n);
        let lba = 100 + n as u64;
        good(&mut disk, &cdb(write, lba, 3), &mut written.clone());
        for read in READS {
            let mut back = vec![0xdd; 3 * 512];
            good(&mut disk, &cdb(read, lba, 3), &mut back);
            assert_eq!(back, written, "{write:#x} {read:#x}");
        }
        assert_eq!(content(&mut disk, lba + 3, 1), [0; 512], "the block behind");
    }
    assert_eq!(content(&mut disk, 99, 1), [0; 512], "the block before");
}

#[test]
fn large_transfers_cross_the_bounce_buffer() {
    let mut disk = disk();
    let written = pattern(700 * 512, 5);
    good(&mut disk, &cdb(0x2a, 11, 700), &mut written.clone());
    assert_eq!(content(&mut disk, 11, 700), written);
}

#[test]
fn zero_blocks_are_256_in_six_bytes_and_none_elsewhere() {
    let mut disk = disk();
    let written = pattern(256 * 512, 1);
    good(&mut disk, &cdb(0x0a, 0, 0), &mut written.clone());
    assert_eq!(content(&mut disk, 0, 256), written);
    for code in [0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a] {
        good(&mut disk, &cdb(code, 5, 0), &mut Vec::new());
    }
}

#[test]
fn the_last_block_is_reached_and_not_passed() {
    let mut disk = disk();
    for code in READS.into_iter().chain(WRITES) {
        good(&mut disk, &cdb(code, 2047, 1), &mut vec![0; 512]);
        for (lba, blocks) in [(2047, 2), (2048, 1), (1_000_000, 1)] {
            let sense = refused(&mut disk, &cdb(code, lba, blocks), vec![0; 1024]);
            assert_eq!(sense, LBA_OUT_OF_RANGE, "{code:#x} {lba}+{blocks}");
        }
    }
    for code in [0x28, 0x88, 0x35, 0x91, 0x2f, 0x8f, 0x8a] {
        assert_eq!(
            refused(&mut disk, &cdb(code, 2049, 0), vec![]),
            LBA_OUT_OF_RANGE,
            "{code:#x}"
        );
    }
    for lba in [u64::MAX, u64::MAX - 1, 1 << 55] {
        assert_eq!(
            refused(&mut disk, &cdb(0x88, lba, 2), vec![0; 1024]),
            LBA_OUT_OF_RANGE
        );
    }
}

#[test]
fn protection_information_is_refused() {
    let mut disk = disk();
    for code in [0x28, 0x2a, 0xa8, 0xaa, 0x88, 0x8a, 0x2f, 0x41, 0x93] {
        let mut cdb = cdb(code, 0, 1);
        cdb[1] = 0x20;
        assert_eq!(
            refused(&mut disk, &cdb, vec![0; 512]),
            INVALID_FIELD,
            "{code:#x}"
        );
    }
}

#[test]
fn the_initiator_may_expect_more_or_less_than_it_asks_for() {
    let mut disk = disk();
    let written = pattern(1024, 9);
    good(&mut disk, &cdb(0x2a, 0, 2), &mut written.clone());
    let mut more = vec![0xdd; 2048];
    let response = disk.execute(&cdb(0x28, 0, 2), &mut more);
    assert_eq!((response.status, response.read_len), (GOOD, Some(1024)));
    assert_eq!(more, [written.clone(), vec![0; 1024]].concat());
    let mut less = vec![0xdd; 700];
    good(&mut disk, &cdb(0x28, 0, 2), &mut less);
    assert_eq!(less, written[..700]);
    // Blocks without data are not made up.
    assert_eq!(
        refused(&mut disk, &cdb(0x2a, 0, 2), vec![1; 1023]),
        INVALID_FIELD
    );
    assert_eq!(content(&mut disk, 0, 2), written);
}

#[test]
fn capacity() {
    let mut disk = disk();
    let mut data = vec![0; 8];
    good(&mut disk, &cdb(0x25, 0, 0), &mut data);
    assert_eq!(data, [0, 0, 7, 0xff, 0, 0, 2, 0]);
    assert_eq!(
        refused(&mut disk, &cdb(0x25, 1, 0), vec![0; 8]),
        INVALID_FIELD
    );
    let mut data = vec![0xdd; 32];
    let mut long = cdb(0x9e, 0, 32);
    long[1] = 0x10;
    good(&mut disk, &long, &mut data);
    assert_eq!(data[..12], [0, 0, 0, 0, 0, 0, 7, 0xff, 0, 0, 2, 0]);
    assert_eq!((data[14], &data[15..]), (0xc0, [0; 17].as_slice()));
    for action in [0, 0x11, 0x12] {
        long[1] = action;
        assert_eq!(refused(&mut disk, &long, vec![0; 32]), INVALID_FIELD);
    }
}

/// As large as `size` says without having the bytes.
#[derive(Debug)]
struct Huge {
    size: u64,
    fails: bool,
}

impl Huge {
    fn result(&self) -> io::Result<()> {
        if self.fails {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Backing for Huge {
    fn size(&self) -> u64 {
        self.size
    }
    fn read(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        self.result()
    }
    fn write(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        self.result()
    }
    fn zero(&mut self, _: u64, _: u64) -> io::Result<()> {
        self.result()
    }
    fn flush(&mut self) -> io::Result<()> {
        self.result()
    }
}

#[test]
fn a_capacity_beyond_32_bits_is_all_ones() {
    let huge = Huge {
        size: 512 << 33,
        fails: false,
    };
    let mut disk = Disk::new(Box::new(huge), 512, "s").unwrap();
    let mut data = vec![0; 8];
    good(&mut disk, &cdb(0x25, 0, 0), &mut data);
    assert_eq!(data[..4], [0xff; 4]);
    let mut data = vec![0; 12];
    good(&mut disk, &[0x1a, 0, 0x0a, 0, 12, 0], &mut data);
    assert_eq!(data[4..8], [0xff; 4]);
    good(&mut disk, &cdb(0x88, (1 << 33) - 1, 1), &mut vec![0; 512]);
}

#[test]
fn failures_of_the_backing_are_medium_errors() {
    let broken = Huge {
        size: 1 << 20,
        fails: true,
    };
    let mut disk = Disk::new(Box::new(broken), 512, "s").unwrap();
    let (read_error, write_error) = ((3, 0x11, 0), (3, 0x0c, 0));
    for code in [0x28, 0x2f] {
        assert_eq!(
            refused(&mut disk, &cdb(code, 0, 1), vec![0; 512]),
            read_error
        );
    }
    for code in [0x2a, 0x35, 0x91, 0x41, 0x93] {
        assert_eq!(
            refused(&mut disk, &cdb(code, 0, 1), vec![0; 512]),
            write_error
        );
    }
}

/// Counts flushes.
#[derive(Debug)]
struct Counting(Rc<Cell<u32>>);

impl Backing for Counting {
    fn size(&self) -> u64 {
        1 << 20
    }
    fn read(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Ok(())
    }
    fn write(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn zero(&mut self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

#[test]
fn writes_are_durable_when_the_initiator_relies_on_it() {
    let flushes = Rc::new(Cell::new(0));
    let mut disk = Disk::new(Box::new(Counting(Rc::clone(&flushes))), 512, "s").unwrap();
    let flushed_by = |disk: &mut Disk, cdb: &[u8]| {
        flushes.set(0);
        good(disk, cdb, &mut vec![0; 512]);
        flushes.get()
    };
    let mut forced = cdb(0x2a, 0, 1);
    forced[1] = 0x08;
    assert_eq!(
        flushed_by(&mut disk, &cdb(0x2a, 0, 1)),
        0,
        "may stay in the cache"
    );
    assert_eq!(flushed_by(&mut disk, &forced), 1, "FUA");
    for code in [0x35, 0x91] {
        assert_eq!(flushed_by(&mut disk, &cdb(code, 0, 0)), 1, "{code:#x}");
    }
    disk.set_write_cache(false);
    for code in WRITES {
        assert_eq!(flushed_by(&mut disk, &cdb(code, 0, 1)), 1, "no write cache");
    }
}

#[test]
fn verify_reads_or_compares() {
    let mut disk = disk();
    let written = pattern(600 * 512, 3);
    good(&mut disk, &cdb(0x2a, 7, 600), &mut written.clone());
    for code in [0x2f, 0x8f] {
        good(&mut disk, &cdb(code, 0, 2048), &mut Vec::new());
        let mut compare = cdb(code, 7, 600);
        compare[1] = 0x02;
        good(&mut disk, &compare, &mut written.clone());
        let mut other = written.clone();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(refused(&mut disk, &compare, other), (0xe, 0x1d, 0));
        assert_eq!(
            refused(&mut disk, &compare, vec![0; 512]),
            INVALID_FIELD,
            "too little data"
        );
        compare[1] = 0x06;
        assert_eq!(refused(&mut disk, &compare, written.clone()), INVALID_FIELD);
        assert_eq!(
            refused(&mut disk, &cdb(code, 2048, 1), Vec::new()),
            LBA_OUT_OF_RANGE
        );
    }
}

#[test]
fn write_same_repeats_one_block() {
    let mut disk = disk();
    let block = pattern(512, 8);
    for code in [0x41, 0x93] {
        good(&mut disk, &cdb(code, 4, 3), &mut block.clone());
        assert_eq!(content(&mut disk, 4, 3), block.repeat(3));
        good(&mut disk, &cdb(code, 5, 1), &mut vec![0; 512]);
        assert_eq!(
            content(&mut disk, 4, 2),
            [block.clone(), vec![0; 512]].concat()
        );
        assert_eq!(
            refused(&mut disk, &cdb(code, 2047, 2), block.clone()),
            LBA_OUT_OF_RANGE
        );
        assert_eq!(
            refused(&mut disk, &cdb(code, 0, 0), block.clone()),
            INVALID_FIELD
        );
        assert_eq!(
            refused(&mut disk, &cdb(code, 0, 1), vec![0; 511]),
            INVALID_FIELD
        );
    }
    let mut no_data = cdb(0x93, 4, 3);
    no_data[1] = 0x09;
    good(&mut disk, &no_data, &mut Vec::new());
    assert_eq!(content(&mut disk, 4, 3), [0; 1536]);
    assert_eq!(
        refused(&mut disk, &cdb(0x93, 0, (1 << 20) + 1), block),
        INVALID_FIELD
    );
}

fn unmap_list(extents: &[(u64, u32)]) -> Vec<u8> {
    let descriptors = extents.len() * 16;
    let mut list = vec![0; 8];
    list[..2].copy_from_slice(&(descriptors as u16 + 6).to_be_bytes());
    list[2..4].copy_from_slice(&(descriptors as u16).to_be_bytes());
    for (lba, blocks) in extents {
        list.extend(lba.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
    }
    list
}

fn unmap_cdb(len: usize) -> [u8; 10] {
    let len = (len as u16).to_be_bytes();
    [0x42, 0, 0, 0, 0, 0, 0, len[0], len[1], 0]
}

#[test]
fn unmapped_blocks_read_as_zeros() {
    let mut disk = disk();
    let written = pattern(10 * 512, 2);
    good(&mut disk, &cdb(0x2a, 0, 10), &mut written.clone());
    let mut list = unmap_list(&[(2, 3), (8, 0), (9, 1)]);
    good(&mut disk, &unmap_cdb(list.len()), &mut list);
    let mut expected = written;
    expected[2 * 512..5 * 512].fill(0);
    expected[9 * 512..].fill(0);
    assert_eq!(content(&mut disk, 0, 10), expected);
    good(&mut disk, &unmap_cdb(0), &mut Vec::new());
}

#[test]
fn unmap_is_all_or_nothing() {
    let mut disk = disk();
    let written = pattern(512, 4);
    good(&mut disk, &cdb(0x2a, 0, 1), &mut written.clone());
    let mut refused =
        |list: Vec<u8>, len: usize| sense_of(&disk.execute(&unmap_cdb(len), &mut list.clone()));
    let bad = unmap_list(&[(0, 1), (2048, 1)]);
    assert_eq!(refused(bad.clone(), bad.len()), LBA_OUT_OF_RANGE);
    let large = unmap_list(&[(0, 1), (0, (1 << 20) + 1)]);
    assert_eq!(refused(large.clone(), large.len()), INVALID_PARAMETER);
    let many = unmap_list(&[(0, 1); 65]);
    assert_eq!(refused(many.clone(), many.len()), INVALID_PARAMETER);
    let one = unmap_list(&[(0, 1)]);
    assert_eq!(
        refused(one.clone(), 20),
        PARAMETER_LENGTH,
        "ends in the descriptor"
    );
    assert_eq!(refused(one.clone(), 7), PARAMETER_LENGTH);
    assert_eq!(refused(one, 25), INVALID_FIELD, "less came");
    assert_eq!(content(&mut disk, 0, 1), written);
}
