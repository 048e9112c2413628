// SPDX-License-Identifier: GPL-2.0

//! Makes the copy of the logic for `tests/counterexample`, see `mutations.rs`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

mod mutations;

use mutations::{Mutation, MUTATIONS};

/// The kernel's files.
const LOGIC: &str = "../../drivers/target/tcmu/logic";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=mutations.rs");
    println!("cargo::rerun-if-changed={LOGIC}");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let copy = out.join("logic");
    copy_folder(Path::new(LOGIC), &copy)?;
    for mutation in MUTATIONS {
        mutate(&copy, mutation)?;
    }
    let root = format!(
        "#[expect(dead_code, unused_imports, reason = \"as in src/lib.rs\")]\n\
         #[path = {:?}]\nmod logic;\n",
        copy.join("mod.rs")
    );
    fs::write(out.join("logic.rs"), root)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::write(to, fs::read(entry.path())?)?;
        }
    }
    Ok(())
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
