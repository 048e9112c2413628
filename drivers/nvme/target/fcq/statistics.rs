// SPDX-License-Identifier: GPL-2.0

//! What is counted, for all target queues together, and the file in debugfs that shows it.
//!
//! The file is the module's, not a queue's: a queue is freed with the last of its commands, and
//! removing a file waits for its readers. What every command would have to count is not counted.

use kernel::{
    fmt,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use crate::{
    entry::NvmetFc,
    ext::{
        debugfs::{
            Dir,
            File,
            Show, //
        },
        global::global_mutex, //
    },
};

/// Counts since the module was loaded. All wrap.
pub(crate) struct Statistics {
    /// Target queues that are there.
    pub(crate) queues: Count,
    /// Commands that had to wait for a job.
    pub(crate) deferred: Count,
    /// Of these, those that wait no longer: the LLDD was told so.
    pub(crate) defer_rcv: Count,
    /// Of these, those that got a job.
    pub(crate) promoted: Count,
    /// Of those with a job, the ones that were aborted, or their queue deleted, before they began.
    pub(crate) cancelled: Count,
    /// Commands that were refused because as many as the queue has entries were waiting.
    pub(crate) refused_full: Count,
    /// Commands that were refused because the LLDD cannot have them wait.
    pub(crate) refused_no_deferral: Count,
    /// Commands that were refused because their queue was just being deleted.
    pub(crate) refused_closed: Count,
}

/// The counts.
pub(crate) static STATISTICS: Statistics = Statistics {
    queues: Count::new(),
    deferred: Count::new(),
    defer_rcv: Count::new(),
    promoted: Count::new(),
    cancelled: Count::new(),
    refused_full: Count::new(),
    refused_no_deferral: Count::new(),
    refused_closed: Count::new(),
};

/// A number that all threads may change.
pub(crate) struct Count(Atomic<usize>);

impl Count {
    const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Adds to it.
    pub(crate) fn add(&self, number: usize) {
        self.0.fetch_add(number, Relaxed);
    }

    fn sub(&self, number: usize) {
        self.0.fetch_sub(number, Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A queue that is counted as long as it has this value.
pub(crate) struct Counted(());

impl Counted {
    /// One more.
    pub(crate) fn new() -> Self {
        STATISTICS.queues.add(1);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        STATISTICS.queues.sub(1);
    }
}

/// What the file shows: a name and a number a line.
struct Shown;

impl Show for Shown {
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistics {
            queues,
            deferred,
            defer_rcv,
            promoted,
            cancelled,
            refused_full,
            refused_no_deferral,
            refused_closed,
        } = &STATISTICS;
        writeln!(out, "queues {}", queues.get())?;
        writeln!(out, "deferred {}", deferred.get())?;
        writeln!(out, "defer_rcv {}", defer_rcv.get())?;
        writeln!(out, "promoted {}", promoted.get())?;
        writeln!(out, "cancelled {}", cancelled.get())?;
        writeln!(out, "refused_full {}", refused_full.get())?;
        writeln!(out, "refused_no_deferral {}", refused_no_deferral.get())?;
        writeln!(out, "refused_closed {}", refused_closed.get())
    }
}

global_mutex! {
    /// The file, as long as the module is there.
    static FILE: Option<File<Shown>> = None;
}

/// Makes the file `nvmet_fc/queues`. Without memory there is none.
pub(crate) fn show() {
    let file = || -> Result<_> {
        let dir = Dir::<NvmetFc>::new(c"nvmet_fc")?;
        Ok(dir.file(c"queues", Arc::new(Shown, GFP_KERNEL)?))
    };
    *FILE.lock() = file().ok();
}

/// Removes it.
pub(crate) fn hide() {
    let file = FILE.lock().take();
    drop(file);
}
