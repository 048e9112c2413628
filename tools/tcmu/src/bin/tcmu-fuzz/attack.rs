// SPDX-License-Identifier: GPL-2.0
//! The hostile daemon: phases, and the loop that completes commands.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{bail, Context};
use rand::rngs::ChaCha8Rng;

use tcmu::device::DeviceInfo;
use tcmu::shm::SharedMemory;
use tcmu::uapi;

use crate::chaos::Shared;
use crate::class::Class;
use crate::node::{Control, Node};
use crate::plan::{self, generator, Only, Phase, Steps};
use crate::probe::Prober;
use crate::report::Report;
use crate::view::{Lost, View};

/// Threads of each kind in a phase.
const THREADS: u64 = 2;

/// Without a command for so long, the ring is emptied.
const QUIET: Duration = Duration::from_secs(3);

/// With fewer commands than that it waits a little for more.
const FEW: usize = 12;

/// A slow phase takes so long at least: what is kept back must be given up meanwhile.
const SLOW: Duration = Duration::from_secs(4);

/// Seconds between lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything is chosen by this.
    pub seed: u64,
    /// Completions that are not honest.
    pub count: u64,
    /// Time after which it ends all the same.
    pub limit: Option<Duration>,
    /// Completions of a phase.
    pub phase_length: u64,
    /// Number of the first phase.
    pub first_phase: u64,
    /// Number of phases.
    pub phases: Option<u64>,
    /// What it is restricted to.
    pub only: Only,
    /// Without a command for so long, it gives up.
    pub stall: Duration,
}

/// A run.
pub struct Attack {
    pub(super) options: Options,
    pub(super) info: DeviceInfo,
    pub(super) control: Control,
    pub(super) node: Node,
    pub(super) view: View,
    prober: Prober,
    pub(super) report: Report,
    /// Phase in which it is.
    pub(super) phase: (u64, Phase),
    /// Numbers beside those of the steps.
    pub(super) noise: ChaCha8Rng,
    /// The fields of the mailbox that the kernel writes only once.
    pub(super) layout: [u8; uapi::MB_CMD_HEAD],
    /// An answer can be late from this age on.
    pub(super) late: Option<Duration>,
    /// The ring is broken since then, or has not completed a command since it was.
    pub(super) broken_since: Option<Instant>,
    /// Completions that the kernel has not been told of.
    pub(super) pending: Vec<Class>,
    /// The tail at the time when the kernel was last told.
    pub(super) told: u32,
    last_command: Instant,
    last_stall: Instant,
    last_progress: Instant,
}

impl Attack {
    /// Takes over a device that nobody serves.
    ///
    /// # Errors
    ///
    /// If it is in use, or is none.
    pub fn new(info: DeviceInfo, options: Options) -> anyhow::Result<Self> {
        let control = Control::new(&info);
        control.reset(1, false)?;
        let prober = Prober::new(control.number("dev_size")? as usize, 512)?;
        let node = Node::open(&info, Duration::from_secs(10))?;
        let layout = node.mem.read_array(0)?;
        let ring_off = node.mem.read_u32(uapi::MB_CMDR_OFF)?;
        let size = node.mem.read_u32(uapi::MB_CMDR_SIZE)?;
        if ring_off as usize != uapi::MAILBOX_SIZE || size < 1 << 19 {
            bail!(
                "a ring of {size} bytes at {ring_off}; needed are {}, and 512 KiB",
                uapi::MAILBOX_SIZE
            );
        }
        // A second later it is over for sure; the kernel rounds up to full seconds.
        let late = control
            .command_timeout()?
            .map(|timeout| timeout + Duration::from_millis(1200));
        Ok(Self {
            noise: generator(options.seed, options.first_phase, 2),
            options,
            info,
            control,
            node,
            prober,
            view: View::new(ring_off, size, 0),
            report: Report::new(),
            phase: (0, Phase::Quiet),
            layout,
            late,
            broken_since: None,
            pending: Vec::new(),
            told: 0,
            last_command: Instant::now(),
            last_stall: Instant::now(),
            last_progress: Instant::now(),
        })
    }

    /// All phases. The report tells what was wrong; errors are what kept it from going on.
    ///
    /// # Errors
    ///
    /// If the device goes away, no commands come, or a thread met something impossible.
    pub fn run(&mut self) -> anyhow::Result<()> {
        let first = self.options.first_phase;
        let last = self
            .options
            .phases
            .map_or(u64::MAX, |count| first.saturating_add(count));
        self.last_command = Instant::now();
        for number in first..last {
            if self.is_over() {
                break;
            }
            self.phase = (
                number,
                plan::phase(self.options.seed, number, &self.options.only),
            );
            self.noise = generator(self.options.seed, number, 2);
            self.run_phase()
                .with_context(|| format!("phase {number} ({})", self.phase.1.name()))?;
        }
        self.report.tmrs = self.view.tmrs;
        Ok(())
    }

    /// The counters.
    pub fn report(&self) -> &Report {
        &self.report
    }

    fn is_over(&self) -> bool {
        self.report.mutated() >= self.options.count
            || self
                .options
                .limit
                .is_some_and(|limit| self.report.elapsed() >= limit)
            || self.report.wrong() >= 20
    }

    fn run_phase(&mut self) -> anyhow::Result<()> {
        let stop = AtomicBool::new(false);
        let scribbles = AtomicU64::new(0);
        let beside = Mutex::new(std::mem::take(&mut self.report.beside));
        let file = self.node.file.try_clone()?;
        let info = self.info.clone();
        let shared = Shared {
            info: &info,
            file: &file,
            stop: &stop,
            scribbles: &scribbles,
            beside: &beside,
            ring_size: self.view.size,
        };
        let (number, phase) = self.phase;
        let seed = self.options.seed;
        let result = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for thread in 0..THREADS {
                if phase.scribbles() {
                    let random = generator(seed, number, 4 + thread);
                    threads.push(scope.spawn(|| shared.scribble(random)));
                }
                if phase.maps() {
                    let random = generator(seed, number, 16 + thread);
                    threads.push(scope.spawn(|| shared.abuse(random)));
                }
            }
            let mut result = self.complete_many(&stop);
            stop.store(true, Ordering::Relaxed);
            for thread in threads {
                match thread.join() {
                    Ok(ended) => result = result.and(ended),
                    Err(_) => result = result.and_then(|()| bail!("a thread panicked")),
                }
            }
            result
        });
        self.report.beside = beside.into_inner().unwrap_or_default();
        self.report.scribbles += scribbles.into_inner();
        result?;
        drop(file);
        if phase.scribbles() {
            self.node.mem.write_bytes(0, &self.layout)?;
            self.reset()?;
        }
        if phase.maps() {
            self.reopen()?;
        }
        Ok(())
    }

    /// Closes the node, with commands in flight, and opens it again.
    fn reopen(&mut self) -> anyhow::Result<()> {
        self.node
            .reopen(&self.info, Duration::from_secs(60))
            .context("open again")?;
        self.report.reopened += 1;
        // The kernel has freed what the last user space had kept.
        self.view.free_kept();
        Ok(())
    }

    /// The completions of one phase.
    fn complete_many(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let (number, _) = self.phase;
        let mut steps = Steps::new(self.options.seed, number, &self.options.only);
        let mut done = 0;
        // Scribbling costs many resets.
        let part = if self.phase.1.scribbles() { 4 } else { 1 };
        let length = self.options.phase_length.div_ceil(part);
        let least = match self.phase.1 {
            Phase::Slow => Some(Instant::now() + SLOW),
            _ => None,
        };
        let goes_on = |done| done < length || least.is_some_and(|end| Instant::now() < end);
        // A thread that met something impossible has set `stop`.
        while goes_on(done) && !self.is_over() && !stop.load(Ordering::Relaxed) {
            self.tell_progress();
            let now = Instant::now();
            self.view.let_go(now);
            let new = match self.read_new(now) {
                Ok(new) => new,
                Err(lost) => {
                    self.lost_track(&lost.to_string())?;
                    continue;
                }
            };
            if new > 0 {
                self.last_command = now;
            }
            if self.view.ready.len() < FEW && new > 0 {
                // More are on the way: what is done with many at once is cheaper for each.
                self.node.wait(Duration::from_millis(2))?;
                continue;
            }
            let count = self.batch(&mut steps)?;
            done += count;
            if count == 0 && new == 0 {
                self.idle(now)?;
            }
        }
        Ok(())
    }

    /// Reads what the kernel has put on the ring.
    pub(super) fn read_new(&mut self, now: Instant) -> Result<usize, Lost> {
        let (mem, prober) = (&self.node.mem, &mut self.prober);
        let honest = !self.phase.1.scribbles();
        self.view.read_new(mem, now, |at| {
            // What scribblers have written there may name memory that nobody has.
            honest.then(|| prober.answer(mem, at)).flatten()
        })
    }

    fn tell_progress(&mut self) {
        if self.last_progress.elapsed() >= PROGRESS {
            self.last_progress = Instant::now();
            let (number, phase) = self.phase;
            println!(
                "phase {number} ({}), {}",
                phase.name(),
                self.report.progress()
            );
        }
    }

    /// Nothing to do: waits for a command.
    fn idle(&mut self, now: Instant) -> anyhow::Result<()> {
        let silence = now.duration_since(self.last_command);
        if silence > self.options.stall {
            let status = self
                .control
                .status()
                .map(|s| s.summary())
                .unwrap_or_default();
            bail!("no command for {:.0} s ({status})", silence.as_secs_f64());
        }
        // Commands that are kept back would hold up whoever waits for them; and after scribbling
        // the kernel and we may disagree on what is there.
        if silence > QUIET && now.duration_since(self.last_stall) > QUIET {
            self.last_stall = now;
            self.report.stalls += 1;
            self.reset()?;
        }
        let limit = if self.view.held.is_empty() { 50 } else { 5 };
        self.node.wait(Duration::from_millis(limit))
    }
}
