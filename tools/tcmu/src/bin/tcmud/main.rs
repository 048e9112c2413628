// SPDX-License-Identifier: GPL-2.0
//! Command line of the TCM user-space daemon.

mod clients;
mod ctl;
mod events;
mod serve;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::json;
use tracing::level_filters::LevelFilter;

use tcmu::device::{self, SYSFS_UIO};
use tcmu::engine::OnTmr;
use tcmu::hold::Spec;
use tcmu::scsi::backing::BackingSpec;

/// Serves disks to the kernel's TCM user-space backend (target_core_user).
#[derive(Debug, Parser)]
#[command(name = "tcmud", version)]
struct Cli {
    /// More about what happens on stderr; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve one device until it is removed or a signal comes
    Serve(ServeArgs),
    /// Send one request to the control socket of a daemon and print the answer
    Ctl(CtlArgs),
    /// List TCM user-space devices as JSON lines
    List,
    /// Print device events of the kernel as JSON lines, and answer them if asked to
    Events(EventsArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    target: Target,
    /// ram:SIZE, file:PATH, or file:PATH,size=SIZE to make the file; SIZE in bytes or with K, M, G
    #[arg(long)]
    backing: BackingSpec,
    /// Bytes in a block
    #[arg(long, default_value_t = 512)]
    block_size: u32,
    /// Unit serial number [default: name of the device]
    #[arg(long)]
    serial: Option<String>,
    // Not a doc comment: rustdoc would take the brackets for links.
    #[arg(
        long,
        value_name = "SPEC",
        help = "Hold commands: opcode=NUMBER|read|write|all[,lba=FIRST[-LAST]][,count=N]\
                [,delay=MS[,jitter=MS]]; may be repeated"
    )]
    hold: Vec<Spec>,
    /// Chooses the sequence of random delays (jitter)
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// What becomes of held commands that task management names
    #[arg(long, value_enum, default_value_t = OnTmrArg::Cancel)]
    on_tmr: OnTmrArg,
    /// Append every event to this file as JSON lines
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Answer control requests on this UNIX socket
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Seconds to wait for the device to appear
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    wait: u32,
    /// Tell the kernel to wait for replies to the device's events, and reply
    #[arg(long)]
    netlink_reply: bool,
    /// Empty the ring first: 1 has the initiator try leftover commands again, 2 fails them
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=2))]
    reset_ring: Option<u8>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Name of the configfs device, or HOST/NAME
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Node of the UIO device
    #[arg(long, value_name = "PATH")]
    uio: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnTmrArg {
    /// Complete them at once with TASK ABORTED
    Cancel,
    /// Nothing
    Ignore,
}

impl From<OnTmrArg> for OnTmr {
    fn from(arg: OnTmrArg) -> Self {
        match arg {
            OnTmrArg::Cancel => Self::Cancel,
            OnTmrArg::Ignore => Self::Ignore,
        }
    }
}

#[derive(Debug, Args)]
struct CtlArgs {
    /// The daemon's socket
    #[arg(long, value_name = "SOCKET")]
    control: PathBuf,
    /// Seconds to wait for the answer
    #[arg(long, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    #[arg(
        required = true,
        help = "hold SPEC, unhold, held, release ID|all, cancel ID|all, complete ID STATUS, \
                on-tmr cancel|ignore, pause, resume, stats, sense KEY ASC ASCQ [SPEC], quit"
    )]
    words: Vec<String>,
}

#[derive(Debug, Args)]
struct EventsArgs {
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after so many seconds; with --count it is then a failure
    #[arg(long, value_name = "SECS")]
    timeout: Option<u32>,
    /// Reply to each event: 0, or a negative errno with which the operation is to fail
    #[arg(
        long,
        value_name = "STATUS|none",
        default_value = "none",
        allow_hyphen_values = true
    )]
    reply: Reply,
    /// First tell the kernel whether to wait for replies
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..=1))]
    set_features: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Reply(Option<i32>);

impl std::str::FromStr for Reply {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            status => status.parse().map(Some).map(Self),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .init();
    let result = match cli.command {
        Command::Serve(args) => serve::serve(&args).map(|()| true),
        Command::Ctl(args) => {
            let timeout = Duration::from_secs(args.timeout.into());
            ctl::request(&args.control, &args.words.join(" "), timeout)
        }
        Command::List => list().map(|()| true),
        Command::Events(args) => events::print(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tcmud: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> anyhow::Result<()> {
    for found in device::discover(Path::new(SYSFS_UIO)).context("cannot list UIO devices")? {
        let line = json!({
            "uio": found.path(),
            "host": found.host,
            "name": found.name,
            "config": found.config,
            "map_size": found.map_size,
        });
        print_line(&line.to_string())?;
    }
    Ok(())
}

/// Prints a line that a script may be waiting for.
fn print_line(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to stdout")
}

/// Nanoseconds of CLOCK_MONOTONIC.
fn monotonic_ns() -> u64 {
    use nix::time::{clock_gettime, ClockId};
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        // Neither part is ever negative.
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}
