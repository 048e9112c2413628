// SPDX-License-Identifier: GPL-2.0

//! Makes the copies of the logic for `tests/mutants` and `tests/limit`, see `mutations.rs`.

use std::io;

mod mutations;

use mutations::{LIMIT, MUTATIONS};

fn main() -> io::Result<()> {
    mutation::copy(
        "../../drivers/nvme/host/fcgate/logic",
        &[("mutants", MUTATIONS), ("limit", LIMIT)],
    )
}
