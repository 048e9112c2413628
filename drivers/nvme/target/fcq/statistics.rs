// SPDX-License-Identifier: GPL-2.0

//! What is counted, for all target queues together.
//!
//! What every command would have to count is not counted.

use crate::{
    entry::NvmetFc,
    ext::counts::counts, //
};

counts! {
    /// Counts since the module was loaded.
    static STATISTICS: Statistics, in c"nvmet_fc" / c"queues" of NvmetFc {
        /// Target queues that are there.
        queues,
        /// Commands that had to wait for a job.
        deferred,
        /// Of these, those that wait no longer: the LLDD was told so.
        defer_rcv,
        /// Of these, those that got a job.
        promoted,
        /// Of those with a job, the ones that were aborted, or their queue deleted, before they
        /// began.
        cancelled,
        /// Commands that were refused because as many as the queue has entries were waiting.
        refused_full,
        /// Commands that were refused because the LLDD cannot have them wait.
        refused_no_deferral,
        /// Commands that were refused because their queue was just being deleted.
        refused_closed,
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
