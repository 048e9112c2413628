// SPDX-License-Identifier: GPL-2.0

//! The logic of tcmu, without kernel types.
//!
//! These files need nothing but `core` and have no `unsafe`. The kernel module and a host crate
//! that tests them (`host/tcmu-logic`) are compiled from the same files. What the logic needs of
//! its surroundings comes through the traits of [`ops`] and [`alloc`].
//!
//! [`Engine`] ties the parts together and says which properties hold. The modules are visible for
//! their tests; the driver uses what is named below.

#![deny(unsafe_code)]

pub(crate) mod alloc;
pub(crate) mod data_area;
pub(crate) mod engine;
pub(crate) mod growth;
pub(crate) mod ids;
pub(crate) mod number;
pub(crate) mod ops;
pub(crate) mod parameters;
pub(crate) mod replies;
pub(crate) mod ring;
pub(crate) mod sam;
pub(crate) mod slots;
pub(crate) mod timeouts;
pub(crate) mod tmr_queue;
pub(crate) mod uapi;

pub(crate) use alloc::{
    Array,
    Memory,
    NoMemory, //
};
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
pub(crate) use ops::{
    Command,
    Completer,
    Completion,
    DataIo,
    Direction,
    RingIo, //
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
pub(crate) use slots::SlotIndex;
pub(crate) use timeouts::{
    delay_ms,
    QfullTimeout,
    Timeouts,
    MOST_MS, //
};
pub(crate) use tmr_queue::TmrKind;
