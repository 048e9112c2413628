// SPDX-License-Identifier: GPL-2.0

//! A RAM disk that wants to know what is aborted: the smallest backend with `tmr_notify`.
//!
//! It shows what a backend of its own has to write on top of `rust/target`. LIO emulates the
//! disk, so that only reads and writes arrive here. With the attribute `hold` set they are kept
//! instead of executed, as a slow medium would; what a task management function aborts among them
//! is answered at once, all others by the action `release`. Attributes count what happened:
//! `aborts_told`, `resets_told` and `preempts_told` the notifications, `cancelled` the commands.
//!
//! The devices are those of HBAs named `ramtmr_N` in `/sys/kernel/config/target/core`; the file
//! `control` takes `dev_size=BYTES`, a multiple of 512 up to 1 GiB.

#![deny(unsafe_code)]

mod attributes;

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../rust/ext/mod.rs"]
pub mod ext;
#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../rust/target/mod.rs"]
pub mod target;

use ext::output::Output;
use kernel::{
    fmt::{
        self,
        Write as _, //
    },
    new_mutex,
    prelude::*,
    str::{
        BStr,
        CString, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        ArcBorrow,
        Mutex, //
    }, //
};
use target::{
    backend::{
        Backend,
        Mode,
        Registration, //
    },
    command::{
        AbortedCommands,
        Command,
        DataDirection,
        Refused,
        SamStatus,
        SenseReason, //
    },
    device::{
        Device,
        Limit, //
    },
    tmr_function::TmrFunction,
};

module! {
    type: RamTmrModule,
    name: "tcm_ramtmr",
    authors: ["The lio-rust developers"],
    description: "RAM disk of the SCSI target that is told of aborted commands",
    license: "GPL",
}

/// Size of a block in bytes.
const BLOCK: u64 = 512;

/// The largest disk in bytes.
const MAX_SIZE: u64 = 1 << 30;

/// What the backend was told of task management, in numbers.
#[derive(Default)]
struct Counters {
    aborts: u64,
    resets: u64,
    preempts: u64,
    cancelled: u64,
}

/// The fields of a disk that its lock protects.
struct Inner {
    memory: VVec<u8>,
    hold: bool,
    /// Commands that are kept; [`Command::set_cookie`] has left the index with each.
    held: KVec<Option<Command>>,
    counters: Counters,
}

impl Inner {
    /// Copies the data of a command and answers it.
    fn execute(&mut self, command: Command) {
        let start = (command.lba() * BLOCK) as usize;
        let end = start + command.data_length() as usize;
        // LIO has checked the range against `get_blocks`.
        if let Some(memory) = self.memory.get_mut(start..end) {
            match command.direction() {
                DataDirection::ToDevice => command.buffer(false, false).read(memory),
                DataDirection::FromDevice => command.buffer(false, true).write(memory),
                DataDirection::None => {}
            }
        }
        command.complete(&SamStatus::GOOD.into());
    }

    /// Keeps a command. On error it is the caller's again.
    fn keep(&mut self, mut command: Command) -> Result<(), Command> {
        let free = self.held.iter().position(Option::is_none);
        let index = free.unwrap_or(self.held.len());
        if free.is_none() && self.held.push(None, GFP_NOWAIT).is_err() {
            return Err(command);
        }
        command.set_cookie(index as u32);
        self.held[index] = Some(command);
        Ok(())
    }
}

/// A disk.
#[pin_data]
struct RamTmr {
    host_id: u32,
    name: CString,
    /// In bytes, 0 if not set.
    size: Atomic<u64>,
    #[pin]
    inner: Mutex<Inner>,
}

impl RamTmr {
    /// Says that something is refused, and why; the result is the error.
    fn refuse(&self, why: fmt::Arguments<'_>) -> Error {
        pr_err!(
            "ramtmr_{}/{}: {why}: {EINVAL:?}\n",
            self.host_id,
            &*self.name
        );
        EINVAL
    }

    /// Executes all commands that are kept.
    fn release(&self) {
        let mut inner = self.inner.lock();
        for index in 0..inner.held.len() {
            if let Some(command) = inner.held[index].take() {
                inner.execute(command);
            }
        }
    }
}

#[vtable]
impl Backend for RamTmr {
    type Module = RamTmrModule;

    const NAME: &'static CStr = c"ramtmr";
    const MODE: Mode = Mode::Emulated;

    fn new(host_id: u32, name: &CStr) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            host_id,
            name: CString::try_from(name)?,
            size: Atomic::new(0),
            inner <- new_mutex!(
                Inner {
                    memory: VVec::new(),
                    hold: false,
                    held: KVec::new(),
                    counters: Counters::default(),
                },
                "RamTmr::inner"
            ),
        })
    }

    fn configure_device(device: ArcBorrow<'_, Device<Self>>) -> Result {
        let size = device.size.load(Relaxed);
        if size == 0 {
            return Err(device.refuse(fmt!("dev_size is not set")));
        }
        let memory = VVec::from_elem(0, size as usize, GFP_KERNEL)?;
        device.inner.lock().memory = memory;
        device.set_limit(Limit::BlockSize, BLOCK as u32);
        device.set_limit(Limit::MaxSectors, 2048);
        device.set_limit(Limit::QueueDepth, 128);
        Ok(())
    }

    fn destroy_device(device: ArcBorrow<'_, Device<Self>>) {
        let memory = core::mem::replace(&mut device.inner.lock().memory, VVec::new());
        drop(memory);
    }

    fn execute_cmd(device: &Device<Self>, command: Command) -> Result<(), Refused> {
        let mut inner = device.inner.lock();
        // `tmr_notify` takes the lock too: an abort is seen here or finds the command there.
        if command.is_aborted() {
            return Err(command.refuse(SenseReason::AbortedCommand));
        }
        if !inner.hold {
            inner.execute(command);
            return Ok(());
        }
        inner
            .keep(command)
            .map_err(|command| command.refuse(SenseReason::OutOfResources))
    }

    fn tmr_notify(device: &Device<Self>, function: TmrFunction, aborted: AbortedCommands<'_>) {
        let mut inner = device.inner.lock();
        let counters = &mut inner.counters;
        match function {
            TmrFunction::AbortTask => counters.aborts += 1,
            TmrFunction::LunReset => counters.resets += 1,
            TmrFunction::LunResetPro => counters.preempts += 1,
            _ => {}
        }
        for index in aborted.flatten() {
            let kept = inner.held.get_mut(index as usize).and_then(Option::take);
            if let Some(command) = kept {
                inner.counters.cancelled += 1;
                command.complete(&SamStatus::TASK_ABORTED.into());
            }
        }
    }

    fn set_configfs_dev_params(device: &Device<Self>, text: &[u8]) -> Result {
        let size = text.trim_ascii().strip_prefix(b"dev_size=").ok_or(EINVAL)?;
        let size = kernel::str::parse_int::ParseInt::from_str(BStr::from_bytes(size))?;
        if device.is_configured() || size == 0 || size % BLOCK != 0 || size > MAX_SIZE {
            let size = fmt!("dev_size must be a multiple of {BLOCK} up to {MAX_SIZE}, set once");
            return Err(device.refuse(size));
        }
        device.size.store(size, Relaxed);
        Ok(())
    }

    fn show_configfs_dev_params(device: &Device<Self>, out: &mut Output<'_>) -> Result {
        Ok(out.write_fmt(fmt!("Size: {}\n", device.size.load(Relaxed)))?)
    }

    fn get_blocks(device: &Device<Self>) -> u64 {
        (device.size.load(Relaxed) / BLOCK).saturating_sub(1)
    }
}

/// What lives as long as the module.
struct RamTmrModule {
    _backend: Registration<RamTmr>,
}

impl kernel::Module for RamTmrModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _backend: Registration::new(attributes::attrib()?, attributes::action()?)?,
        })
    }
}
