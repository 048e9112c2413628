// SPDX-License-Identifier: GPL-2.0
//! The library against a kernel side that lives in this process's memory.

mod engine;
mod hostile;
mod kernel;
mod ring;
mod scsi_blocks;
mod scsi_pages;
