// SPDX-License-Identifier: GPL-2.0

//! The safe abstraction of LIO, and of the C subsystems that a backend of LIO needs besides.

#![expect(dead_code, reason = "a library of which each backend uses a part")]

#[path = "../lio/attribute.rs"]
pub(crate) mod attribute;
#[path = "../lio/backend.rs"]
pub(crate) mod backend;
#[path = "../lio/bindings.rs"]
pub(crate) mod bindings;
#[path = "../lio/command.rs"]
pub(crate) mod command;
#[path = "../lio/debugfs.rs"]
pub(crate) mod debugfs;
#[path = "../lio/delayed_work.rs"]
pub(crate) mod delayed_work;
#[path = "../lio/genl.rs"]
pub(crate) mod genl;
#[path = "../lio/memalloc.rs"]
pub(crate) mod memalloc;
#[path = "../lio/output.rs"]
pub(crate) mod output;
#[path = "../lio/page.rs"]
pub(crate) mod page;
#[path = "../lio/parameter.rs"]
pub(crate) mod parameter;
#[path = "../lio/sg.rs"]
pub(crate) mod sg;
#[path = "../lio/tmr_function.rs"]
pub(crate) mod tmr_function;
#[path = "../lio/uio.rs"]
pub(crate) mod uio;
