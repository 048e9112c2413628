// SPDX-License-Identifier: GPL-2.0

//! The order of C: state and count are two variables, and who changes one then reads the other one.
//! loom finds the callback that comes twice, the one that never comes, and the one of a port that
//! is registered again. The shortest ways there are printed:
//!
//! ```text
//! cargo test -p nvme-fc-logic c_order -- --nocapture
//! ```
//!
//! C changes the state under a lock that a leaving association does not take, so that the lock has
//! no part in this.

use std::sync::{Arc as StdArc, Mutex};

use loom::sync::Arc;
use loom::thread;
use sync::loom::atomic::{Atomic, Full, Relaxed};

const REMOTE: usize = 0;
const LOCAL: usize = 1;
const NAMES: [&str; 2] = ["remoteport", "localport"];

/// What has happened, in the order in which it was executed.
type Steps = Vec<String>;

/// A local port with one remote port, which has one association.
#[derive(Clone)]
struct CPorts {
    /// `port_state` is `FC_OBJSTATE_DELETED`.
    is_deleted: Arc<[Atomic<bool>; 2]>,
    /// `act_ctrl_cnt` and `act_rport_cnt`.
    active: Arc<[Atomic<i32>; 2]>,
    steps: StdArc<Mutex<Steps>>,
    /// How often each callback came, and how often while the port was registered.
    callbacks: StdArc<Mutex<([usize; 2], usize)>>,
}

impl CPorts {
    fn new() -> Self {
        Self {
            is_deleted: Arc::new([Atomic::new(false), Atomic::new(false)]),
            active: Arc::new([Atomic::new(1), Atomic::new(1)]),
            steps: StdArc::default(),
            callbacks: StdArc::default(),
        }
    }

    fn note(&self, step: String) {
        self.steps.lock().expect("nobody panics").push(step);
    }

    fn callback(&self, who: &str, port: usize) {
        let is_deleted = self.is_deleted[port].load(Relaxed);
        let live = if is_deleted {
            ""
        } else {
            ", which is registered"
        };
        self.note(format!("{who}: {}_delete(){live}", NAMES[port]));
        let callbacks = &mut *self.callbacks.lock().expect("nobody panics");
        callbacks.0[port] += 1;
        callbacks.1 += usize::from(!is_deleted);
    }

    /// `nvme_fc_unregister_remoteport()`, `nvme_fc_unregister_localport()`.
    fn c_unregister(&self, port: usize) {
        self.is_deleted[port].store(true, Relaxed);
        let name = NAMES[port];
        self.note(format!("LLDD: {name}->port_state = DELETED"));
        let active = self.active[port].load(Relaxed);
        self.note(format!("LLDD: atomic_read() of {name} is {active}"));
        if active == 0 {
            self.callback("LLDD", port);
        }
    }

    /// `nvme_fc_attach_to_suspended_rport()`.
    fn c_resume(&self) {
        self.is_deleted[REMOTE].store(false, Relaxed);
        self.note("LLDD: remoteport->port_state = ONLINE".to_owned());
    }

    /// `nvme_fc_ctlr_inactive_on_rport()`, then `nvme_fc_rport_inactive_on_lport()`.
    fn c_leave(&self, levels: &[usize]) {
        for &port in levels {
            let active = self.active[port].fetch_sub(1, Full) - 1;
            let name = NAMES[port];
            self.note(format!(
                "association: atomic_dec_return() of {name} is {active}"
            ));
            let is_deleted = self.is_deleted[port].load(Relaxed);
            let state = if is_deleted { "DELETED" } else { "ONLINE" };
            self.note(format!("association: {name}->port_state is {state}"));
            if is_deleted {
                self.callback("association", port);
            }
        }
    }
}

/// What came of all orders: how many there are, and those with a callback that came twice, that
/// never came, and that came while the port was registered.
#[derive(Clone, Default)]
struct Findings {
    interleavings: usize,
    twice: Vec<Steps>,
    never: Vec<Steps>,
    live: Vec<Steps>,
}

fn explore(levels: &'static [usize], resume: bool) -> Findings {
    let findings = StdArc::<Mutex<Findings>>::default();
    let to = findings.clone();
    loom::model(move || {
        let ports = CPorts::new();
        let other = ports.clone();
        let association = thread::spawn(move || other.c_leave(levels));
        for &port in levels {
            ports.c_unregister(port);
        }
        if resume {
            ports.c_resume();
        }
        association.join().expect("it ends");

        let steps = ports.steps.lock().expect("nobody panics").clone();
        let (callbacks, live) = *ports.callbacks.lock().expect("nobody panics");
        let findings = &mut *to.lock().expect("nobody panics");
        findings.interleavings += 1;
        if levels.iter().any(|&port| callbacks[port] > 1) {
            findings.twice.push(steps.clone());
        }
        if levels.iter().any(|&port| callbacks[port] == 0) && !resume {
            findings.never.push(steps.clone());
        }
        if live > 0 {
            findings.live.push(steps);
        }
    });
    let findings = findings.lock().expect("nobody panics");
    findings.clone()
}

/// Prints the shortest of them, and how many there are.
fn show(what: &str, of: usize, found: &[Steps]) {
    println!("C's order: {} of {of} interleavings {what}:", found.len());
    let shortest = found.iter().min_by_key(|steps| steps.len());
    for (number, step) in (1..).zip(shortest.expect("loom finds it")) {
        println!("  {number}. {step}");
    }
    assert!(found.len() < of, "in others it does not happen");
}

#[test]
fn c_calls_back_twice_or_never() {
    for levels in [&[LOCAL] as &[usize], &[REMOTE], &[REMOTE, LOCAL]] {
        let found = explore(levels, false);
        let names: Vec<&str> = levels.iter().map(|&port| NAMES[port]).collect();
        let names = names.join(", ");
        let what = format!("call back twice ({names})");
        show(&what, found.interleavings, &found.twice);
        let what = format!("never call back ({names})");
        show(&what, found.interleavings, &found.never);
    }
}

#[test]
fn c_deletes_a_port_that_is_registered_again() {
    let mut found = explore(&[REMOTE], true);
    // Not those in which the association reads an old state.
    let place = |steps: &Steps, what| steps.iter().position(|step| step.contains(what));
    found
        .live
        .sort_by_key(|steps| place(steps, "is DELETED") > place(steps, "= ONLINE"));
    let what = "delete a registered port";
    show(what, found.interleavings, &found.live);
}
