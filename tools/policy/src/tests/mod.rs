// SPDX-License-Identifier: GPL-2.0

//! Tests of the policy.

mod command;
mod host;
mod memory;
mod model;
mod rig;
mod space;
mod user;

mod state_machine;

use command::TestCommand;
use memory::TestMemory;

/// The engine as it is tested.
type TestEngine = crate::policy::engine::Engine<TestCommand, TestMemory>;
