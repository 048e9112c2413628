// SPDX-License-Identifier: GPL-2.0

//! The parameters of a device and the options that set them (file `control`).

use super::number::{
    signed,
    unsigned,
    NumberError, //
};
use super::uapi::RING_OFFSET;
use super::Config;

/// Bytes of `dev_config` with its terminating NUL (`TCMU_CONFIG_LEN`).
pub(crate) const CONFIG_LEN: usize = 256;

/// Largest and default size of mailbox and command ring in MiB.
const MAX_RING_MB: u32 = 8;

/// Default of the module parameter `global_max_data_area_mb`.
pub(crate) const DEFAULT_MAX_DATA_AREA_MB: u32 = 2048;

/// What a data area can have at most in MiB, whatever the module parameter says: 1 TiB.
const MAX_DATA_AREA_MB: u32 = 1 << 20;

/// What a block can have at most in bytes, so that its size fits 32 bits.
const MAX_BLOCK_SIZE: u32 = 1 << 31;

/// What one option of the text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlOption<'a> {
    /// `dev_config=TEXT`: the daemon's configuration string.
    DevConfig(&'a [u8]),
    /// `dev_size=BYTES`
    DevSize(u64),
    /// `hw_block_size=BYTES`, above 0.
    HwBlockSize(u32),
    /// `hw_max_sectors=BLOCKS`, above 0.
    HwMaxSectors(u32),
    /// `nl_reply_supported=N`: below 0 no replies, above 0 replies, 0 as the daemon says.
    NlReplySupported(i32),
    /// `max_data_area_mb=MIB`, above 0.
    MaxDataAreaMb(u32),
    /// `data_pages_per_blk=PAGES`, above 0.
    DataPagesPerBlk(u32),
    /// `cmd_ring_size_mb=MIB`, above 0.
    CmdRingSizeMb(u32),
    /// An option of another name.
    Unknown(&'a [u8]),
}

/// Why an option is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Not a number.
    Syntax,
    /// Too large to be a number.
    Range,
    /// Zero, negative, empty, too long, or not together with the other parameters.
    Value,
    /// The device has been enabled.
    Enabled,
    /// There is no memory to keep it.
    NoMemory,
}

impl From<NumberError> for Invalid {
    fn from(error: NumberError) -> Self {
        match error {
            NumberError::Syntax => Self::Syntax,
            NumberError::Range => Self::Range,
        }
    }
}

/// Splits the text into options, separated by commas or newlines.
pub(crate) fn options(
    text: &[u8],
) -> impl Iterator<Item = (&[u8], Result<ControlOption<'_>, Invalid>)> {
    text.split(|&byte| byte == b',' || byte == b'\n')
        .filter(|option| !option.is_empty())
        .map(|option| (option, parse(option)))
}

/// Reads a number above 0 that fits an `int`, as C takes it.
fn positive(value: &[u8]) -> Result<u32, Invalid> {
    match signed(value, i32::MIN.into(), i32::MAX.into())? {
        value if value > 0 => Ok(value as u32),
        _ => Err(Invalid::Value),
    }
}

fn parse(option: &[u8]) -> Result<ControlOption<'_>, Invalid> {
    let Some(equals) = option.iter().position(|&byte| byte == b'=') else {
        return Ok(ControlOption::Unknown(option));
    };
    let (name, value) = (&option[..equals], &option[equals + 1..]);
    Ok(match name {
        b"dev_config" if value.is_empty() || value.len() >= CONFIG_LEN => {
            return Err(Invalid::Value);
        }
        b"dev_config" => ControlOption::DevConfig(value),
        b"dev_size" => ControlOption::DevSize(unsigned(value, u64::MAX)?),
        b"hw_block_size" => ControlOption::HwBlockSize(positive(value)?),
        b"hw_max_sectors" => ControlOption::HwMaxSectors(positive(value)?),
        b"nl_reply_supported" => {
            ControlOption::NlReplySupported(signed(value, i32::MIN.into(), i32::MAX.into())? as i32)
        }
        b"max_data_area_mb" => ControlOption::MaxDataAreaMb(positive(value)?),
        b"data_pages_per_blk" => ControlOption::DataPagesPerBlk(positive(value)?),
        b"cmd_ring_size_mb" => ControlOption::CmdRingSizeMb(positive(value)?),
        _ => ControlOption::Unknown(option),
    })
}

/// The sizes of a device, which are fixed when it is enabled.
///
/// # Invariants
///
/// - All numbers are above 0; `ring_mb` is at most 8, `data_area_mb` at most 2^20, `page_shift` at
///   most 20.
/// - A block is not larger than the data area, nor than 2^31 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Size of a page of the data area in bytes, as a power of two.
    page_shift: u32,
    ring_mb: u32,
    data_area_mb: u32,
    pages_per_block: u32,
}

/// A value was larger than the limit and was replaced by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clamped(pub(crate) u32);

impl Sizes {
    /// The sizes of a new device on a machine whose pages have `1 << page_shift` bytes, at most 1
    /// MiB.
    pub(crate) fn new(page_shift: u32) -> Self {
        Self {
            page_shift,
            ring_mb: MAX_RING_MB,
            data_area_mb: 1024,
            pages_per_block: 1,
        }
    }

    /// Number of pages in so many MiB.
    fn pages(&self, mb: u32) -> u32 {
        mb << (20 - self.page_shift)
    }

    /// Size of mailbox and command ring in MiB.
    pub(crate) fn ring_mb(&self) -> u32 {
        self.ring_mb
    }

    /// Size of the data area in MiB.
    pub(crate) fn data_area_mb(&self) -> u32 {
        self.data_area_mb
    }

    /// Size of a block of the data area in pages.
    pub(crate) fn pages_per_block(&self) -> u32 {
        self.pages_per_block
    }

    /// Sets the size of mailbox and ring.
    pub(crate) fn set_ring_mb(&mut self, mb: u32) -> Option<Clamped> {
        self.ring_mb = mb.min(MAX_RING_MB);
        (mb > MAX_RING_MB).then_some(Clamped(MAX_RING_MB))
    }

    /// Sets the size of the data area, which `limit` (in MiB) bounds.
    pub(crate) fn set_data_area_mb(
        &mut self,
        mb: u32,
        limit: u32,
    ) -> Result<Option<Clamped>, Invalid> {
        let limited = mb.min(limit).clamp(1, MAX_DATA_AREA_MB);
        if self.pages(limited) < self.pages_per_block {
            return Err(Invalid::Value);
        }
        self.data_area_mb = limited;
        Ok((mb > limited).then_some(Clamped(limited)))
    }

    /// Sets the size of a block.
    pub(crate) fn set_pages_per_block(&mut self, count: u32) -> Result<(), Invalid> {
        let most = MAX_BLOCK_SIZE >> self.page_shift;
        if count == 0 || count > self.pages(self.data_area_mb).min(most) {
            return Err(Invalid::Value);
        }
        self.pages_per_block = count;
        Ok(())
    }

    /// Size of mailbox and ring in bytes: the offset of the data area.
    pub(crate) fn data_offset(&self) -> u32 {
        self.ring_mb << 20
    }

    /// Size of the whole mapping in bytes.
    pub(crate) fn region_size(&self) -> u64 {
        u64::from(self.data_offset()) + (u64::from(self.data_area_mb) << 20)
    }

    /// What the engine is told. The area's last pages may be too few for a block.
    pub(crate) fn config(&self) -> Config {
        Config {
            ring_size: self.data_offset() - RING_OFFSET,
            blocks: self.pages(self.data_area_mb) / self.pages_per_block,
            block_size: self.pages_per_block << self.page_shift,
        }
    }
}
