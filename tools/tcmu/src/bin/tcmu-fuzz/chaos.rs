// SPDX-License-Identifier: GPL-2.0
//! What goes on beside the completions: threads that write to the ring, threads and children that map,
//! move, unmap, fork and exec.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{bail, Context};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{getgid, Pid};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt};

use tcmu::device::DeviceInfo;
use tcmu::map::rough::PAGE;
use tcmu::map::Mapping;
use tcmu::shm::SharedMemory;
use tcmu::uapi;

use crate::node;

/// A child that does not end by then is stuck in the kernel.
const CHILD_LIMIT: Duration = Duration::from_secs(60);

/// What the threads of one phase have in common.
pub struct Shared<'a> {
    /// The device.
    pub info: &'a DeviceInfo,
    /// Its node.
    pub file: &'a File,
    /// The threads are to end.
    pub stop: &'a AtomicBool,
    /// Words written by scribblers.
    pub scribbles: &'a AtomicU64,
    /// What was done, by name.
    pub beside: &'a Mutex<BTreeMap<&'static str, u64>>,
    /// Bytes of the ring.
    pub ring_size: u32,
}

impl Shared<'_> {
    fn done(&self, what: &'static str) {
        let mut beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        *beside.entry(what).or_default() += 1;
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn map(&self) -> anyhow::Result<Mapping> {
        node::map(self.info, self.file)
    }

    /// Bytes of mailbox and ring, which always have memory behind them.
    fn solid(&self) -> usize {
        uapi::MAILBOX_SIZE + self.ring_size as usize
    }

    /// Writes to mailbox and ring, in bursts, until the phase ends.
    pub fn scribble(&self, mut random: ChaCha8Rng) -> anyhow::Result<()> {
        let mem = self.map()?;
        while !self.stopped() {
            let target = random.random_range(0..16);
            let burst = random.random_range(1..64);
            for _ in 0..burst {
                let value = interesting(&mut random);
                let offset = match target {
                    // The kernel's fields of the mailbox
                    0 => random.random_range(0..uapi::MB_CMD_HEAD + 4),
                    1 => uapi::MB_CMD_TAIL,
                    2 => random.random_range(0..uapi::MAILBOX_SIZE),
                    // Around where the kernel writes and reads
                    3..=9 => {
                        let head = mem.load_acquire_u32(uapi::MB_CMD_HEAD)? as usize;
                        let near = head + self.solid() + random.random_range(0..4096) - 3072;
                        uapi::MAILBOX_SIZE + near % self.ring_size as usize
                    }
                    _ => random.random_range(0..self.solid()),
                };
                mem.store_release_u32(offset / 4 * 4, value)?;
            }
            self.scribbles.fetch_add(burst, Ordering::Relaxed);
            // Often enough to hit what the kernel reads just now, and seldom enough for the one that
            // completes to get somewhere: 50 us to 25 ms.
            std::thread::sleep(Duration::from_micros(50 << random.random_range(0..10)));
        }
        Ok(())
    }

    /// Maps, moves, unmaps, forks, execs, until the phase ends. Writes nothing to mailbox and ring.
    pub fn abuse(&self, mut random: ChaCha8Rng) -> anyhow::Result<()> {
        while !self.stopped() {
            self.abuse_once(&mut random)?;
            std::thread::sleep(Duration::from_millis(random.random_range(5..200)));
        }
        Ok(())
    }

    fn abuse_once(&self, random: &mut ChaCha8Rng) -> anyhow::Result<()> {
        let version = |mem: &Mapping| mem.read_u16(uapi::MB_VERSION);
        match random.random_range(0..20) {
            0..=2 => {
                let mem = self.map()?;
                version(&mem)?;
                self.done("map");
            }
            3..=6 => {
                let mut mem = self.map()?;
                for _ in 0..random.random_range(1..4) {
                    mem.relocate().context("mremap")?;
                    version(&mem)?;
                }
                self.done("move");
            }
            7..=8 => {
                let mut mem = self.map()?;
                let pages = random.random_range(1..mem.size() / PAGE);
                let size = NonZeroUsize::new(pages * PAGE).context("no page")?;
                mem.resize(size).context("mremap to a smaller size")?;
                version(&mem)?;
                self.done("shrink");
            }
            9 => {
                let mut mem = self.map()?;
                let more = mem.size() + random.random_range(1..256) * PAGE;
                let size = NonZeroUsize::new(more).context("no page")?;
                if mem.resize(size).is_ok() {
                    bail!(
                        "a mapping of {} bytes could grow to {more}",
                        self.info.map_size
                    );
                }
                self.done("grow refused");
            }
            10..=11 => {
                let mem = self.map()?;
                let all = mem.size() / PAGE;
                let first = random.random_range(0..all);
                let pages = random.random_range(1..=all - first);
                mem.tear(first, pages).context("munmap")?;
                self.done("tear");
            }
            12 => {
                let size = random.random_range(1..4 * self.info.map_size);
                let size = NonZeroUsize::new(size).context("no page")?;
                if size.get().div_ceil(PAGE) != self.info.map_size.div_ceil(PAGE) {
                    if Mapping::new(self.file, size).is_ok() {
                        bail!("{size} bytes could be mapped of {}", self.info.map_size);
                    }
                    self.done("map of a wrong size refused");
                }
            }
            13 => match node::open(self.info) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => self.done("open refused"),
                Err(error) => bail!("second open: {error}"),
                Ok(_) => bail!("the node could be opened twice"),
            },
            14..=17 => {
                let mem = self.map()?;
                let area = self.solid().next_multiple_of(PAGE);
                let words: Vec<_> = (0..random.random_range(1..32))
                    .map(|_| {
                        let offset = random.random_range(area / 4..mem.size() / 4) * 4;
                        (offset, random.random_bool(0.5).then(|| random.next_u32()))
                    })
                    .collect();
                match wait(mem.touch_in_child(&words).context("fork")?)? {
                    WaitStatus::Exited(..) => self.done("fork, data touched"),
                    _ => self.done("fork, SIGBUS"),
                }
            }
            _ => {
                let mem = self.map()?;
                // With a group to set, the standard library forks, so that the child inherits the
                // mappings until it execs; the node stays open in it after that.
                let mut child = Command::new("/bin/sleep")
                    .arg("0.02")
                    .gid(getgid().as_raw())
                    .stdin(Stdio::from(self.file.try_clone()?))
                    .spawn()
                    .context("/bin/sleep")?;
                drop(mem);
                self.done("exec");
                child.wait()?;
            }
        }
        Ok(())
    }
}

/// Numbers that may matter where lengths, ids and positions are expected, and others.
pub fn interesting(random: &mut ChaCha8Rng) -> u32 {
    match random.random_range(0..8) {
        0 => 0,
        1 => u32::MAX,
        2 => 1 << random.random_range(0..32),
        3 => random.random_range(0..1024),
        4 => random.random_range(0..1 << 20) & !7,
        _ => random.next_u32(),
    }
}

/// Waits for the end of a child.
fn wait(child: Pid) -> anyhow::Result<WaitStatus> {
    let end = Instant::now() + CHILD_LIMIT;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::StillAlive if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(1));
            }
            WaitStatus::StillAlive => bail!("child {child} does not end"),
            status => return Ok(status),
        }
    }
}
