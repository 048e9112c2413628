// SPDX-License-Identifier: GPL-2.0

//! Makes the copy of the logic for `tests/mutants`, see `mutations.rs`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

mod mutations;

use mutations::{Mutation, MUTATIONS};

/// The kernel's files.
const LOGIC: &str = "../../drivers/nvme/target/fcq/logic";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=mutations.rs");
    println!("cargo::rerun-if-changed={LOGIC}");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let folder = out.join("mutants");
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(LOGIC)? {
        let entry = entry?;
        fs::write(folder.join(entry.file_name()), fs::read(entry.path())?)?;
    }
    for mutation in MUTATIONS {
        mutate(&folder, mutation)?;
    }
    // To include; mounts the copy.
    let root = format!(
        "#[path = {:?}]\npub(crate) mod logic;\n",
        folder.join("mod.rs")
    );
    fs::write(out.join("mutants.rs"), root)
}

fn mutate(copy: &Path, mutation: &Mutation) -> io::Result<()> {
    let &Mutation {
        rule,
        file,
        from,
        to,
    } = mutation;
    let path = copy.join(file);
    let source = fs::read_to_string(&path)?;
    let found = source.matches(from).count();
    if found != 1 {
        return Err(io::Error::other(format!(
            "{LOGIC}/{file} has {found} times what rule {rule} of mutations.rs replaces:\n{from}"
        )));
    }
    let on = format!("crate::rules::is_on(crate::rules::Rule::{rule})");
    fs::write(path, source.replace(from, &to.replace("ON", &on)))
}
