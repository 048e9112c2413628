// SPDX-License-Identifier: GPL-2.0

//! Which Sends are signalled.
//!
//! A device reports the completion of a Send only if it is asked to, which costs an entry in the
//! completion queue, an interrupt and a work item. Sends end in the order in which they were
//! posted, so that one signalled Send speaks for those before it.

/// Decides which Sends are signalled.
///
/// C counterpart: `re_send_batch` and `re_send_count` of `struct rpcrdma_ep`.
///
/// # Invariants
///
/// `left <= batch`: since the last signalled Send, Sends with `batch - left` work requests were
/// posted, those that register memory for them included (S6).
pub(crate) struct SendSignaling {
    /// Most work requests between two signalled Sends.
    batch: u32,
    /// How many of them may still be posted without a signalled one.
    left: u32,
}

/// Most work requests that a batch has, however many requests there are: what it is with the usual
/// 128. A Send that has completed and was not reported keeps its context and its request, and
/// there is little to gain by fewer signalled ones.
const MOST: u32 = 16;

impl SendSignaling {
    /// Begins with a whole batch, of which no Send has been posted.
    ///
    /// `contexts` is the number of Send contexts of the ring. Without a signalled Send among those
    /// that occupy them, nothing would ever complete once they are all in use, so that the batch
    /// is smaller.
    pub(crate) fn new(batch: u32, contexts: usize) -> Self {
        let most = u32::try_from(contexts.saturating_sub(1)).unwrap_or(u32::MAX);
        let batch = batch.min(most).min(MOST);
        Self { batch, left: batch }
    }

    /// A Send is about to be posted, the last of a chain of `wrs` work requests. Whether it is to
    /// be signalled: if it `must`, or does not fit into the rest of the batch.
    pub(crate) fn post(&mut self, wrs: u32, must: bool) -> bool {
        // A Send is a work request itself.
        let wrs = wrs.max(1);
        match self.left.checked_sub(wrs) {
            Some(left) if !must => {
                self.left = left;
                false
            }
            _ => {
                self.left = self.batch;
                true
            }
        }
    }
}
