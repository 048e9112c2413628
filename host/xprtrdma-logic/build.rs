// SPDX-License-Identifier: GPL-2.0

//! Makes the copies of the logic for `tests/mutants` and `tests/wrap`, see `mutations.rs`.

use std::io;

mod mutations;

use mutations::{MUTATIONS, WRAP};

fn main() -> io::Result<()> {
    mutation::copy(
        "../../net/sunrpc/xprtrdma/sendctx/logic",
        &[("mutants", MUTATIONS), ("wrap", WRAP)],
    )
}
