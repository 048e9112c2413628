// SPDX-License-Identifier: GPL-2.0

//! The wake-up as C has it, see `rpcrdma_sendctx_get_locked()` and `rpcrdma_sendctx_put_locked()`:
//! loom finds the sender that sleeps for ever.
//!
//! The completion handler writes the tail of the ring with `smp_store_release()`, then
//! `xprt_write_space()` reads `XPRT_WRITE_SPACE` with `test_bit()`. A release orders what is before
//! the store, not what follows it: the read may come first, on x86 as well. So the full barrier of
//! the sender has no counterpart. The shortest way there is printed:
//!
//! ```text
//! cargo test -p xprtrdma-logic c_order -- --nocapture
//! ```

use std::sync::{Arc as StdArc, Mutex};

use loom::sync::Arc;
use loom::thread;
use sync::loom::atomic::{Atomic, Full, Relaxed, Release};
use sync::loom::barrier::smp_mb;

/// What has happened, in the order in which it was executed.
type Steps = StdArc<Mutex<Vec<String>>>;

/// A transport with a ring of C: of its contexts, one is never used.
#[derive(Clone)]
struct CTransport {
    contexts: usize,
    tail: Arc<Atomic<usize>>,
    write_space: Arc<Atomic<bool>>,
    steps: Steps,
}

impl CTransport {
    fn note(&self, step: String) {
        self.steps.lock().expect("nobody panics").push(step);
    }

    /// Takes the context after `head`. False: there is none.
    fn c_get(&self, head: &mut usize) -> bool {
        let next = (*head + 1) % self.contexts;
        let tail = self.tail.load(Relaxed);
        self.note(format!(
            "sender: READ_ONCE(tail) is {tail}, the next head {next}"
        ));
        if next != tail {
            *head = next;
            return true;
        }
        // xprt_wait_for_buffer_space()
        self.write_space.xchg(true, Relaxed);
        self.note("sender: set_bit(XPRT_WRITE_SPACE)".to_owned());
        smp_mb(Full);
        self.note("sender: smp_mb__after_atomic()".to_owned());
        let tail = self.tail.load(Relaxed);
        self.note(format!("sender: READ_ONCE(tail) is {tail}"));
        if next != tail {
            self.c_write_space("sender");
        }
        false
    }

    /// All Sends until the one of context `end` have ended.
    fn c_put(&self, end: usize, barrier: bool) {
        self.tail.store(end, Release);
        self.note(format!("completion: smp_store_release(tail, {end})"));
        if barrier {
            smp_mb(Full);
            self.note("completion: smp_mb()".to_owned());
        }
        self.c_write_space("completion");
    }

    /// `xprt_write_space()`.
    fn c_write_space(&self, who: &str) {
        let is_set = self.write_space.load(Relaxed);
        self.note(format!("{who}: test_bit(XPRT_WRITE_SPACE) is {is_set}"));
        if is_set && self.write_space.xchg(false, Full) {
            self.note(format!("{who}: clears it, wakes the sender"));
        }
    }
}

/// Number of interleavings, and the steps of those in which the sender sleeps though there is
/// room and nothing is with the device.
fn explore(barrier: bool) -> (usize, Vec<Vec<String>>) {
    let findings = StdArc::<Mutex<(usize, Vec<Vec<String>>)>>::default();
    let to = findings.clone();
    loom::model(move || {
        let transport = CTransport {
            contexts: 2,
            tail: Arc::new(Atomic::new(0)),
            write_space: Arc::new(Atomic::new(false)),
            steps: Steps::default(),
        };
        let mut head = 0;
        assert!(transport.c_get(&mut head), "the ring is empty");
        transport.steps.lock().expect("nobody panics").clear();

        let other = transport.clone();
        let end = head;
        let completion = thread::spawn(move || other.c_put(end, barrier));
        let taken = transport.c_get(&mut head);
        completion.join().expect("it ends");

        let mut findings = to.lock().expect("nobody panics");
        findings.0 += 1;
        if !taken && transport.write_space.load(Relaxed) {
            let steps = transport.steps.lock().expect("nobody panics");
            findings.1.push(steps.clone());
        }
    });
    let findings = findings.lock().expect("nobody panics");
    findings.clone()
}

#[test]
fn c_loses_a_wake_up() {
    let (interleavings, lost) = explore(false);
    println!(
        "C's order: {} of {interleavings} interleavings lose the wake-up:",
        lost.len()
    );
    let steps = lost.iter().min_by_key(|steps| steps.len());
    let steps = steps.expect("loom finds that the sender sleeps for ever");
    for (number, step) in (1..).zip(steps) {
        println!("  {number}. {step}");
    }
    println!("  -> the sender sleeps, there is room, and nothing is left to complete");
    assert!(
        lost.iter().all(|steps| steps
            .iter()
            .any(|step| step.contains("test_bit(XPRT_WRITE_SPACE) is false"))),
        "the completion did not see that the sender waits"
    );
}

/// A barrier before `xprt_write_space()` is all that C needs.
#[test]
fn c_with_a_barrier_loses_none() {
    let (interleavings, lost) = explore(true);
    println!("C with a barrier: {interleavings} interleavings");
    assert_eq!(lost, Vec::<Vec<String>>::new());
}
