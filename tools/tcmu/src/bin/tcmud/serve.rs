// SPDX-License-Identifier: GPL-2.0
//! The daemon: one thread that waits for the device, the control socket, netlink, signals and time.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use tcmu::device::{self, Device, DeviceError, DeviceInfo, SYSFS_UIO};
use tcmu::engine::Engine;
use tcmu::eventlog::EventLog;
use tcmu::map::Mapping;
use tcmu::netlink::{Event, EventKind, Netlink, Setting};
use tcmu::ring::Ring;
use tcmu::scsi::Disk;

use crate::clients::Clients;
use crate::events::{millis, to_json};
use crate::{monotonic_ns, print_line, ServeArgs};

/// Entries handled before anything else gets its turn.
const BATCH: usize = 64;
/// How often to look for the device while it is not there, in nanoseconds.
const LOOK_INTERVAL: u64 = 20_000_000;

/// Runs `tcmud serve`.
pub(crate) fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let backing = args.backing.open().context("cannot open the backing")?;
    let log = match &args.log {
        None => EventLog::default(),
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).open(path);
            let file = file.with_context(|| format!("cannot open {}", path.display()))?;
            EventLog::new(Box::new(file))
        }
    };
    let mut netlink = args.netlink_reply.then(Replies::new).transpose()?;
    let clients = args.control.as_deref().map(Clients::bind).transpose()?;
    let Some((info, device, ring)) = wait_for_device(args, &mut signals, &mut netlink)? else {
        return Ok(());
    };
    let serial = args.serial.as_deref().unwrap_or(&info.name);
    let disk = Disk::new(backing, args.block_size, serial).map_err(anyhow::Error::msg)?;
    let blocks = disk.blocks();
    let mut engine = Engine::new(ring, disk, Box::new(monotonic_ns), log, args.on_tmr.into());
    engine.seed(args.seed);
    for spec in &args.hold {
        engine.hold(*spec);
    }
    engine.event("ready", || {
        json!({ "uio": info.path(), "device": info.name, "blocks": blocks, "block_size": args.block_size })
    });
    print_line(&format!("ready {}", info.path().display()))?;
    Daemon {
        engine,
        device,
        signals,
        clients,
        netlink,
        info,
    }
    .run()
}

/// Signals that end the daemon, as a stream that can be polled.
struct Signals(UnixStream);

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let (read, write) = UnixStream::pair().context("cannot make a socket pair")?;
        read.set_nonblocking(true)?;
        for signal in [SIGTERM, SIGINT] {
            let write = write.try_clone()?;
            signal_hook::low_level::pipe::register(signal, write)
                .context("cannot handle signals")?;
        }
        Ok(Self(read))
    }

    fn arrived(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 16]), Ok(1..))
    }
}

/// Events of the device that the kernel wants answered.
struct Replies {
    netlink: Netlink,
}

impl Replies {
    fn new() -> anyhow::Result<Self> {
        let mut netlink = Netlink::connect().context("cannot use netlink")?;
        netlink
            .set_features(true)
            .context("the kernel refuses SET_FEATURES")?;
        Ok(Self { netlink })
    }

    /// Answers what came for our device. A handler does not answer for devices of others.
    fn answer(
        &mut self,
        ours: impl Fn(&DeviceNames) -> bool,
        mut handle: impl FnMut(&Event) -> i32,
    ) -> anyhow::Result<()> {
        while let Some(event) = self
            .netlink
            .next_event()
            .context("netlink events were lost")?
        {
            let names = DeviceNames {
                parsed: device::parse_name(&event.device).map(|(host, name, _)| (host, name)),
                uio: format!("uio{}", event.minor),
            };
            if ours(&names) {
                let status = handle(&event);
                if let Err(error) = self.netlink.reply(&event, status) {
                    // Nobody waits: the device has nl_reply_supported set to -1.
                    tracing::info!(%error, device = event.device, "reply refused");
                }
            }
        }
        Ok(())
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        // Nobody will answer any more: do not let the kernel wait.
        if let Err(error) = self.netlink.set_features(false) {
            tracing::warn!(%error, "the kernel keeps waiting for replies");
        }
    }
}

/// The names under which an event's device may have been asked for.
struct DeviceNames {
    parsed: Option<(u32, String)>,
    uio: String,
}

impl DeviceNames {
    fn wanted_by(&self, args: &ServeArgs) -> bool {
        match (&args.target.device, &args.target.uio) {
            (Some(wanted), _) => self
                .parsed
                .as_ref()
                .is_some_and(|(host, name)| wanted == name || *wanted == format!("{host}/{name}")),
            (None, Some(path)) => path
                .file_name()
                .is_some_and(|name| name == self.uio.as_str()),
            (None, None) => false,
        }
    }
}

/// Waits for the device and opens it. `None` if a signal came first.
fn wait_for_device(
    args: &ServeArgs,
    signals: &mut Signals,
    netlink: &mut Option<Replies>,
) -> anyhow::Result<Option<(DeviceInfo, Device, Ring<Mapping>)>> {
    let end = monotonic_ns() + u64::from(args.wait) * 1_000_000_000;
    loop {
        match open_device(args) {
            Ok(opened) => return Ok(Some(opened)),
            // Not there yet, or its node is not.
            Err(DeviceError::NotFound(_)) if monotonic_ns() < end => (),
            Err(error @ DeviceError::NotFound(_)) => {
                return Err(error).with_context(|| format!("waited {} s", args.wait))
            }
            Err(error) => return Err(error.into()),
        }
        let mut fds = vec![PollFd::new(signals.0.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            netlink
                .iter()
                .map(|n| PollFd::new(n.netlink.as_fd(), PollFlags::POLLIN)),
        );
        wait(&mut fds, millis(LOOK_INTERVAL))?;
        if signals.arrived() {
            return Ok(None);
        }
        if let Some(netlink) = netlink {
            // The kernel does not enable the device before we answer.
            netlink.answer(
                |names| names.wanted_by(args),
                |event| i32::from(event.kind == EventKind::Reconfig) * -EOPNOTSUPP,
            )?;
        }
    }
}

/// The status of a reply to a change that the daemon cannot follow.
const EOPNOTSUPP: i32 = Errno::EOPNOTSUPP as i32;

fn open_device(args: &ServeArgs) -> Result<(DeviceInfo, Device, Ring<Mapping>), DeviceError> {
    let sysfs = Path::new(SYSFS_UIO);
    let info = match (&args.target.device, &args.target.uio) {
        (Some(name), _) => device::find(sysfs, name)?,
        (None, Some(node)) => device::info_of_node(sysfs, node)?,
        (None, None) => return Err(DeviceError::NotFound(String::new())),
    };
    let (mut device, mut ring) = Device::open(&info)?;
    if let Some(level) = args.reset_ring {
        // Only after opening it: another daemon's ring stays as it is.
        device::reset_ring(&info.configfs(), level)?;
        ring.resync()?;
    } else {
        // The daemon before may have died between moving the tail and telling the kernel.
        device.kick()?;
    }
    Ok((info, device, ring))
}

fn wait(fds: &mut [PollFd<'_>], timeout: PollTimeout) -> anyhow::Result<()> {
    match poll(fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno).context("poll"),
    }
}

struct Daemon {
    engine: Engine<Mapping>,
    device: Device,
    signals: Signals,
    clients: Option<Clients>,
    netlink: Option<Replies>,
    info: DeviceInfo,
}

impl Daemon {
    fn run(mut self) -> anyhow::Result<()> {
        match self.serve() {
            Ok(reason) => {
                self.engine.event("exit", || json!({ "reason": reason }));
                Ok(())
            }
            Err(error) => {
                self.engine
                    .event("error", || json!({ "message": format!("{error:#}") }));
                self.engine.event("exit", || json!({ "reason": "error" }));
                Err(error)
            }
        }
    }

    /// Serves the device until there is a reason to end, which is returned.
    fn serve(&mut self) -> anyhow::Result<&'static str> {
        match self.turns() {
            Ok(reason) => {
                // The next handler must not find commands that nobody answers.
                self.engine.shut_down()?;
                match self.kick() {
                    Ok(()) | Err(DeviceError::Removed) => Ok(reason),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => match error.downcast_ref() {
                Some(DeviceError::Removed) => Ok("removed"),
                _ => Err(error),
            },
        }
    }

    fn turns(&mut self) -> anyhow::Result<&'static str> {
        loop {
            // Before waiting for the first time too: what was there before opening raises no event.
            let more = self.engine.process(BATCH)?;
            self.engine.expire()?;
            self.kick()?;
            if let Some(error) = self.engine.take_log_error() {
                return Err(error).context("cannot write the event log");
            }
            let timeout = match self.engine.next_deadline() {
                _ if more => PollTimeout::ZERO,
                Some(deadline) => millis(deadline.saturating_sub(monotonic_ns())),
                None => PollTimeout::NONE,
            };
            let ready = self.poll(timeout)?;
            if ready.device {
                self.device.take_events()?;
            }
            if ready.signal && self.signals.arrived() {
                return Ok("signal");
            }
            if let (true, Some(clients)) = (ready.others, &mut self.clients) {
                let (engine, device) = (&mut self.engine, &mut self.device);
                clients.serve(|line| -> anyhow::Result<String> {
                    let answer = engine.control(line)?;
                    // Whoever gets the answer may rely on the kernel having been told.
                    if engine.take_kick() {
                        device.kick()?;
                    }
                    Ok(answer)
                })?;
            }
            if ready.others {
                self.answer_netlink()?;
            }
            if self.engine.quit_requested() {
                return Ok("quit");
            }
        }
    }

    fn kick(&mut self) -> Result<(), DeviceError> {
        if self.engine.take_kick() {
            self.device.kick()?;
        }
        Ok(())
    }

    fn poll(&self, timeout: PollTimeout) -> anyhow::Result<Ready> {
        let fixed = [self.device.as_fd(), self.signals.0.as_fd()];
        let clients = self.clients.iter().flat_map(Clients::fds);
        let netlink = self.netlink.iter().map(|replies| replies.netlink.as_fd());
        let mut fds: Vec<_> = fixed
            .into_iter()
            .chain(clients)
            .chain(netlink)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        wait(&mut fds, timeout)?;
        let any = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        Ok(Ready {
            device: any(&fds[0]),
            signal: any(&fds[1]),
            others: fds[2..].iter().any(any),
        })
    }

    fn answer_netlink(&mut self) -> anyhow::Result<()> {
        let (engine, info) = (&mut self.engine, &self.info);
        let Some(netlink) = &mut self.netlink else {
            return Ok(());
        };
        netlink.answer(
            |names| names.parsed == Some((info.host, info.name.clone())),
            |event| {
                engine.event("netlink", || to_json(event));
                match (event.kind, &event.setting) {
                    (EventKind::Reconfig, Some(Setting::WriteCache(enabled))) => {
                        engine.disk_mut().set_write_cache(*enabled);
                        0
                    }
                    // The disk has the size of its backing, and no configuration string.
                    (EventKind::Reconfig, _) => -EOPNOTSUPP,
                    _ => 0,
                }
            },
        )
    }
}

/// What poll found.
struct Ready {
    device: bool,
    signal: bool,
    /// The control socket, one of its clients, or netlink.
    others: bool,
}
