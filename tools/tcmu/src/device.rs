// SPDX-License-Identifier: GPL-2.0
//! TCM user-space devices: finding, opening, events.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::map::Mapping;
use crate::ring::{Ring, RingError};

/// Where the kernel lists UIO devices.
pub const SYSFS_UIO: &str = "/sys/class/uio";
/// Where target configuration lives once configfs is mounted.
pub const CONFIGFS_CORE: &str = "/sys/kernel/config/target/core";

/// What can go wrong with a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The kernel lets one process at a time open a device.
    #[error("{0}: another process has the device open")]
    Busy(PathBuf),
    /// No device matches.
    #[error("no TCM user-space device {0:?}")]
    NotFound(String),
    /// More than one device matches.
    #[error("{name:?} is ambiguous: {candidates}")]
    Ambiguous {
        /// What was looked for.
        name: String,
        /// Comma-separated `HOST/NAME` of what was found.
        candidates: String,
    },
    /// The path is no UIO device of target_core_user.
    #[error("{path}: {reason}")]
    NotTcmu {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The kernel has removed the device.
    #[error("the device has been removed")]
    Removed,
    /// The shared region is not usable.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> DeviceError {
    let what = what.into();
    move |source| DeviceError::Io { what, source }
}

/// What sysfs says about one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name of the UIO device, for instance `uio0`.
    pub uio: String,
    /// Number of the configfs HBA (`user_<host>`).
    pub host: u32,
    /// Name of the configfs device.
    pub name: String,
    /// The device's configuration string, if it has one.
    pub config: Option<String>,
    /// Bytes in the shared region.
    pub map_size: usize,
}

impl DeviceInfo {
    /// The device node.
    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.uio)
    }

    /// Folder of the device below [`CONFIGFS_CORE`].
    pub fn configfs(&self) -> PathBuf {
        let hba = format!("user_{}", self.host);
        Path::new(CONFIGFS_CORE).join(hba).join(&self.name)
    }

    /// Whether `wanted`, `NAME` or `HOST/NAME`, means this device.
    pub fn matches(&self, wanted: &str) -> bool {
        match wanted.split_once('/') {
            Some((host, name)) => host.parse() == Ok(self.host) && name == self.name,
            None => wanted == self.name,
        }
    }

    /// Reads one folder of `/sys/class/uio`; `None` for a UIO device of another driver.
    fn read(folder: &Path) -> Result<Option<Self>, DeviceError> {
        let read = |file: &str| {
            let path = folder.join(file);
            fs::read_to_string(&path).map_err(io_error(path.display().to_string()))
        };
        let bad = |reason: &str| DeviceError::NotTcmu {
            path: folder.into(),
            reason: reason.into(),
        };
        let Some((host, name, config)) = parse_name(read("name")?.trim_end_matches('\n')) else {
            return Ok(None);
        };
        let size = read("maps/map0/size")?;
        let digits = size.trim().trim_start_matches("0x");
        let map_size = usize::from_str_radix(digits, 16).map_err(|_| bad("size of map0"))?;
        let uio = folder
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| bad("name of the folder"))?;
        Ok(Some(Self {
            uio: uio.into(),
            host,
            name,
            config,
            map_size,
        }))
    }
}

/// Splits `tcm-user/<host>/<name>[/<config>]`; a configuration may have slashes of its own.
pub fn parse_name(uio_name: &str) -> Option<(u32, String, Option<String>)> {
    let mut parts = uio_name.splitn(4, '/');
    if parts.next() != Some("tcm-user") {
        return None;
    }
    let host = parts.next()?.parse().ok()?;
    let name = parts.next().filter(|name| !name.is_empty())?;
    Some((host, name.into(), parts.next().map(Into::into)))
}

/// All TCM user-space devices below `sysfs` ([`SYSFS_UIO`]), in the order of their numbers.
///
/// # Errors
///
/// If the folder can be listed but a device's files cannot be read. A missing folder means no device.
pub fn discover(sysfs: &Path) -> Result<Vec<DeviceInfo>, DeviceError> {
    let folder = match fs::read_dir(sysfs) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder.map_err(io_error(sysfs.display().to_string()))?,
    };
    let mut devices = Vec::new();
    for entry in folder {
        let entry = entry.map_err(io_error(sysfs.display().to_string()))?;
        match DeviceInfo::read(&entry.path()) {
            Ok(Some(device)) => devices.push(device),
            Ok(None) => (),
            // It went away between the listing and the reading, or is about to.
            Err(_) if !entry.path().exists() => (),
            Err(DeviceError::Io { source, .. }) if is_leaving(&source) => (),
            Err(error) => return Err(error),
        }
    }
    devices.sort_by_key(|device| (device.uio.len(), device.uio.clone()));
    Ok(devices)
}

/// Whether an error says that the kernel is taking a device away: the folder is the last to go.
fn is_leaving(error: &io::Error) -> bool {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    matches!(errno, Errno::ENOENT | Errno::ENODEV | Errno::EINVAL)
}

/// The one device that `wanted`, `NAME` or `HOST/NAME`, means.
///
/// # Errors
///
/// [`DeviceError::NotFound`], [`DeviceError::Ambiguous`], or those of [`discover`].
pub fn find(sysfs: &Path, wanted: &str) -> Result<DeviceInfo, DeviceError> {
    let mut found = discover(sysfs)?;
    found.retain(|device| device.matches(wanted));
    match found.len() {
        0 => Err(DeviceError::NotFound(wanted.into())),
        1 => Ok(found.remove(0)),
        _ => {
            let names: Vec<_> = found
                .iter()
                .map(|d| format!("{}/{}", d.host, d.name))
                .collect();
            Err(DeviceError::Ambiguous {
                name: wanted.into(),
                candidates: names.join(", "),
            })
        }
    }
}

/// What sysfs says about a device node such as `/dev/uio0`.
///
/// # Errors
///
/// [`DeviceError::NotTcmu`] if it belongs to another driver, [`DeviceError::NotFound`] if it is not listed.
pub fn info_of_node(sysfs: &Path, node: &Path) -> Result<DeviceInfo, DeviceError> {
    let not_found = || DeviceError::NotFound(node.display().to_string());
    let folder = sysfs.join(node.file_name().ok_or_else(not_found)?);
    if !folder.exists() {
        return Err(not_found());
    }
    DeviceInfo::read(&folder)?.ok_or_else(|| DeviceError::NotTcmu {
        path: node.into(),
        reason: "belongs to another driver".into(),
    })
}

/// An open device: the node and what the kernel tells through it. The ring is a separate object.
#[derive(Debug)]
pub struct Device {
    file: File,
}

impl Device {
    /// Opens the device and maps its whole region.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Busy`] if another process has it open, [`DeviceError::NotFound`] if there is no node,
    /// [`DeviceError::Removed`] if it is being removed, [`DeviceError::Ring`] for a mailbox not understood.
    pub fn open(info: &DeviceInfo) -> Result<(Self, Ring<Mapping>), DeviceError> {
        let path = info.path();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits())
            .open(&path)
            .map_err(
                |error| match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                    Errno::EBUSY => DeviceError::Busy(path.clone()),
                    Errno::ENOENT => DeviceError::NotFound(path.display().to_string()),
                    Errno::ENODEV => DeviceError::Removed,
                    _ => io_error(path.display().to_string())(error),
                },
            )?;
        let size = NonZeroUsize::new(info.map_size).ok_or_else(|| DeviceError::NotTcmu {
            path: path.clone(),
            reason: "has an empty map0".into(),
        })?;
        let mapping = Mapping::new(&file, size)
            .map_err(|errno| io_error(format!("mmap of {}", path.display()))(errno.into()))?;
        Ok((Self { file }, Ring::attach(mapping)?))
    }

    /// Takes note of the events so far. `false` if there was none since the last call.
    ///
    /// Events from before [`Self::open`] are not reported: read the ring once before waiting.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Removed`] after the kernel has removed the device.
    pub fn take_events(&mut self) -> Result<bool, DeviceError> {
        match self.file.read(&mut [0; 4]) {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(false)
            }
            Err(error) => Err(removed_or(error, "read of the UIO device")),
        }
    }

    /// Tells the kernel that the tail has moved.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Removed`] after the kernel has removed the device.
    pub fn kick(&mut self) -> Result<(), DeviceError> {
        loop {
            match self.file.write(&[0; 4]) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(removed_or(error, "write to the UIO device")),
            }
        }
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// UIO answers EIO to a read and EINVAL to a write when the device behind the file is gone.
fn removed_or(error: io::Error, what: &str) -> DeviceError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EIO | Errno::EINVAL) => DeviceError::Removed,
        _ => io_error(what)(error),
    }
}

/// Makes the kernel forget every command on the ring of a device and answer it to the initiator.
///
/// A handler that was killed may leave commands half answered; the next one then starts with an empty
/// ring. With `level` 1 the initiator is told BUSY and tries again, with 2 the commands fail.
///
/// # Errors
///
/// If the attributes below `configfs` ([`DeviceInfo::configfs`]) cannot be written.
pub fn reset_ring(configfs: &Path, level: u8) -> Result<(), DeviceError> {
    let set = |attribute: &str, value: u8| {
        let path = configfs.join("action").join(attribute);
        fs::write(&path, value.to_string()).map_err(io_error(path.display().to_string()))
    };
    // While it is blocked nothing new comes onto the ring.
    set("block_dev", 1)?;
    let reset = set("reset_ring", level);
    set("block_dev", 0)?;
    reset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fake_sysfs(devices: &[(&str, &str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (uio, name, size) in devices {
            let map = root.path().join(uio).join("maps/map0");
            fs::create_dir_all(&map).unwrap();
            fs::write(root.path().join(uio).join("name"), format!("{name}\n")).unwrap();
            fs::write(map.join("size"), format!("{size}\n")).unwrap();
        }
        root
    }

    #[test]
    fn names_are_split_as_the_kernel_joins_them() {
        let some = |host, name: &str, config: Option<&str>| {
            Some((host, name.to_string(), config.map(String::from)))
        };
        assert_eq!(parse_name("tcm-user/0/disk"), some(0, "disk", None));
        assert_eq!(
            parse_name("tcm-user/12/d/file//a b/c"),
            some(12, "d", Some("file//a b/c"))
        );
        for other in [
            "",
            "uio_pci",
            "tcm-user",
            "tcm-user/x/d",
            "tcm-user/0",
            "tcm-user/0/",
        ] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn devices_are_found_by_name_and_host() {
        let sysfs = fake_sysfs(&[
            ("uio10", "tcm-user/1/disk/cfg", "0x40800000"),
            ("uio2", "tcm-user/0/disk", "0x1000"),
            ("uio1", "tcm-user/0/other", "0x1000"),
            ("uio0", "some_fpga", "0x1000"),
        ]);
        let all = discover(sysfs.path()).unwrap();
        let uios: Vec<_> = all.iter().map(|d| d.uio.as_str()).collect();
        assert_eq!(uios, ["uio1", "uio2", "uio10"]);
        assert_eq!(all[2].map_size, 0x4080_0000);
        assert_eq!(find(sysfs.path(), "other").unwrap().uio, "uio1");
        assert_eq!(find(sysfs.path(), "1/disk").unwrap().uio, "uio10");
        assert!(matches!(
            find(sysfs.path(), "disk"),
            Err(DeviceError::Ambiguous { .. })
        ));
        assert!(matches!(
            find(sysfs.path(), "dis"),
            Err(DeviceError::NotFound(_))
        ));
        let node = info_of_node(sysfs.path(), Path::new("/dev/uio2")).unwrap();
        assert_eq!((node.host, node.name.as_str()), (0, "disk"));
        let other = info_of_node(sysfs.path(), Path::new("/dev/uio0"));
        assert!(matches!(other, Err(DeviceError::NotTcmu { .. })));
    }

    #[test]
    fn no_uio_class_means_no_device() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(discover(&root.path().join("absent")).unwrap(), []);
    }

    #[test]
    fn a_device_with_a_broken_size_is_an_error() {
        let sysfs = fake_sysfs(&[("uio0", "tcm-user/0/disk", "many")]);
        assert!(matches!(
            discover(sysfs.path()),
            Err(DeviceError::NotTcmu { .. })
        ));
    }

    #[test]
    fn a_device_that_is_being_removed_is_none() {
        let sysfs = fake_sysfs(&[
            ("uio0", "tcm-user/0/going", "0x1000"),
            ("uio1", "tcm-user/0/disk", "0x1000"),
        ]);
        fs::remove_dir_all(sysfs.path().join("uio0/maps")).unwrap();
        let found = discover(sysfs.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "disk");
        // What the kernel says once the driver has let the device go.
        let leaving = |errno: Errno| is_leaving(&io::Error::from(errno));
        assert!(leaving(Errno::EINVAL) && leaving(Errno::ENODEV) && !leaving(Errno::EACCES));
    }

    #[test]
    fn reset_writes_the_three_actions() {
        let root = tempfile::tempdir().unwrap();
        assert!(reset_ring(root.path(), 1).is_err(), "no such device");
        fs::create_dir(root.path().join("action")).unwrap();
        reset_ring(root.path(), 2).unwrap();
        let value = |file| fs::read_to_string(root.path().join("action").join(file)).unwrap();
        assert_eq!(
            (value("reset_ring"), value("block_dev")),
            ("2".into(), "0".into())
        );
    }
}
