// SPDX-License-Identifier: GPL-2.0
//! The device from outside: its node, and what configfs and debugfs say and do.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, Context};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use tcmu::device::DeviceInfo;
use tcmu::map::Mapping;

/// Where the kernel shows the state of devices.
const DEBUGFS: &str = "/sys/kernel/debug/target_core_user";

/// Opens a node; EBUSY if somebody has it.
pub fn open(info: &DeviceInfo) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(info.path())
}

/// Maps all of a node.
pub fn map(info: &DeviceInfo, file: &File) -> anyhow::Result<Mapping> {
    let size = NonZeroUsize::new(info.map_size).context("the device has an empty map0")?;
    Ok(Mapping::new(file, size)?)
}

/// The node, open and mapped.
pub struct Node {
    /// The mapping. Before the file: it must go first.
    pub mem: Mapping,
    /// The node.
    pub file: File,
}

impl Node {
    /// Opens and maps it. Children that still have it are given `limit` to end.
    ///
    /// # Errors
    ///
    /// If it stays busy, or cannot be opened for another reason.
    pub fn open(info: &DeviceInfo, limit: Duration) -> anyhow::Result<Self> {
        let end = Instant::now() + limit;
        let file = loop {
            match open(info) {
                Ok(file) => break file,
                Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("{}", info.path().display()))
                }
            }
        };
        let mem = map(info, &file)?;
        Ok(Self { mem, file })
    }

    /// Closes the node and opens it again. After an error it must not be used.
    ///
    /// # Errors
    ///
    /// As those of [`Self::open`].
    pub fn reopen(&mut self, info: &DeviceInfo, limit: Duration) -> anyhow::Result<()> {
        // The last mapping and the last descriptor must go before it can be opened: this stands in.
        let nothing = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/zero")?;
        self.mem = map(info, &nothing)?;
        self.file = nothing;
        *self = Self::open(info, limit)?;
        Ok(())
    }

    /// Has the kernel look at the tail.
    ///
    /// # Errors
    ///
    /// If the device is gone.
    pub fn kick(&mut self) -> anyhow::Result<()> {
        self.file
            .write_all(&[0; 4])
            .context("write to the UIO node")
    }

    /// Waits for an event, at most `limit`.
    ///
    /// # Errors
    ///
    /// If the device is gone.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<()> {
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => (),
            Err(error) => return Err(error).context("poll of the UIO node"),
        }
        match self.file.read(&mut [0; 4]) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error).context("read of the UIO node"),
        }
    }
}

/// What debugfs says.
pub struct Status(HashMap<String, String>);

impl Status {
    /// A value.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A number; 0 if there is none of that name.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// Whether the ring is broken.
    pub fn is_broken(&self) -> bool {
        self.text("state") == "broken"
    }

    /// State, reason and positions, for messages.
    pub fn summary(&self) -> String {
        let names = [
            "state",
            "broken_reason",
            "ring_head",
            "ring_cleaned",
            "ring_tail",
            "commands_on_ring",
            "commands_qfull",
        ];
        names
            .map(|name| format!("{name} {}", self.text(name)))
            .join(", ")
    }
}

impl From<&str> for Status {
    fn from(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Files of the device in configfs and debugfs.
pub struct Control {
    configfs: PathBuf,
    debugfs: PathBuf,
}

impl Control {
    /// Those of a device.
    pub fn new(info: &DeviceInfo) -> Self {
        Self {
            configfs: info.configfs(),
            debugfs: PathBuf::from(DEBUGFS).join(format!("user_{}.{}", info.host, info.name)),
        }
    }

    /// What debugfs says; `None` where there is nothing of the kind, as with the C module.
    pub fn status(&self) -> Option<Status> {
        let text = fs::read_to_string(&self.debugfs).ok()?;
        Some(Status::from(text.as_str()))
    }

    /// A number from the device's attributes.
    ///
    /// # Errors
    ///
    /// If the attribute cannot be read.
    pub fn number(&self, attribute: &str) -> anyhow::Result<u64> {
        let path = self.configfs.join("attrib").join(attribute);
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Ok(text.trim().parse()?)
    }

    /// The time after which a command is answered by the kernel; `None` if never.
    ///
    /// # Errors
    ///
    /// If the attribute cannot be read.
    pub fn command_timeout(&self) -> anyhow::Result<Option<Duration>> {
        let seconds = self.number("cmd_time_out")?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }

    fn write(&self, action: &str, value: &str) -> std::io::Result<()> {
        // One write(2): fs::write() would also truncate, which is of no use here.
        let path = self.configfs.join("action").join(action);
        OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(value.as_bytes())
    }

    /// Empties the ring: 1 has the initiator try again, 2 fails the commands.
    ///
    /// # Errors
    ///
    /// If that is refused.
    pub fn reset(&self, level: u8, blocked: bool) -> anyhow::Result<()> {
        if blocked {
            self.write("block_dev", "1").context("block_dev")?;
        }
        let reset = self.write("reset_ring", &level.to_string());
        if blocked {
            self.write("block_dev", "0").context("block_dev")?;
        }
        reset.context("reset_ring")
    }

    /// Frees a kept buffer; false if the kernel knows of none with this id.
    ///
    /// # Errors
    ///
    /// If the kernel says anything but yes or no.
    pub fn free_kept(&self, id: u16) -> anyhow::Result<bool> {
        match self.write("free_kept_buf", &id.to_string()) {
            Ok(()) => Ok(true),
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EINVAL | Errno::ENOENT) => Ok(false),
                _ => bail!("free_kept_buf {id}: {error}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_file_is_understood() {
        let text = "state broken\nbroken_reason cmd_tail 4 is not the start\nring_head 128\n";
        let status = Status::from(text);
        assert!(status.is_broken());
        assert_eq!(status.number("ring_head"), 128);
        assert_eq!(status.text("broken_reason"), "cmd_tail 4 is not the start");
        assert_eq!((status.text("none"), status.number("state")), ("", 0));
    }
}
