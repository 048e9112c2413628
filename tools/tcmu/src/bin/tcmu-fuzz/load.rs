// SPDX-License-Identifier: GPL-2.0
//! Reads and writes that take what comes: no answer surprises them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::fcntl::OFlag;
use rand::rngs::ChaCha8Rng;
use rand::RngExt;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::plan::generator;

/// Bytes of a logical block.
const BLOCK: usize = 512;

/// Alignment of buffers for direct I/O.
const ALIGN: usize = 4096;

/// Reads and writes random places of `disk` until a signal comes.
///
/// # Errors
///
/// If the disk cannot be opened. Errors of reads and writes are counted only.
pub fn run(disk: &Path, seed: u64, threads: u64, most: usize) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signal handler")?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_DIRECT.bits())
        .open(disk)
        .with_context(|| format!("{}", disk.display()))?;
    let size = std::io::Seek::seek(&mut &file, std::io::SeekFrom::End(0))? as usize;
    anyhow::ensure!(
        most >= BLOCK && size >= most,
        "{size} bytes of disk, {most} at once"
    );
    let load = Load {
        file,
        size,
        most,
        stop: &stop,
        good: AtomicU64::new(0),
        bad: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        for number in 0..threads {
            let load = &load;
            scope.spawn(move || load.work(generator(seed, number, 3)));
        }
    });
    println!(
        "load: {} good, {} failed",
        load.good.load(Ordering::Relaxed),
        load.bad.load(Ordering::Relaxed)
    );
    Ok(())
}

struct Load<'a> {
    file: File,
    /// Bytes of the disk.
    size: usize,
    /// Bytes of the largest request.
    most: usize,
    stop: &'a AtomicBool,
    good: AtomicU64,
    bad: AtomicU64,
}

impl Load<'_> {
    fn work(&self, mut random: ChaCha8Rng) {
        let mut space = vec![0; self.most + ALIGN];
        let start = space.as_ptr().align_offset(ALIGN);
        let buffer = &mut space[start..start + self.most];
        while !self.stop.load(Ordering::Relaxed) {
            let blocks = random.random_range(1..=self.most / BLOCK);
            let place = random.random_range(0..=self.size / BLOCK - blocks) * BLOCK;
            let part = &mut buffer[..blocks * BLOCK];
            let size = part.len();
            let start = Instant::now();
            let done = if random.random_bool(0.5) {
                self.file.read_at(part, place as u64)
            } else {
                self.file.write_at(part, place as u64)
            };
            match done {
                Ok(count) if count == size => self.good.fetch_add(1, Ordering::Relaxed),
                _ => {
                    // A disk that is off line refuses at once: asking again and again would only
                    // take the processor from whoever brings it back.
                    if start.elapsed() < Duration::from_millis(5) {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    self.bad.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
    }
}
