// SPDX-License-Identifier: GPL-2.0

//! Tests of the logic.

mod command;
mod fingerprint;
mod growth;
mod host;
mod memory;
mod model;
mod properties;
mod rig;
mod scenarios;
mod search;
mod space;
mod user;

mod bidi;
mod coverage;
mod data_area;
mod engine;
mod exhaustive;
mod ids;
mod model_check;
mod number;
mod parameters;
mod publication;
mod replies;
mod ring;
mod slots;
mod state_machine;
mod timeouts;
mod tmr_queue;
mod uapi;

use command::TestCompleter;
use memory::TestMemory;

/// The engine as it is tested.
type TestEngine = crate::logic::engine::Engine<TestCompleter, TestMemory>;
