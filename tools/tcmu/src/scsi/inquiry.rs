// SPDX-License-Identifier: GPL-2.0
//! Who the disk is: INQUIRY and the vital product data pages.

use super::{block, reply, sense, Cdb, Disk, Failure};
use crate::data::DataBuffer;

const VENDOR: &[u8; 8] = b"LIO-RUST";
const PRODUCT: &[u8; 16] = b"tcmud disk      ";
const REVISION: &[u8; 4] = b"0001";
const SUPPORTED_PAGES: [u8; 6] = [0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2];

impl Disk {
    pub(super) fn inquiry(
        &self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        let (vital, page) = (cdb.byte(1) & 1 != 0, cdb.byte(2));
        let bytes = match (vital, page) {
            (false, 0) => standard(),
            (true, 0x00) => vpd(page, &SUPPORTED_PAGES),
            (true, 0x80) => vpd(page, self.serial_field().as_bytes()),
            (true, 0x83) => vpd(page, &self.identification()),
            (true, 0xb0) => vpd(page, &block_limits()),
            (true, 0xb1) => vpd(page, &characteristics()),
            (true, 0xb2) => vpd(page, &provisioning()),
            _ => return Err(sense::INVALID_FIELD.into()),
        };
        reply(data, cdb.number(3, 2), &bytes)
    }

    /// The serial number as it goes into pages: ASCII, and short enough for one byte of length.
    fn serial_field(&self) -> String {
        let printable = |c: char| if c.is_ascii_graphic() { c } else { '_' };
        self.serial.chars().map(printable).take(200).collect()
    }

    /// Device identification: a T10 vendor id with the serial number, and a locally assigned NAA name.
    fn identification(&self) -> Vec<u8> {
        let serial = self.serial_field();
        let mut bytes = vec![0x02, 0x01, 0, (VENDOR.len() + serial.len()) as u8];
        bytes.extend(VENDOR);
        bytes.extend(serial.as_bytes());
        bytes.extend([0x01, 0x03, 0, 8]);
        let name = 0x3 << 60 | fnv1a(serial.as_bytes()) >> 4;
        bytes.extend(name.to_be_bytes());
        bytes
    }
}

/// 64-bit FNV-1a: the same serial number has the same NAA name in every run.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn standard() -> Vec<u8> {
    let mut bytes = vec![0; 36];
    // SPC-3, response data format 2, command queuing.
    bytes[2] = 0x05;
    bytes[3] = 0x02;
    bytes[4] = 36 - 5;
    bytes[7] = 0x02;
    bytes[8..16].copy_from_slice(VENDOR);
    bytes[16..32].copy_from_slice(PRODUCT);
    bytes[32..36].copy_from_slice(REVISION);
    bytes
}

fn vpd(page: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, page];
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Block limits: no limit but those of UNMAP and WRITE SAME.
fn block_limits() -> [u8; 60] {
    let mut bytes = [0; 60];
    // WSNZ: WRITE SAME of zero blocks is refused.
    bytes[0] = 0x01;
    bytes[16..20].copy_from_slice(&block::MAX_UNMAP_BLOCKS.to_be_bytes());
    bytes[20..24].copy_from_slice(&block::MAX_UNMAP_DESCRIPTORS.to_be_bytes());
    bytes[32..40].copy_from_slice(&block::MAX_WRITE_SAME_BLOCKS.to_be_bytes());
    bytes
}

/// Block device characteristics: nothing rotates.
fn characteristics() -> [u8; 60] {
    let mut bytes = [0; 60];
    bytes[1] = 1;
    bytes
}

/// Logical block provisioning: UNMAP and both WRITE SAME unmap, unmapped blocks read as zeros, thin.
fn provisioning() -> [u8; 4] {
    [0, 0x80 | 0x40 | 0x20 | 0x04, 2, 0]
}
