// SPDX-License-Identifier: GPL-2.0
//! The control socket: accepts clients and cuts what they send into lines.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context};

/// Longest request in bytes.
const MAX_LINE: usize = 4096;
/// Most clients at a time.
const MAX_CLIENTS: usize = 64;
/// A client that does not take its answers is dropped after this time.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// The listening socket, removed with the object, and its clients.
#[derive(Debug)]
pub(crate) struct Clients {
    listener: UnixListener,
    path: PathBuf,
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    pending: Vec<u8>,
}

impl Clients {
    /// Binds the socket. One that a killed daemon has left behind is replaced.
    pub(crate) fn bind(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                bail!("{name} exists and is no socket")
            }
            Ok(_) if UnixStream::connect(path).is_ok() => {
                bail!("{name}: another daemon listens there")
            }
            Ok(_) => {
                fs::remove_file(path).with_context(|| format!("cannot remove the stale {name}"))?
            }
            Err(_) => (),
        }
        let listener =
            UnixListener::bind(path).with_context(|| format!("cannot listen on {name}"))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path: path.into(),
            clients: Vec::new(),
        })
    }

    /// Everything to poll for input.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let clients = self.clients.iter().map(|client| client.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(clients)
    }

    /// Accepts new clients and has `answer` answer every whole line.
    ///
    /// # Errors
    ///
    /// Those of `answer`. What goes wrong with a client ends only that client.
    pub(crate) fn serve<E>(
        &mut self,
        mut answer: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<(), E> {
        while let Ok((stream, _)) = self.listener.accept() {
            let ready = stream
                .set_nonblocking(true)
                .and_then(|()| stream.set_write_timeout(Some(WRITE_TIMEOUT)));
            // Beyond the limit the connection is closed at once.
            if ready.is_ok() && self.clients.len() < MAX_CLIENTS {
                self.clients.push(Client {
                    stream,
                    pending: Vec::new(),
                });
            }
        }
        let mut kept = Vec::new();
        for mut client in self.clients.drain(..) {
            let open = client.fill();
            while let Some(line) = client.next_line() {
                let answer = answer(&line)?;
                if client.send(&answer).is_err() {
                    client.pending.clear();
                    break;
                }
            }
            if client.pending.len() > MAX_LINE {
                let _ = client.send("error the request is too long");
            } else if open {
                kept.push(client);
            }
        }
        self.clients = kept;
        Ok(())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.path);
    }
}

impl Client {
    /// Reads what is there. `false` at the end of the stream.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; MAX_LINE];
        while self.pending.len() <= MAX_LINE {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(count) => self.pending.extend(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }

    fn next_line(&mut self) -> Option<String> {
        let end = self.pending.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn send(&mut self, answer: &str) -> io::Result<()> {
        // The time-out only holds for a blocking socket.
        self.stream.set_nonblocking(false)?;
        let sent = self.stream.write_all(format!("{answer}\n").as_bytes());
        self.stream.set_nonblocking(true)?;
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    fn echo(line: &str) -> Result<String, ()> {
        Ok(format!("ok {line}"))
    }

    fn fixture() -> (tempfile::TempDir, PathBuf, Clients) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let clients = Clients::bind(&path).unwrap();
        (folder, path, clients)
    }

    #[test]
    fn lines_are_answered_one_by_one() {
        let (_folder, path, mut clients) = fixture();
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"one\ntwo\nthr").unwrap();
        clients.serve(echo).unwrap();
        stream.write_all(b"ee\n").unwrap();
        clients.serve(echo).unwrap();
        let mut lines = BufReader::new(stream).lines();
        for expected in ["ok one", "ok two", "ok three"] {
            assert_eq!(lines.next().unwrap().unwrap(), expected);
        }
    }

    #[test]
    fn a_request_without_end_is_cut_off() {
        let (_folder, path, mut clients) = fixture();
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&[b'x'; MAX_LINE + 1]).unwrap();
        clients.serve(echo).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("error "), "{answer}");
        assert_eq!(clients.fds().count(), 1, "only the listener is left");
    }

    #[test]
    fn stale_sockets_are_replaced_and_live_ones_are_not() {
        let (_folder, path, clients) = fixture();
        assert!(Clients::bind(&path).is_err(), "in use");
        let stale = path.with_extension("stale");
        drop(UnixListener::bind(&stale).unwrap());
        assert!(stale.exists());
        drop(Clients::bind(&stale).unwrap());
        drop(clients);
        assert!(!path.exists(), "removed at the end");
        fs::write(&path, "a file").unwrap();
        assert!(Clients::bind(&path).is_err(), "no socket");
    }
}
