// SPDX-License-Identifier: GPL-2.0

//! Logic of the tcmu backend: pure logic without kernel types.
//!
//! These files depend on `core` alone and contain no `unsafe`, so the very same files are compiled
//! into the kernel module and into a host crate (`tools/policy`) that tests them. What the logic
//! needs of its surroundings comes through three small traits: [`Array`] (memory that may be
//! refused), [`Host`] (shared memory, data pages, answers to LIO) and [`Command`] (a SCSI command).
//!
//! [`Engine`] ties the parts together; its documentation states the properties that hold.
//! The modules are visible beside it for the sake of their tests; the driver uses what is named
//! below.

#![deny(unsafe_code)]

pub(crate) mod data_area;
pub(crate) mod engine;
pub(crate) mod growth;
pub(crate) mod ids;
pub(crate) mod number;
pub(crate) mod parameters;
pub(crate) mod replies;
pub(crate) mod ring;
pub(crate) mod seam;
pub(crate) mod slots;
pub(crate) mod timer;
pub(crate) mod tmr_queue;
pub(crate) mod uapi;

pub(crate) use data_area::Blocks;
pub(crate) use engine::{
    Config,
    Engine,
    Refusal,
    ResetStatus,
    Snapshot, //
};
pub(crate) use number::{
    decimal,
    signed,
    unsigned,
    NumberError, //
};
pub(crate) use parameters::{
    options,
    Clamped,
    ControlOption,
    Invalid,
    Sizes,
    CONFIG_LEN,
    DEFAULT_MAX_DATA_AREA_MB, //
};
pub(crate) use replies::{
    EventId,
    Replies,
    Socket, //
};
pub(crate) use ring::Broken;
pub(crate) use seam::{
    Answer,
    Array,
    Command,
    Direction,
    Host,
    Memory,
    NoMemory, //
};
pub(crate) use slots::SlotIndex;
pub(crate) use timer::{
    delay_ms,
    MOST_MS, //
};
pub(crate) use tmr_queue::TmrKind;
pub(crate) use uapi::RING_OFFSET;
