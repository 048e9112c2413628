// SPDX-License-Identifier: GPL-2.0
//! User space of the TCM user-space backend (`target_core_user`).
//!
//! The kernel exports a SCSI device whose commands a process answers through a shared memory region:
//! a mailbox, a ring of entries and a data area (`include/uapi/linux/target_core_user.h`). This crate
//! is that process's side of the contract.
//!
//! | module | what it does |
//! |---|---|
//! | [`uapi`] | constants and layouts of the shared region and of the netlink family |
//! | [`shm`] | the trait through which all shared memory is accessed |
//! | [`map`] | the one implementation on real memory, and the only module with `unsafe` |
//! | [`ring`] | reads entries as owned values, gives slots back, completes out of order |
//! | [`data`] | copies between the data area and private memory along an I/O vector |
//! | [`device`] | finds devices below `/sys/class/uio`, opens and kicks them |
//! | [`netlink`] | events of the `TCM-USER` family and the replies to them |
//! | [`scsi`] | a disk: the commands that `sd`, `sg` and file systems send |
//! | [`hold`] | rules that keep chosen commands back |
//! | [`engine`] | ring, disk and rules together: what a daemon does with each entry |
//! | [`control`] | the line protocol of the daemon's control socket |
//! | [`eventlog`] | one JSON object a line for everything that happens |
//!
//! Nothing read from the shared region is believed: lengths, offsets and counts are checked against
//! the region before they are used, and a violation is an error value, never a panic.

pub mod control;
pub mod data;
pub mod device;
pub mod engine;
pub mod eventlog;
pub mod hold;
pub mod map;
pub mod netlink;
pub mod ring;
pub mod scsi;
pub mod shm;
pub mod uapi;
