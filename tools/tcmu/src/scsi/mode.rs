// SPDX-License-Identifier: GPL-2.0
//! Mode pages: caching, whose WCE bit can be changed, and control.

use super::{opcode, reply, sense, Cdb, Disk, Failure};
use crate::data::DataBuffer;

const CACHING: u8 = 0x08;
const CONTROL: u8 = 0x0a;
const ALL_PAGES: u8 = 0x3f;
/// Device specific parameter: DPO and FUA are understood.
const DPOFUA: u8 = 0x10;
/// WCE in the third byte of the caching page.
const WCE: u8 = 0x04;
/// Changeable values, in the page control field.
const CHANGEABLE: u8 = 1;
/// Saved values, in the page control field.
const SAVED: u8 = 3;

impl Disk {
    fn mode_page(&self, page: u8, control: u8) -> Option<Vec<u8>> {
        let changeable = control == CHANGEABLE;
        match page {
            CACHING => {
                let mut bytes = vec![0; 20];
                bytes[0] = CACHING;
                bytes[1] = 18;
                if changeable || self.write_cache {
                    bytes[2] = WCE;
                }
                Some(bytes)
            }
            CONTROL => {
                let mut bytes = vec![0; 12];
                bytes[0] = CONTROL;
                bytes[1] = 10;
                if !changeable {
                    // Log parameters are not saved.
                    bytes[2] = 0x02;
                }
                Some(bytes)
            }
            _ => None,
        }
    }

    pub(super) fn mode_sense(
        &self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        let short = cdb.byte(0) == opcode::MODE_SENSE_6;
        let no_descriptor = cdb.byte(1) & 0x08 != 0;
        let (control, page, subpage) = (cdb.byte(2) >> 6, cdb.byte(2) & 0x3f, cdb.byte(3));
        if control == SAVED {
            return Err(sense::SAVING_NOT_SUPPORTED.into());
        }
        let all_subpages = page == ALL_PAGES && subpage == 0xff;
        if subpage != 0 && !all_subpages {
            return Err(sense::INVALID_FIELD.into());
        }
        let pages = match page {
            ALL_PAGES => [CACHING, CONTROL]
                .iter()
                .filter_map(|page| self.mode_page(*page, control))
                .flatten()
                .collect(),
            _ => self.mode_page(page, control).ok_or(sense::INVALID_FIELD)?,
        };
        let descriptor = if no_descriptor {
            Vec::new()
        } else {
            self.block_descriptor()
        };
        let header_len = if short { 4 } else { 8 };
        let mut bytes = vec![0; header_len];
        bytes.extend(&descriptor);
        bytes.extend(&pages);
        if short {
            bytes[0] = (bytes.len() - 1) as u8;
            bytes[2] = DPOFUA;
            bytes[3] = descriptor.len() as u8;
        } else {
            let following = (bytes.len() - 2) as u16;
            bytes[..2].copy_from_slice(&following.to_be_bytes());
            bytes[3] = DPOFUA;
            bytes[7] = descriptor.len() as u8;
        }
        let allocation = if short {
            cdb.number(4, 1)
        } else {
            cdb.number(7, 2)
        };
        reply(data, allocation, &bytes)
    }

    /// Short block descriptor: number of blocks (all ones if it does not fit) and block size.
    fn block_descriptor(&self) -> Vec<u8> {
        let blocks = u32::try_from(self.blocks()).unwrap_or(u32::MAX);
        let mut bytes = blocks.to_be_bytes().to_vec();
        bytes.extend(self.block_size().to_be_bytes());
        bytes
    }

    pub(super) fn mode_select(
        &mut self,
        cdb: &Cdb,
        data: &mut impl DataBuffer,
    ) -> Result<Option<u32>, Failure> {
        let short = cdb.byte(0) == opcode::MODE_SELECT_6;
        let len = if short {
            cdb.number(4, 1)
        } else {
            cdb.number(7, 2)
        } as usize;
        // Only standard pages, and nothing is saved.
        if cdb.byte(1) & 0x10 == 0 || cdb.byte(1) & 0x01 != 0 || len > data.len() {
            return Err(sense::INVALID_FIELD.into());
        }
        if len == 0 {
            return Ok(None);
        }
        let mut list = vec![0; len];
        data.read(0, &mut list)?;
        let header_len = if short { 4 } else { 8 };
        if len < header_len {
            return Err(sense::PARAMETER_LENGTH.into());
        }
        let descriptor_len = match short {
            true => usize::from(list[3]),
            false => usize::from(list[6]) << 8 | usize::from(list[7]),
        };
        let mut rest = list
            .get(header_len + descriptor_len..)
            .ok_or(sense::PARAMETER_LENGTH)?;
        let descriptor = &list[header_len..header_len + descriptor_len];
        if !descriptor.is_empty() && descriptor[4..] != self.block_descriptor()[4..] {
            return Err(sense::INVALID_PARAMETER.into());
        }
        let mut write_cache = self.write_cache;
        while !rest.is_empty() {
            let current = self
                .mode_page(rest[0] & 0x3f, 0)
                .filter(|_| rest[0] & 0x40 == 0)
                .ok_or(sense::INVALID_PARAMETER)?;
            let wanted = rest.get(..current.len()).ok_or(sense::PARAMETER_LENGTH)?;
            let changeable = self.mode_page(current[0], CHANGEABLE).unwrap_or_default();
            let same = |at: usize| (wanted[at] ^ current[at]) & !changeable[at] == 0;
            if wanted[1] != current[1] || !(2..current.len()).all(same) {
                return Err(sense::INVALID_PARAMETER.into());
            }
            if current[0] == CACHING {
                write_cache = wanted[2] & WCE != 0;
            }
            rest = &rest[current.len()..];
        }
        // Nothing changes unless the whole list is in order.
        if self.write_cache && !write_cache {
            self.backing
                .flush()
                .map_err(|error| Failure::Io(error, true))?;
        }
        self.write_cache = write_cache;
        Ok(None)
    }
}
