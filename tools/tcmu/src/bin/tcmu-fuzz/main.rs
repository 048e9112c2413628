// SPDX-License-Identifier: GPL-2.0
//! A hostile daemon: attacks the kernel through the shared memory of one device.

mod attack;
mod batch;
mod chaos;
mod class;
mod judge;
mod load;
mod node;
mod plan;
mod probe;
mod report;
mod view;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use tcmu::device::{self, SYSFS_UIO};

use attack::{Attack, Options};
use class::Class;
use plan::{Only, Phase, Steps};

/// Attacks the kernel's TCM user-space backend (target_core_user) as a daemon could.
#[derive(Debug, Parser)]
#[command(name = "tcmu-fuzz", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a device, badly; the last line of the output is JSON
    Run(RunArgs),
    /// Read and write random places of a disk, whatever it answers, until a signal comes
    Load(LoadArgs),
    /// Print choices of a seed; no device is needed
    Plan(PlanArgs),
}

#[derive(Debug, Args)]
struct Choices {
    /// Decides everything that is chosen. The timing of threads and of the kernel is not part of it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this class beside honest completions; may be repeated
    #[arg(long = "class", value_enum, value_name = "CLASS")]
    classes: Vec<Class>,
    /// Only phases of this kind; may be repeated
    #[arg(long = "phase", value_enum, value_name = "PHASE")]
    kinds: Vec<Phase>,
    /// Factor for how often the ring is broken
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    breaks: u32,
    /// Number of the first phase: with --phases 1 it is what is done again
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_phase: u64,
    /// Number of phases [default: as many as --count needs]
    #[arg(long, value_name = "N")]
    phases: Option<u64>,
}

impl Choices {
    fn only(&self) -> Only {
        Only {
            classes: self.classes.clone(),
            phases: self.kinds.clone(),
            breaks: self.breaks,
        }
    }
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Name of the configfs device, or HOST/NAME
    #[arg(long, value_name = "NAME")]
    device: String,
    /// Completions that are not honest
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// End after so many seconds at the latest
    #[arg(long)]
    seconds: Option<u64>,
    /// Completions of a phase, a quarter of it with scribblers
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    phase_length: u64,
    /// Give up if no command comes for so many seconds
    #[arg(long, value_name = "SECS", default_value_t = 60)]
    stall: u64,
    #[command(flatten)]
    choices: Choices,
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// The disk
    #[arg(long)]
    disk: PathBuf,
    /// Decides places and sizes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests at once
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..256))]
    threads: u64,
    /// Bytes of the largest request
    #[arg(long, default_value_t = 64 << 10, value_parser = clap::value_parser!(u64).range(512..1 << 24))]
    most: u64,
}

#[derive(Debug, Args)]
struct PlanArgs {
    /// Choices of each phase
    #[arg(long, default_value_t = 20)]
    steps: usize,
    #[command(flatten)]
    choices: Choices,
}

fn run(args: &RunArgs) -> anyhow::Result<bool> {
    let info = device::find(Path::new(SYSFS_UIO), &args.device)?;
    let choices = &args.choices;
    let options = Options {
        seed: choices.seed,
        count: args.count,
        limit: args.seconds.map(Duration::from_secs),
        phase_length: args.phase_length,
        first_phase: choices.first_phase,
        phases: choices.phases,
        only: choices.only(),
        stall: Duration::from_secs(args.stall),
    };
    let mut attack = Attack::new(info, options)?;
    println!("ready, seed {}", choices.seed);
    let result = attack.run();
    let report = attack.report();
    println!("{}", report.progress());
    for line in report.table() {
        println!("{line}");
    }
    println!("{}", report.json(choices.seed));
    result?;
    Ok(report.wrong() == 0)
}

fn print_plan(args: &PlanArgs) {
    let choices = &args.choices;
    let only = choices.only();
    let first = choices.first_phase;
    for number in first..first.saturating_add(choices.phases.unwrap_or(1)) {
        let phase = plan::phase(choices.seed, number, &only);
        println!("phase {number} {}", phase.name());
        for step in Steps::new(choices.seed, number, &only).take(args.steps) {
            let hold = step
                .hold
                .map_or_else(String::new, |ms| format!(" hold {ms} ms"));
            let kick = if step.kick { " kick" } else { "" };
            println!(
                "{} {:#x} {:#x}{hold}{kick}",
                step.class.name(),
                step.a,
                step.b
            );
        }
    }
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Load(args) => {
            load::run(&args.disk, args.seed, args.threads, args.most as usize).map(|()| true)
        }
        Command::Plan(args) => {
            print_plan(&args);
            Ok(true)
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tcmu-fuzz: {error:#}");
            ExitCode::from(3)
        }
    }
}
