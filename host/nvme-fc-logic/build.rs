// SPDX-License-Identifier: GPL-2.0

//! Makes the copies of the logic for `tests/mutants` and `tests/limit`, see `mutations.rs`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

mod mutations;

use mutations::{Mutation, LIMIT, MUTATIONS};

/// The kernel's files.
const LOGIC: &str = "../../drivers/nvme/host/fcgate/logic";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=mutations.rs");
    println!("cargo::rerun-if-changed={LOGIC}");
    copy("mutants", MUTATIONS)?;
    copy("limit", LIMIT)
}

/// Makes a copy with these mutations, and `name.rs` to include, which mounts it.
fn copy(name: &str, mutations: &[Mutation]) -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let folder = out.join(name);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(LOGIC)? {
        let entry = entry?;
        fs::write(folder.join(entry.file_name()), fs::read(entry.path())?)?;
    }
    for mutation in mutations {
        mutate(&folder, mutation)?;
    }
    let root = format!(
        "#[path = {:?}]\npub(crate) mod logic;\n",
        folder.join("mod.rs")
    );
    fs::write(out.join(name).with_extension("rs"), root)
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
