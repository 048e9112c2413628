// SPDX-License-Identifier: GPL-2.0
//! What the daemon does with each entry of the ring.
//!
//! The engine has no threads and never waits: its owner calls it when the device, the clock or the
//! control socket has something, and afterwards kicks the kernel if [`Engine::take_kick`] says so.

use std::fmt;

use serde_json::json;

use crate::control::{Request, Which};
use crate::eventlog::EventLog;
use crate::hold::{HeldCommands, Rules, Spec};
use crate::ring::{Command, Entry, Response, Ring, RingError, Tmr};
use crate::scsi::sense::Sense;
use crate::scsi::{self, Disk};
use crate::shm::SharedMemory;
use crate::uapi;

/// What to do with held commands that a task management notification names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTmr {
    /// Complete them at once with TASK ABORTED.
    Cancel,
    /// Nothing.
    Ignore,
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub type Clock = Box<dyn Fn() -> u64>;

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commands read.
    pub cmds: u64,
    /// Task management notifications read.
    pub tmrs: u64,
    /// Filler entries read.
    pub pads: u64,
    /// Commands completed, cancelled ones included.
    pub completed: u64,
    /// Commands completed because a notification or a request cancelled them.
    pub cancelled: u64,
    /// Resets of the ring seen.
    pub resets: u64,
}

/// Ring, disk and rules together.
pub struct Engine<M> {
    ring: Ring<M>,
    disk: Disk,
    clock: Clock,
    log: EventLog,
    on_tmr: OnTmr,
    /// Delay and most random addition to it, in milliseconds; `None` to hold until released.
    holds: Rules<Option<(u64, u64)>>,
    senses: Rules<Sense>,
    held: HeldCommands,
    paused: bool,
    quit: bool,
    stats: Stats,
    /// For delays; seeded, so that a run can be repeated.
    random: fastrand::Rng,
}

impl<M: SharedMemory> Engine<M> {
    /// An engine that serves `disk` through `ring`.
    pub fn new(ring: Ring<M>, disk: Disk, clock: Clock, log: EventLog, on_tmr: OnTmr) -> Self {
        Self {
            ring,
            disk,
            clock,
            log,
            on_tmr,
            holds: Rules::new(),
            senses: Rules::new(),
            held: HeldCommands::default(),
            paused: false,
            quit: false,
            stats: Stats::default(),
            random: fastrand::Rng::with_seed(0),
        }
    }

    /// Chooses the sequence of random delays, which is that of seed 0 otherwise.
    pub fn seed(&mut self, seed: u64) {
        self.random.seed(seed);
    }

    /// Keeps commands back from now on.
    pub fn hold(&mut self, spec: Spec) {
        let delay = spec.delay_ms.map(|ms| (ms, spec.jitter_ms.unwrap_or(0)));
        self.holds.add(&spec, delay);
    }

    /// The disk.
    pub fn disk_mut(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// The ring.
    pub fn ring(&self) -> &Ring<M> {
        &self.ring
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Whether the `quit` request has come.
    pub fn quit_requested(&self) -> bool {
        self.quit
    }

    /// Whether slots have been given back since the last call: the kernel then wants to be told.
    pub fn take_kick(&mut self) -> bool {
        self.ring.take_kick()
    }

    /// When [`Self::expire`] has something to do, in nanoseconds of the clock.
    pub fn next_deadline(&self) -> Option<u64> {
        self.held.next_deadline()
    }

    /// Writes an event to the log; `fields` is an object.
    pub fn event(&mut self, event: &str, fields: impl FnOnce() -> serde_json::Value) {
        self.log.event((self.clock)(), event, fields);
    }

    /// Why the log stopped, once.
    pub fn take_log_error(&mut self) -> Option<std::io::Error> {
        self.log.take_error()
    }

    /// Reads and handles at most `budget` entries of the ring. Returns whether there may be more.
    ///
    /// # Errors
    ///
    /// If the ring contradicts the uapi. It cannot be used any longer then.
    pub fn process(&mut self, budget: usize) -> Result<bool, RingError> {
        for _ in 0..budget {
            if self.paused {
                return Ok(false);
            }
            match self.ring.next_entry() {
                Ok(Some(entry)) => self.entry(entry)?,
                Ok(None) => return Ok(false),
                Err(RingError::Reset) => self.reset()?,
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Completes the commands whose delay is over.
    ///
    /// # Errors
    ///
    /// Those of [`Self::process`].
    pub fn expire(&mut self) -> Result<(), RingError> {
        let now = (self.clock)();
        while let Some(id) = self.held.expired(now) {
            self.with_held(id, |engine, command| engine.execute(&command))?;
        }
        Ok(())
    }

    /// Answers held commands with BUSY, so that the initiator sends them again to whoever comes next.
    ///
    /// # Errors
    ///
    /// Those of [`Self::process`].
    pub fn shut_down(&mut self) -> Result<(), RingError> {
        const BUSY: u8 = 0x08;
        for id in self.held.ids() {
            self.with_held(id, |engine, command| {
                engine.complete(command.id, &Response::status(BUSY))
            })?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: Entry) -> Result<(), RingError> {
        match entry {
            Entry::Command(command) => self.command(command),
            Entry::Tmr(tmr) => self.tmr(&tmr),
            Entry::Pad(len) => {
                self.stats.pads += 1;
                self.event("pad", || json!({ "len": len }));
                Ok(())
            }
        }
    }

    fn command(&mut self, command: Command) -> Result<(), RingError> {
        let opcode = command.opcode();
        self.stats.cmds += 1;
        self.event("cmd", || {
            json!({
                "id": command.id,
                "opcode": opcode,
                "name": scsi::opcode_name(opcode),
                "cdb": hex(&command.cdb),
                "len": command.data_len(),
            })
        });
        if let Some(sense) = self.senses.apply(&command.cdb) {
            return self.complete(command.id, &sense.response());
        }
        match self.holds.apply(&command.cdb) {
            None => self.execute(&command),
            Some(delay) => {
                let delay_ms = delay.map(|(least, jitter)| least + self.random.u64(0..=jitter));
                let deadline = delay_ms.map(|ms| (self.clock)() + ms * 1_000_000);
                self.event("hold", || json!({ "id": command.id, "delay_ms": delay_ms }));
                self.held.insert(command, deadline);
                Ok(())
            }
        }
    }

    fn tmr(&mut self, tmr: &Tmr) -> Result<(), RingError> {
        self.stats.tmrs += 1;
        self.event("tmr", || {
            json!({
                "type": tmr.tmr_type,
                "type_name": uapi::tmr_type_name(tmr.tmr_type),
                "ids": tmr.ids,
            })
        });
        if self.on_tmr == OnTmr::Cancel {
            for id in &tmr.ids {
                // It may name commands that have been completed meanwhile: with_held skips them.
                self.with_held(*id, |engine, command| engine.cancel(&command))?;
            }
        }
        Ok(())
    }

    /// Takes a held command out and does something with it. `false` if it is not held (any longer).
    fn with_held(
        &mut self,
        id: u16,
        action: impl FnOnce(&mut Self, Command) -> Result<(), RingError>,
    ) -> Result<bool, RingError> {
        // Its data buffer must not be touched after a reset of the ring.
        match self.ring.check_reset() {
            Err(RingError::Reset) => self.reset()?,
            result => result?,
        }
        match self.held.take(id) {
            Some(command) => action(self, command).map(|()| true),
            None => Ok(false),
        }
    }

    fn cancel(&mut self, command: &Command) -> Result<(), RingError> {
        self.stats.cancelled += 1;
        self.event("cancel", || json!({ "id": command.id }));
        self.complete(command.id, &Response::status(scsi::TASK_ABORTED))
    }

    fn execute(&mut self, command: &Command) -> Result<(), RingError> {
        let mut data = self.ring.buffer(&command.iovs);
        let mut response = self.disk.execute(&command.cdb, &mut data);
        if self.ring.flags() & uapi::MAILBOX_FLAG_CAP_READ_LEN == 0 {
            response.read_len = None;
        }
        self.complete(command.id, &response)
    }

    fn complete(&mut self, id: u16, response: &Response) -> Result<(), RingError> {
        match self.ring.complete(id, response) {
            Err(RingError::Reset) => return self.reset(),
            result => result?,
        }
        self.stats.completed += 1;
        self.event("complete", || {
            let mut fields = json!({ "id": id, "status": response.status });
            if !response.sense.is_empty() {
                fields["sense"] = hex(&response.sense).into();
            }
            fields
        });
        Ok(())
    }

    /// The kernel has answered every outstanding command itself: start over with an empty ring.
    fn reset(&mut self) -> Result<(), RingError> {
        self.stats.resets += 1;
        let lost = self.held.ids();
        self.event("reset", || json!({ "ids": lost }));
        self.held.clear();
        self.ring.resync()
    }

    /// Handles one line of the control protocol and returns the answer, without a line feed.
    ///
    /// # Errors
    ///
    /// Those of [`Self::process`]. A bad request is no error but an answer that starts with `error`.
    pub fn control(&mut self, line: &str) -> Result<String, RingError> {
        let request = match line.parse() {
            Ok(request) => request,
            Err(reason) => return Ok(format!("error {reason}")),
        };
        match request {
            Request::Hold(spec) => self.hold(spec),
            Request::Unhold => {
                self.holds.clear();
                self.senses.clear();
            }
            Request::Held => {
                let ids = self.held.ids().into_iter().map(|id| format!(" {id}"));
                return Ok(format!("ok{}", ids.collect::<String>()));
            }
            Request::Release(which) => {
                return self.for_each(which, |engine, command| {
                    engine.event("release", || json!({ "id": command.id }));
                    engine.execute(&command)
                })
            }
            Request::Cancel(which) => {
                return self.for_each(which, |engine, command| engine.cancel(&command))
            }
            Request::Complete(id, response) => {
                return self.for_each(Which::Id(id), |engine, command| {
                    engine.complete(command.id, &response)
                })
            }
            Request::OnTmr(on_tmr) => self.on_tmr = on_tmr,
            Request::Pause => self.set_paused(true),
            Request::Resume => self.set_paused(false),
            Request::Stats => return Ok(format!("ok {self}")),
            Request::Sense(sense, spec) => self.senses.add(&spec, sense),
            Request::Quit => self.quit = true,
        }
        Ok("ok".into())
    }

    /// Does something with held commands; the answer has their number.
    fn for_each(
        &mut self,
        which: Which,
        action: impl Fn(&mut Self, Command) -> Result<(), RingError>,
    ) -> Result<String, RingError> {
        let ids = match which {
            Which::All => self.held.ids(),
            Which::Id(id) => vec![id],
        };
        let mut done = 0;
        for id in ids {
            done += u64::from(self.with_held(id, &action)?);
        }
        Ok(match which {
            Which::Id(id) if done == 0 => format!("error command {id} is not held"),
            _ => format!("ok {done}"),
        })
    }

    fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.event(if paused { "pause" } else { "resume" }, || json!({}));
    }
}

/// The counters as `stats` answers them.
impl<M: SharedMemory> fmt::Display for Engine<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats {
            cmds,
            tmrs,
            pads,
            completed,
            cancelled,
            resets,
        } = self.stats;
        write!(
            f,
            "cmds={cmds} tmrs={tmrs} pads={pads} completed={completed} cancelled={cancelled} resets={resets} \
             held={} outstanding={} paused={}",
            self.held.len(),
            self.ring.outstanding(),
            u8::from(self.paused),
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
