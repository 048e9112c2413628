// SPDX-License-Identifier: GPL-2.0

//! Mistakes that a logic does not have: what shows that its tests can fail.
//!
//! A build script makes a copy of the kernel's files in which each mistake can be switched on, for
//! one test alone; the files themselves know nothing of it. The test has a module `rules` with an
//! `enum Rule`, a variant for each mistake, and `fn is_on(Rule) -> bool`, and mounts the copy:
//!
//! ```text
//! include!(concat!(env!("OUT_DIR"), "/mutants.rs"));
//! ```

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// A mistake, and how the source reads with it.
pub struct Mutation {
    /// Name of the variant of `rules::Rule`.
    pub rule: &'static str,
    /// The file, from the folder of the logic.
    pub file: &'static str,
    /// What the source says, exactly once: the build sends whoever changes it to the mutation.
    pub from: &'static str,
    /// What it says instead; `ON` is whether the mistake is switched on.
    pub to: &'static str,
}

/// Makes a copy of the folder `logic` for each test in `copies`, with the mutations beside its name.
///
/// `NAME.rs` in `OUT_DIR` is what the test includes: it has the copy as the module `logic`. Paths
/// are from the folder of the package, where Cargo runs its build script.
///
/// # Errors
///
/// A file that cannot be read or written, or a mutation that does not find its place exactly once.
pub fn copy(logic: &str, copies: &[(&str, &[Mutation])]) -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=mutations.rs");
    println!("cargo::rerun-if-changed={logic}");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?;
    for (name, mutations) in copies {
        let folder = PathBuf::from(&out).join(name);
        copy_folder(Path::new(logic), &folder)?;
        for mutation in *mutations {
            mutate(logic, &folder, mutation)?;
        }
        let root = format!(
            "#[path = {:?}]\npub(crate) mod logic;\n",
            folder.join("mod.rs")
        );
        fs::write(folder.with_extension("rs"), root)?;
    }
    Ok(())
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

fn mutate(logic: &str, copy: &Path, mutation: &Mutation) -> io::Result<()> {
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
            "{logic}/{file} has {found} times what rule {rule} of mutations.rs replaces:\n{from}"
        )));
    }
    let on = format!("crate::rules::is_on(crate::rules::Rule::{rule})");
    fs::write(path, source.replace(from, &to.replace("ON", &on)))
}
