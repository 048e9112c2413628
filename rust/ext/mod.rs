// SPDX-License-Identifier: GPL-2.0

//! What the kernel crate does not have, written as it would be there.
//!
//! A module cannot change the kernel crate, so each Rust object of this project mounts this folder
//! once, as `ext` at its root, and names in its Kbuild file the parts that it uses
//! (`rust-ext-...`): a part brings the symbols that it calls, and with them the modules that have
//! these symbols.
//!
//! Nothing here knows of SCSI, or of any other subsystem.

pub mod bindings;
pub mod foreign;
pub mod module;

#[cfg(ext_completion)]
pub mod completion;
#[cfg(ext_counts)]
pub mod counts;
#[cfg(ext_debugfs)]
pub mod debugfs;
#[cfg(ext_genl)]
pub mod genl;
#[cfg(ext_global)]
pub mod global;
#[cfg(ext_kunit)]
pub mod kunit;
#[cfg(ext_list)]
pub mod list;
#[cfg(ext_lock)]
pub mod lock;
#[cfg(ext_memalloc)]
pub mod memalloc;
#[cfg(ext_object)]
pub mod object;
#[cfg(ext_output)]
pub mod output;
#[cfg(ext_page)]
pub mod page;
#[cfg(ext_parameter)]
pub mod parameter;
#[cfg(ext_ratelimit)]
pub mod ratelimit;
#[cfg(ext_scatterlist)]
pub mod scatterlist;
#[cfg(ext_uio)]
pub mod uio;
#[cfg(ext_work)]
pub mod work;
