// SPDX-License-Identifier: GPL-2.0

//! Makes the copy of the logic for `tests/mutants`, see `mutations.rs`.

use std::io;

mod mutations;

use mutations::MUTATIONS;

fn main() -> io::Result<()> {
    mutation::copy(
        "../../drivers/infiniband/ulp/iser/conn/logic",
        &[("mutants", MUTATIONS)],
    )
}
