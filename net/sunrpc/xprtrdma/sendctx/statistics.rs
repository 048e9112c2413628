// SPDX-License-Identifier: GPL-2.0

//! What is counted, for all connections together.

use crate::{
    entry::Rpcrdma,
    ext::counts::counts, //
};

counts! {
    /// Counts since the module was loaded.
    static STATISTICS: Statistics, in c"rpcrdma" / c"sendctx" of Rpcrdma {
        /// Sends that were posted, each batch when its signalled Send is.
        posted,
        /// Of these, those whose completion the device reports.
        signaled,
        /// Completions that gave back contexts.
        completions,
        /// Sends whose contexts were given back, by a completion or at the end of a connection.
        released,
        /// Pages that are mapped for Sends that were posted and not given back.
        mapped_pages,
        /// Completions of no outstanding Send.
        completions_not_posted,
    }
}
