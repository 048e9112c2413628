// SPDX-License-Identifier: GPL-2.0
//! Where the disk's blocks are kept.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::str::FromStr;

use nix::fcntl::{fallocate, FallocateFlags};

/// Bytes that survive from one command to the next. Callers keep inside [`Self::size`].
pub trait Backing: Debug {
    /// Bytes.
    fn size(&self) -> u64;
    /// Fills `buf` from `offset`.
    fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Writes `buf` at `offset`.
    fn write(&mut self, offset: u64, buf: &[u8]) -> io::Result<()>;
    /// Makes `len` bytes at `offset` read as zeros, and gives their space back where possible.
    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()>;
    /// Makes everything written so far durable.
    fn flush(&mut self) -> io::Result<()>;
}

/// Private memory.
#[derive(Debug)]
pub struct Ram(Vec<u8>);

impl Ram {
    /// `size` bytes of zeros.
    pub fn new(size: usize) -> Self {
        Self(vec![0; size])
    }

    fn range(&self, offset: u64, len: u64) -> io::Result<std::ops::Range<usize>> {
        let end = offset.checked_add(len).filter(|end| *end <= self.size());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(offset as usize..end as usize)
    }
}

impl Backing for Ram {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let range = self.range(offset, buf.len() as u64)?;
        buf.copy_from_slice(&self.0[range]);
        Ok(())
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> io::Result<()> {
        let range = self.range(offset, buf.len() as u64)?;
        self.0[range].copy_from_slice(buf);
        Ok(())
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let range = self.range(offset, len)?;
        self.0[range].fill(0);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A regular file of constant size.
#[derive(Debug)]
pub struct FileBacking {
    file: File,
    size: u64,
}

impl FileBacking {
    /// Opens `path`; with `create` it is made if missing and brought to that size.
    ///
    /// # Errors
    ///
    /// What open(2), ftruncate(2) and fstat(2) return.
    pub fn open(path: &str, create: Option<u64>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create.is_some())
            .truncate(false)
            .open(path)?;
        if let Some(size) = create {
            file.set_len(size)?;
        }
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl Backing for FileBacking {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write(&mut self, offset: u64, buf: &[u8]) -> io::Result<()> {
        self.file.write_all_at(buf, offset)
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let signed = |number| i64::try_from(number).map_err(io::Error::other);
        let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        if fallocate(&self.file, punch, signed(offset)?, signed(len)?).is_ok() {
            return Ok(());
        }
        // Not every file system can punch holes.
        let zeros = [0; 64 * 1024];
        let mut done = 0;
        while done < len {
            let count = (len - done).min(zeros.len() as u64);
            self.write(offset + done, &zeros[..count as usize])?;
            done += count;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// What to keep the blocks in, as on the command line.
///
/// `ram:SIZE`, `file:PATH` for a file that exists, or `file:PATH,size=SIZE` for one that is made.
/// Sizes are bytes, or end in K, M or G.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackingSpec {
    /// Private memory of this many bytes.
    Ram(u64),
    /// A file.
    File {
        /// Its path.
        path: String,
        /// Make it of this many bytes.
        size: Option<u64>,
    },
}

impl BackingSpec {
    /// Opens or allocates it.
    ///
    /// # Errors
    ///
    /// Those of [`FileBacking::open`]; out of memory for a size that is not addressable.
    pub fn open(&self) -> io::Result<Box<dyn Backing>> {
        Ok(match self {
            Self::Ram(size) => {
                let size = usize::try_from(*size).map_err(|_| io::ErrorKind::OutOfMemory)?;
                Box::new(Ram::new(size))
            }
            Self::File { path, size } => Box::new(FileBacking::open(path, *size)?),
        })
    }
}

impl FromStr for BackingSpec {
    type Err = String;

    fn from_str(spec: &str) -> Result<Self, String> {
        match spec.split_once(':') {
            Some(("ram", size)) => parse_size(size).map(Self::Ram),
            Some(("file", path)) => {
                let (path, size) = match path.rsplit_once(",size=") {
                    Some((path, size)) => (path, Some(parse_size(size)?)),
                    None => (path, None),
                };
                if path.is_empty() {
                    return Err("the path is missing".into());
                }
                let path = path.into();
                Ok(Self::File { path, size })
            }
            _ => Err(format!(
                "{spec:?} is neither ram:SIZE nor file:PATH[,size=SIZE]"
            )),
        }
    }
}

/// Bytes, or a number that ends in K, M or G (powers of 1024). At least 1.
///
/// # Errors
///
/// What is wrong with the text.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let shift = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        _ => 0,
    };
    let digits = if shift == 0 {
        text
    } else {
        &text[..text.len() - 1]
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no size"))?;
    match number.checked_mul(1 << shift) {
        Some(size) if (1..=i64::MAX as u64).contains(&size) => Ok(size),
        _ => Err(format!("size {text} is out of range")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("512"), Ok(512));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("1g"), Ok(1 << 30));
        for bad in [
            "",
            "M",
            "-1",
            "0",
            "0K",
            "1T",
            "1.5M",
            "18446744073709551615",
            "99999999999G",
            "é",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn specs() {
        let file = |path: &str, size| {
            let path = path.into();
            Ok(BackingSpec::File { path, size })
        };
        assert_eq!("ram:1M".parse(), Ok(BackingSpec::Ram(1 << 20)));
        assert_eq!("file:/a:b".parse(), file("/a:b", None));
        assert_eq!("file:x,size=2K".parse(), file("x", Some(2048)));
        for bad in [
            "",
            "ram",
            "ram:",
            "ram:x",
            "file:",
            "file:,size=1",
            "file:x,size=y",
            "disk:/dev/x",
        ] {
            assert!(bad.parse::<BackingSpec>().is_err(), "{bad}");
        }
    }

    fn check(mut backing: impl Backing) {
        let size = backing.size();
        let mut back = [0xff; 8];
        backing.write(size - 8, b"last one").unwrap();
        backing.read(size - 8, &mut back).unwrap();
        assert_eq!(&back, b"last one");
        backing.zero(size - 4, 4).unwrap();
        backing.read(size - 8, &mut back).unwrap();
        assert_eq!(&back, b"last\0\0\0\0");
        backing.flush().unwrap();
        assert!(backing.read(size - 4, &mut back).is_err(), "past the end");
        assert_eq!(backing.size(), size);
    }

    #[test]
    fn ram_keeps_bytes() {
        check(Ram::new(4096));
        assert!(Ram::new(16).write(12, &[0; 8]).is_err());
        assert!(Ram::new(16).zero(u64::MAX, 2).is_err());
    }

    #[test]
    fn files_keep_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let path = path.to_str().unwrap();
        assert!(FileBacking::open(path, None).is_err(), "must exist");
        check(FileBacking::open(path, Some(1 << 20)).unwrap());
        assert_eq!(FileBacking::open(path, None).unwrap().size(), 1 << 20);
    }
}
