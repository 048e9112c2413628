// SPDX-License-Identifier: GPL-2.0

//! Completions of Sends that a faulty device, or its driver, would report.
//!
//! rpcrdma's tracepoints say which Sends complete and which are about to be posted, in the
//! threads that handle them. Probes there call the completion handler once more, so that it is
//! told of a Send that is not with the device. No code of rpcrdma is changed, and it may be either
//! implementation.
//!
//! The parameter `order` takes `KIND AFTER TIMES`: after so many Sends have completed well, the
//! next bad completion that is possible is made, so many times in a row. Then the order is done.
//! `none` takes it back. `made` says how many bad completions there were.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "a view of C")]
#[path = "../../../../rust/ext/mod.rs"]
pub mod ext;

mod order;
#[expect(unsafe_code, reason = "a view of C")]
mod probes;

use ext::{
    bindings,
    global::global_mutex,
    output::Output,
    parameter::{
        module_parameter,
        Parameter, //
    },
};
use kernel::{
    fmt::Write as _,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
};
use order::{
    Order,
    State,
    Taken, //
};
use probes::{
    Completion,
    Context,
    Probes, //
};

module! {
    type: BadCompletion,
    name: "rpcrdma_bad_completion",
    authors: ["The lio-rust developers"],
    description: "Bad Send completions of RPC-over-RDMA, for tests",
    license: "GPL",
}

/// How long the posting of a Send is held up for one completion of another, in steps.
const STEP_US: i64 = 200;
const STEPS: u32 = 100;

global_mutex! {
    static STATE: State = State::new();
}

/// A Send has completed, and its completion handler has not looked at it yet.
fn completed(completion: &Completion<'_>) {
    // Not locked while the handler is called, which comes here again.
    let bad = STATE.lock().completed(completion);
    if let Some((context, times)) = bad {
        for _ in 0..times {
            completion.repeat(context);
        }
        STATE.lock().made(times);
    }
}

/// A Send has its context, and is about to be posted. Sleeps: a probe is in a read-side critical
/// section of SRCU, and this one is not called with a spinlock held.
fn marshalled(context: Context) {
    if !STATE.lock().offer(context) {
        return;
    }
    // The context is held until its completion was made up, or nobody came to do so.
    let mut steps = 0;
    loop {
        fsleep(Delta::from_micros(STEP_US));
        steps += 1;
        match STATE.lock().withdraw(steps >= STEPS) {
            Taken::Not | Taken::Now => {}
            Taken::Over => return,
        }
    }
}

struct BadCompletion {
    _probes: Probes,
}

impl kernel::Module for BadCompletion {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _probes: Probes::register()?,
        })
    }
}

/// `order`: which bad completion comes next.
struct OrderParameter;

impl Parameter for OrderParameter {
    const MODE: u16 = 0o600;

    fn set(text: &[u8]) -> Result {
        let order = Order::parse(text)?;
        STATE.lock().order(order);
        Ok(())
    }

    fn get(out: &mut Output<'_>) -> Result {
        let name = STATE.lock().ordered();
        Ok(writeln!(out, "{name}")?)
    }
}

/// `made`: number of bad completions so far.
struct MadeParameter;

impl Parameter for MadeParameter {
    const MODE: u16 = 0o400;

    fn set(_text: &[u8]) -> Result {
        Err(EPERM)
    }

    fn get(out: &mut Output<'_>) -> Result {
        let made = STATE.lock().number();
        Ok(writeln!(out, "{made}")?)
    }
}

module_parameter!(
    "rpcrdma_bad_completion",
    "order",
    OrderParameter,
    "KIND AFTER TIMES: duplicate, stale, unposted or unknown; none takes it back."
);
module_parameter!(
    "rpcrdma_bad_completion",
    "made",
    MadeParameter,
    "Number of bad completions."
);
