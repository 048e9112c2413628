// SPDX-License-Identifier: GPL-2.0

//! What a read of a configfs file gets.

use kernel::{
    fmt,
    prelude::*, //
};

/// Text in a buffer of fixed size.
///
/// Unlike the kernel crate's `Formatter` it takes bytes as they are: names and configuration
/// strings of users need not be UTF-8 and are not to be escaped.
pub struct Output<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Output<'a> {
    /// Begins an empty text.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// Appends bytes. `EOVERFLOW`: the buffer is full, nothing was appended.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result {
        let end = self.length + bytes.len();
        let room = self.buffer.get_mut(self.length..end).ok_or(EOVERFLOW)?;
        room.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    /// Number of bytes written.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
