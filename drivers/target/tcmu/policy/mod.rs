// SPDX-License-Identifier: GPL-2.0

//! Policy of the tcmu backend: pure logic without kernel types.
//!
//! These files depend on `core` alone and contain no `unsafe`, so the very same files are compiled
//! into the kernel module and into a host crate (`tools/policy`) that tests them. What the logic
//! needs of its surroundings comes through three small traits: [`Array`] (memory that may be
//! refused), [`Host`] (shared memory, data pages, answers to LIO) and [`Command`] (a SCSI command).
//!
//! [`Engine`] ties the parts together; its documentation states the properties that hold.

#![deny(unsafe_code)]

mod data_area;
mod engine;
mod ids;
mod ring;
mod seam;
mod slots;
mod tmr_queue;
mod uapi;

pub(crate) use data_area::{
    BlockList,
    Blocks,
    DataArea, //
};
pub(crate) use engine::{
    Config,
    Engine,
    Refusal,
    ResetStatus,
    Submitted, //
};
pub(crate) use seam::{
    Answer,
    Array,
    Command,
    Direction,
    Host,
    Memory,
    NoMemory,
    SENSE_SIZE, //
};
pub(crate) use slots::SlotIndex;
pub(crate) use tmr_queue::TmrKind;
pub(crate) use uapi::RING_OFFSET;

pub(crate) use ring::Broken;
