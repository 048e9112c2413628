// SPDX-License-Identifier: GPL-2.0

//! What is counted, for all connections together, and the file in debugfs that shows it.
//!
//! The file is the module's, not a connection's: removing a file waits for its readers, and a
//! reader may wait for a mount that is just being connected again.

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
    entry::Rpcrdma,
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
    /// Sends that were posted, each batch when its signalled Send is.
    pub(crate) posted: Count,
    pub(crate) signaled: Count,
    /// Completions that gave back contexts.
    pub(crate) completions: Count,
    /// Sends whose contexts were given back, by a completion or at the end of a connection.
    pub(crate) released: Count,
    /// Pages that are mapped for Sends that were posted and not given back.
    pub(crate) mapped_pages: Count,
    /// Completions of no outstanding Send.
    pub(crate) completions_not_posted: Count,
}

/// The counts.
pub(crate) static STATISTICS: Statistics = Statistics {
    posted: Count::new(),
    signaled: Count::new(),
    completions: Count::new(),
    released: Count::new(),
    mapped_pages: Count::new(),
    completions_not_posted: Count::new(),
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

    /// Subtracts from it.
    pub(crate) fn sub(&self, number: usize) {
        self.0.fetch_sub(number, Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// What the file shows: a name and a number a line.
struct Shown;

impl Show for Shown {
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistics {
            posted,
            signaled,
            completions,
            released,
            mapped_pages,
            completions_not_posted,
        } = &STATISTICS;
        writeln!(out, "posted {}", posted.get())?;
        writeln!(out, "signaled {}", signaled.get())?;
        writeln!(out, "completions {}", completions.get())?;
        writeln!(out, "released {}", released.get())?;
        writeln!(out, "mapped_pages {}", mapped_pages.get())?;
        writeln!(
            out,
            "completions_not_posted {}",
            completions_not_posted.get()
        )
    }
}

global_mutex! {
    /// The file, as long as the module is there.
    static FILE: Option<File<Shown>> = None;
}

/// Makes the file `rpcrdma/sendctx`. Without memory there is none.
pub(crate) fn show() {
    let file = || -> Result<_> {
        let dir = Dir::<Rpcrdma>::new(c"rpcrdma")?;
        Ok(dir.file(c"sendctx", Arc::new(Shown, GFP_KERNEL)?))
    };
    *FILE.lock() = file().ok();
}

/// Removes it.
pub(crate) fn hide() {
    let file = FILE.lock().take();
    drop(file);
}
