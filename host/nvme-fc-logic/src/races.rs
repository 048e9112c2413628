// SPDX-License-Identifier: GPL-2.0

//! What LLDD and controllers do at the same time, on loom.
//!
//! Each scenario is gone through in every order of its threads (the larger ones with a limited
//! number of preemptions), and with each value that the memory model lets a load return. What
//! belongs to the LLDD of a port is a cell of loom's: who uses it without being ordered before the
//! callback, or after the registration, is found.

use std::sync::{Arc as StdArc, Mutex, MutexGuard};

use loom::cell::Cell;
use loom::thread;
use sync::loom::atomic::{Atomic, Relaxed};

use crate::model::logic::gate::{By, Closed, NotResumed, Resumed};
use crate::model::logic::holder::{Holder, NotBegun};
use crate::model::logic::ports::{
    self, Local, LocalGate, LocalOwed, Remote, RemoteGate, RemoteOwed, Unregistered,
};

/// The local port, in all that is numbered by ports.
pub(crate) const LOCAL: usize = 0;

/// The local port and two remote ports.
const PORTS: usize = 3;

/// The remote port of each holder.
const HOLDERS: [usize; 3] = [1, 1, 2];

/// In large scenarios: how often a thread is interrupted though it could go on.
const PREEMPTIONS: usize = 3;

/// What a thread does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A holder enters.
    Begin(usize),
    /// It uses the LLDD for the last time and leaves, if it has entered and nobody else does so.
    End(usize),
    /// The same with a use that is taken out of its holder first.
    Take(usize),
    /// The LLDD unregisters a port. For a remote port, it is called once more in between.
    Unregister(usize),
    /// The LLDD registers a port again, if the gate lets it.
    Resume(usize),
    /// The same of another LLDD.
    ResumeByAnother(usize),
}

/// What the threads of a scenario do.
pub(crate) struct Scenario {
    /// Before there are threads.
    pub(crate) before: &'static [Act],
    /// Each thread.
    pub(crate) threads: &'static [&'static [Act]],
}

/// What came of all orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// How many there are.
    pub(crate) interleavings: usize,
    /// In how many a holder was refused.
    pub(crate) refused: usize,
    /// In how many a port was registered again while in use.
    pub(crate) undeleted: usize,
    /// In how many it was registered again after its callback.
    pub(crate) anew: usize,
    /// In how many it was not, because the callback was owed, or running.
    pub(crate) deleting: usize,
    /// In how many it was not, because it was in use.
    pub(crate) in_use: usize,
    /// In how many a remote port was unregistered after its local port was deleted.
    pub(crate) late: usize,
}

/// A port, as the LLDD sees it.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// It was unregistered, and the callback is to come.
    pending: bool,
    /// The callback runs.
    running: bool,
    /// How often it was unregistered, deleted, and registered before it was deleted.
    unregistered: usize,
    deleted: usize,
    undeleted: usize,
}

/// The local port.
struct LocalPort(LocalGate);

/// A remote port.
struct RemotePort {
    gate: RemoteGate,
    number: usize,
}

/// What there is.
struct Rig {
    local: LocalPort,
    remotes: [RemotePort; PORTS - 1],
    holders: [Holder<'static, RemotePort>; HOLDERS.len()],
    /// What the LLDD has for each port, valid as long as it must be.
    memory: [Cell<bool>; PORTS],
    /// A holder's association has failed, since it has begun.
    failed: [Atomic<bool>; HOLDERS.len()],
    /// A place where a callback may be interrupted.
    pause: Atomic<usize>,
    seen: Mutex<([Seen; PORTS], Findings)>,
}

loom::lazy_static! {
    /// Of each order its own.
    static ref RIG: Rig = Rig::new();
}

impl Local for LocalPort {
    fn local_gate(&self) -> &LocalGate {
        &self.0
    }

    fn localport_delete(_owed: &LocalOwed<'_, Self>) {
        RIG.callback(LOCAL);
    }

    fn localport_deleted(&self) {}
}

impl Remote for RemotePort {
    type Local = LocalPort;

    fn local(&self) -> &LocalPort {
        &RIG.local
    }

    fn remote_gate(&self) -> &RemoteGate {
        &self.gate
    }

    fn remoteport_delete(owed: &RemoteOwed<'_, Self>) {
        RIG.callback(owed.port().number);
    }

    fn remoteport_deleted(&self) {}
}

impl Rig {
    fn new() -> Self {
        Self {
            local: LocalPort(LocalGate::new()),
            remotes: [1, 2].map(|number| RemotePort {
                gate: RemoteGate::new(),
                number,
            }),
            holders: [Holder::default(), Holder::default(), Holder::default()],
            memory: [Cell::new(true), Cell::new(true), Cell::new(true)],
            failed: [Atomic::new(false), Atomic::new(false), Atomic::new(false)],
            pause: Atomic::new(0),
            seen: Mutex::default(),
        }
    }

    /// What was seen; no thread is interrupted as long as it has this.
    fn seen(&self) -> MutexGuard<'_, ([Seen; PORTS], Findings)> {
        self.seen.lock().expect("nobody panics")
    }

    fn port(&self, remote: usize) -> &RemotePort {
        &self.remotes[remote - 1]
    }

    /// A callback comes, and returns.
    fn callback(&self, port: usize) {
        {
            let seen = &mut self.seen().0;
            assert!(seen[port].pending, "G1: port {port} is not unregistered");
            assert!(!seen[port].running, "G1: port {port} is deleted twice");
            seen[port].running = true;
            if port == LOCAL {
                let pending = (1..PORTS).find(|&remote| seen[remote].pending);
                assert!(
                    pending.is_none(),
                    "G3: remote port {pending:?} is not deleted"
                );
            }
        }
        self.pause.add(1, Relaxed);
        let was = self.memory[port].replace(false);
        assert!(was, "G1: port {port} was deleted before");
        let seen = &mut self.seen().0[port];
        assert!(seen.pending, "G1: port {port} is registered");
        seen.running = false;
        seen.pending = false;
        seen.deleted += 1;
    }

    /// The LLDD is called.
    fn call(&self, remote: usize) {
        assert!(self.memory[LOCAL].get(), "G2: the local port is deleted");
        assert!(self.memory[remote].get(), "G2: port {remote} is deleted");
    }

    fn run(&'static self, acts: &[Act]) {
        for &act in acts {
            match act {
                Act::Begin(holder) => self.begin(holder),
                Act::End(holder) => self.end(holder),
                Act::Take(holder) => self.take(holder),
                Act::Unregister(port) => self.unregister(port),
                Act::Resume(port) => self.resume(port, By::SameLldd),
                Act::ResumeByAnother(port) => self.resume(port, By::AnotherLldd),
            }
        }
    }

    fn begin(&'static self, holder: usize) {
        let remote = HOLDERS[holder];
        // Who ends the use may be another thread, and may have done so already: the LLDD is not
        // called here.
        let prepare = || self.failed[holder].store(false, Relaxed);
        let begun = self.holders[holder].begin(self.port(remote), prepare);
        if let Err(NotBegun::Refused(refused)) = begun {
            assert_eq!(refused.leave(), Closed::NotRegistered);
            self.seen().1.refused = 1;
        }
    }

    fn end(&self, holder: usize) {
        if self.holders[holder].ending(self.port(HOLDERS[holder])) {
            self.end_now(holder);
        }
    }

    fn end_now(&self, holder: usize) {
        let remote = HOLDERS[holder];
        self.call(remote);
        let ended = self.holders[holder].end(self.port(remote));
        assert!(ended, "G4: it was ending");
    }

    fn take(&self, holder: usize) {
        let remote = HOLDERS[holder];
        if let Some(taken) = self.holders[holder].take(self.port(remote)) {
            self.call(remote);
            taken.leave();
        }
    }

    fn unregister(&self, port: usize) {
        if port == LOCAL {
            if let Ok(local) = ports::unregister_local(&self.local) {
                self.unregistered(LOCAL);
                local.leave();
            }
            return;
        }
        match ports::unregister_remote(self.port(port)) {
            Ok(Unregistered::InUse(used)) => {
                self.unregistered(port);
                // ls_abort
                self.call(port);
                used.leave();
            }
            Ok(late) => {
                self.unregistered(port);
                self.seen().1.late = 1;
                late.leave();
            }
            Err(refused) => {
                refused.leave();
            }
        }
    }

    fn unregistered(&self, port: usize) {
        {
            let seen = &mut self.seen().0[port];
            seen.unregistered += 1;
            seen.pending = true;
        }
        for (holder, _) in HOLDERS.iter().enumerate().filter(|of| *of.1 == port) {
            self.failed[holder].store(true, Relaxed);
        }
    }

    fn resume(&self, port: usize, by: By) {
        let prepare = || {
            let was = self.memory[port].replace(true);
            assert!(!was, "G1: port {port} is not deleted");
        };
        let result = if port == LOCAL {
            ports::resume_local(&self.local, by, prepare)
        } else {
            ports::resume_remote(self.port(port), prepare)
        };
        let (seen, findings) = &mut *self.seen();
        match result {
            Ok(Resumed::Undeleted) => {
                assert!(!seen[port].running, "G1: a callback runs for port {port}");
                findings.undeleted = 1;
                seen[port].pending = false;
                seen[port].undeleted += 1;
            }
            Ok(Resumed::Anew) => {
                assert!(!seen[port].running, "G1: a callback runs for port {port}");
                findings.anew = 1;
            }
            Err(NotResumed::Deleting) => findings.deleting = 1,
            Err(NotResumed::InUse) => findings.in_use = 1,
            Err(NotResumed::Registered) => {}
        }
    }

    /// All that is in use ends, and all that is registered is unregistered.
    fn drain(&self) {
        for (holder, remote) in HOLDERS.into_iter().enumerate() {
            let is_lost = self.seen().0[remote].pending;
            if self.holders[holder].ending(self.port(remote)) {
                let failed = self.failed[holder].load(Relaxed);
                assert!(
                    failed || !is_lost,
                    "an association does not know that it failed"
                );
                self.end_now(holder);
            }
        }
        for port in (0..PORTS).rev() {
            self.unregister(port);
        }
        let seen = self.seen().0;
        for (port, seen) in seen.iter().enumerate() {
            assert_eq!(
                seen.unregistered,
                seen.deleted + seen.undeleted,
                "G1: each callback of port {port} comes once"
            );
            assert!(!seen.pending && !self.memory[port].get(), "G1: port {port}");
        }
    }
}

impl Scenario {
    /// Goes through all orders.
    pub(crate) fn explore(self) -> Findings {
        let findings = StdArc::<Mutex<Findings>>::default();
        let to = findings.clone();
        let mut builder = loom::model::Builder::new();
        let acts: usize = self.threads.iter().map(|acts| acts.len()).sum();
        let is_large = self.threads.len() > 2 || acts > 3;
        builder.preemption_bound = is_large.then_some(PREEMPTIONS);
        builder.check(move || {
            let rig: &'static Rig = &RIG;
            rig.run(self.before);
            let mut threads = Vec::new();
            for acts in &self.threads[1..] {
                threads.push(thread::spawn(move || rig.run(acts)));
            }
            rig.run(self.threads[0]);
            for thread in threads {
                thread.join().expect("it ends");
            }
            let this = rig.seen().1;
            rig.drain();
            let mut all = to.lock().expect("nobody panics");
            all.interleavings += 1;
            all.refused += this.refused;
            all.undeleted += this.undeleted;
            all.anew += this.anew;
            all.deleting += this.deleting;
            all.in_use += this.in_use;
            all.late += this.late;
        });
        let findings = findings.lock().expect("nobody panics");
        *findings
    }
}
