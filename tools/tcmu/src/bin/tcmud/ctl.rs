// SPDX-License-Identifier: GPL-2.0
//! Client of the control socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{bail, Context};

/// Sends one request and prints the answer. Returns whether it is `ok`.
pub(crate) fn request(socket: &Path, line: &str, timeout: Duration) -> anyhow::Result<bool> {
    if line.contains('\n') {
        bail!("a request is one line");
    }
    let mut stream = UnixStream::connect(socket)
        .with_context(|| format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream
        .write_all(format!("{line}\n").as_bytes())
        .context("cannot send the request")?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .context("no answer from the daemon")?;
    if !answer.ends_with('\n') {
        bail!("the daemon ended without an answer");
    }
    crate::print_line(answer.trim_end_matches('\n'))?;
    Ok(answer.split_ascii_whitespace().next() == Some("ok"))
}
