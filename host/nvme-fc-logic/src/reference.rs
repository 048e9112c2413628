// SPDX-License-Identifier: GPL-2.0

//! The gates of a local port and two remote ports beside what they should be: for each port whether
//! it is registered, how many use it, and whether its callback has come.
//!
//! One thread, but for what happens while a callback runs: the callback itself does that.

use std::cell::{Cell, OnceCell, RefCell};

use crate::plain::logic::gate::{By, Closed, NotResumed, Resumed};
use crate::plain::logic::holder::{Holder, NotBegun};
use crate::plain::logic::ports::{
    self, Local, LocalGate, LocalOwed, LocalUse, Remote, RemoteGate, RemoteOwed, Unregistered,
};

/// The local port, in all that is numbered by ports.
pub(crate) const LOCAL: usize = 0;

/// The number of ports: the local one and two remote ports.
pub(crate) const PORTS: usize = 3;

/// The remote port of each holder.
pub(crate) const HOLDERS: [usize; 3] = [1, 1, 2];

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A holder enters.
    Begin(usize),
    /// Someone begins to end its use.
    Ending(usize),
    /// It ends.
    End(usize),
    /// A use is taken out of its holder, and ends.
    Take(usize),
    /// The LLDD unregisters a port, and does not leave yet.
    Unregister(usize),
    /// Whoever unregistered a port last leaves it.
    Leave(usize),
    /// An LLDD registers a port again.
    Resume(usize, By),
}

/// Each of them.
pub(crate) fn all_ops() -> Vec<Op> {
    let holders = 0..HOLDERS.len();
    let of_holders = holders.flat_map(|h| [Op::Begin(h), Op::Ending(h), Op::End(h), Op::Take(h)]);
    let of_ports = (0..PORTS).flat_map(|port| {
        [
            Op::Unregister(port),
            Op::Leave(port),
            Op::Resume(port, By::SameLldd),
        ]
    });
    of_holders
        .chain(of_ports)
        .chain([Op::Resume(LOCAL, By::AnotherLldd)])
        .collect()
}

/// What a port should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Port {
    unregistered: bool,
    deleted: bool,
    uses: usize,
    /// The callback runs.
    deleting: bool,
    /// The remote port was unregistered after the callback of its local port had become due.
    late: bool,
}

impl Port {
    fn is_owed(self) -> bool {
        self.unregistered && self.uses == 0 && !self.deleted
    }

    fn may_remain(self) -> bool {
        !self.unregistered || self.uses > 0
    }
}

/// What a holder should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Hold {
    #[default]
    Idle,
    Active,
    Ending,
}

/// What all should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    ports: [Port; PORTS],
    holders: [Hold; HOLDERS.len()],
    /// The port, for each time one was unregistered and not left.
    leaving: Vec<usize>,
}

impl State {
    /// How many threads are unregistering a port.
    pub(crate) fn unregistering(&self) -> usize {
        self.leaving.len()
    }
}

/// The local port.
struct LocalPort<'a> {
    gate: LocalGate,
    rig: OnceCell<&'a Rig<'a>>,
}

/// A remote port.
struct RemotePort<'a> {
    gate: RemoteGate,
    number: usize,
    rig: OnceCell<&'a Rig<'a>>,
}

impl RemotePort<'_> {
    fn new(number: usize) -> Self {
        Self {
            gate: RemoteGate::new(),
            number,
            rig: OnceCell::new(),
        }
    }
}

/// The gates, what they should be, and what an LLDD sees.
pub(crate) struct Rig<'a> {
    local: LocalPort<'a>,
    remotes: [RemotePort<'a>; PORTS - 1],
    holders: [Holder<'a, RemotePort<'a>>; HOLDERS.len()],
    state: RefCell<State>,
    remote_uses: [RefCell<Vec<Unregistered<'a, RemotePort<'a>>>>; PORTS],
    local_uses: RefCell<Vec<LocalUse<'a, LocalPort<'a>>>>,
    /// The use of the local port that is left when the callback of the remote port has returned.
    local_follows: [Cell<bool>; PORTS],
    /// What happens during the next callback.
    nested: Cell<Option<Op>>,
    /// How often a port was unregistered, its callback came, and did not have to come any more.
    counts: RefCell<[(usize, usize, usize); PORTS]>,
}

impl<'a> Local for LocalPort<'a> {
    fn local_gate(&self) -> &LocalGate {
        &self.gate
    }

    fn localport_delete(owed: &LocalOwed<'_, Self>) {
        owed.port().rig.get().expect("started").run(LOCAL);
    }

    fn localport_deleted(&self) {
        self.rig.get().expect("started").returned(LOCAL);
    }
}

impl<'a> Remote for RemotePort<'a> {
    type Local = LocalPort<'a>;

    fn local(&self) -> &LocalPort<'a> {
        &self.rig.get().expect("started").local
    }

    fn remote_gate(&self) -> &RemoteGate {
        &self.gate
    }

    fn remoteport_delete(owed: &RemoteOwed<'_, Self>) {
        let port = owed.port();
        port.rig.get().expect("started").run(port.number);
    }

    fn remoteport_deleted(&self) {
        self.rig.get().expect("started").returned(self.number);
    }
}

impl<'a> Rig<'a> {
    pub(crate) fn new() -> Self {
        Self {
            local: LocalPort {
                gate: LocalGate::new(),
                rig: OnceCell::new(),
            },
            remotes: [RemotePort::new(1), RemotePort::new(2)],
            holders: [Holder::default(), Holder::default(), Holder::default()],
            state: RefCell::default(),
            remote_uses: Default::default(),
            local_uses: RefCell::default(),
            local_follows: Default::default(),
            nested: Cell::new(None),
            counts: RefCell::default(),
        }
    }

    /// Its ports know it from now on.
    pub(crate) fn start(&'a self) -> &'a Self {
        let ports = self.remotes.iter().map(|port| &port.rig);
        for port in ports.chain([&self.local.rig]) {
            assert!(port.set(self).is_ok(), "it starts once");
        }
        self
    }

    fn remote(&'a self, port: usize) -> &'a RemotePort<'a> {
        &self.remotes[port - 1]
    }

    /// The holder with its remote port, and another remote port.
    fn held(&'a self, holder: usize) -> (&'a Holder<'a, RemotePort<'a>>, [&'a RemotePort<'a>; 2]) {
        let port = HOLDERS[holder];
        let ports = [self.remote(port), self.remote(PORTS - port)];
        (&self.holders[holder], ports)
    }

    /// A callback comes.
    fn run(&'a self, port: usize) {
        let before = self.state.borrow().ports[port];
        assert!(before.unregistered, "G1: port {port} is registered");
        if port == LOCAL {
            for remote in &self.state.borrow().ports[1..] {
                let deleted = !remote.unregistered || remote.deleted;
                assert!(deleted || remote.late, "G3: a remote port is not deleted");
            }
        }
        assert!(before.is_owed(), "G1: port {port} is in use or deleted");
        assert!(!before.deleting, "G1: port {port} is deleted twice");
        self.state.borrow_mut().ports[port].deleting = true;
        if let Some(op) = self.nested.take() {
            self.step(op);
        }
    }

    /// It has returned.
    fn returned(&self, port: usize) {
        let state = &mut *self.state.borrow_mut();
        state.ports[port].deleting = false;
        state.ports[port].deleted = true;
        self.counts.borrow_mut()[port].1 += 1;
        if self.local_follows[port].take() {
            state.ports[LOCAL].uses -= 1;
        }
    }

    /// What it should be.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Does it, and compares. `nested` is done during the first callback; whether there was one.
    pub(crate) fn step_with(&'a self, op: Op, nested: Option<Op>) -> bool {
        self.nested.set(nested);
        self.step(op);
        self.nested.take().is_none()
    }

    fn step(&'a self, op: Op) {
        match op {
            Op::Begin(holder) => self.begin(holder),
            Op::Ending(holder) => self.ending(holder),
            Op::End(holder) => self.end(holder),
            Op::Take(holder) => self.take(holder),
            Op::Unregister(port) => self.unregister(port),
            Op::Leave(port) => self.leave(port),
            Op::Resume(port, by) => self.resume(port, by),
        }
        for (port, counts) in self.counts.borrow().iter().enumerate() {
            let state = self.state.borrow().ports[port];
            let pending = usize::from(state.unregistered && !state.deleted);
            let (unregistered, deleted, undeleted) = *counts;
            assert_eq!(unregistered, deleted + undeleted + pending, "G1: {state:?}");
            assert!(!state.is_owed() || state.deleting, "G1: no callback");
        }
    }

    /// A use of `remote` ends, and one of the local port: what the callbacks are compared with.
    fn leaving(&self, remote: usize) {
        let state = &mut *self.state.borrow_mut();
        state.ports[remote].uses -= 1;
        if state.ports[remote].is_owed() {
            self.local_follows[remote].set(true);
        } else {
            state.ports[LOCAL].uses -= 1;
        }
    }

    fn begin(&'a self, holder: usize) {
        let remote = HOLDERS[holder];
        let before = self.state();
        let prepared = Cell::new(false);
        let (of, [port, _]) = self.held(holder);
        let begun = of.begin(port, || prepared.set(true));
        let is_idle = before.holders[holder] == Hold::Idle;
        assert_eq!(prepared.get(), is_idle, "G4: prepared");
        if !is_idle {
            assert!(matches!(begun, Err(NotBegun::NotUnique)), "G4: one each");
            return;
        }
        let registered = !before.ports[LOCAL].unregistered && !before.ports[remote].unregistered;
        match begun {
            Ok(()) => {
                assert!(registered, "G5: enters what is not registered");
                let state = &mut *self.state.borrow_mut();
                state.holders[holder] = Hold::Active;
                state.ports[remote].uses += 1;
                state.ports[LOCAL].uses += 1;
            }
            Err(NotBegun::Refused(refused)) => {
                assert!(!registered, "G6: a registered port refuses");
                // The local port was entered, and is left.
                assert_eq!(refused.leave(), Closed::NotRegistered);
            }
            Err(NotBegun::NotUnique) => panic!("G4: the holder is idle"),
        }
    }

    fn ending(&'a self, holder: usize) {
        let is_active = self.state.borrow().holders[holder] == Hold::Active;
        let (of, [port, other]) = self.held(holder);
        assert!(!of.ending(other), "G4: ends a use of another port");
        assert_eq!(of.ending(port), is_active, "G4");
        if is_active {
            self.state.borrow_mut().holders[holder] = Hold::Ending;
        }
    }

    fn end(&'a self, holder: usize) {
        let (of, [port, other]) = self.held(holder);
        if self.state.borrow().holders[holder] == Hold::Ending {
            self.state.borrow_mut().holders[holder] = Hold::Idle;
            assert!(!of.end(other), "G4: ends a use of another port");
            self.leaving(HOLDERS[holder]);
            assert!(of.end(port), "G4: it was ending");
        } else {
            assert!(!of.end(port), "G4: ends what has not begun, or twice");
        }
    }

    fn take(&'a self, holder: usize) {
        let is_active = self.state.borrow().holders[holder] == Hold::Active;
        let (of, [port, other]) = self.held(holder);
        let others = is_active && of.take(other).is_some();
        assert!(!others, "G4: takes a use of another port");
        let taken = of.take(port);
        assert_eq!(taken.is_some(), is_active, "G4: takes what is not there");
        if let Some(taken) = taken {
            self.state.borrow_mut().holders[holder] = Hold::Idle;
            self.leaving(HOLDERS[holder]);
            taken.leave();
        }
    }

    fn unregister(&'a self, port: usize) {
        let before = self.state();
        let registered = !before.ports[port].unregistered;
        let result = if port == LOCAL {
            ports::unregister_local(&self.local).map(|local| {
                self.local_uses.borrow_mut().push(local);
                true
            })
        } else {
            match ports::unregister_remote(self.remote(port)) {
                Ok(late @ Unregistered::Late(_)) => {
                    assert!(!before.ports[LOCAL].may_remain(), "G3: not late");
                    self.count_unregistered(port, 0);
                    late.leave();
                    return;
                }
                Ok(used) => {
                    assert!(before.ports[LOCAL].may_remain(), "G2: late");
                    if let Unregistered::InUse(used) = &used {
                        assert_eq!(used.port().number, port, "G2: another port");
                    }
                    self.remote_uses[port].borrow_mut().push(used);
                    Ok(false)
                }
                Err(refused) => {
                    // A use of the local port comes and goes.
                    Err(refused.leave())
                }
            }
        };
        assert_eq!(result.is_ok(), registered, "unregister");
        match result {
            Ok(_) => {
                self.count_unregistered(port, 1);
                let state = &mut *self.state.borrow_mut();
                if port != LOCAL {
                    state.ports[LOCAL].uses += 1;
                }
                state.leaving.push(port);
                // Those of a port are all alike.
                state.leaving.sort_unstable();
            }
            Err(why) => assert_eq!(why, Closed::NotRegistered),
        }
    }

    fn count_unregistered(&self, port: usize, uses: usize) {
        let state = &mut self.state.borrow_mut().ports[port];
        state.unregistered = true;
        state.late = uses == 0;
        state.uses += uses;
        self.counts.borrow_mut()[port].0 += 1;
    }

    fn leave(&'a self, port: usize) {
        let place = self
            .state
            .borrow()
            .leaving
            .iter()
            .position(|&of| of == port);
        let Some(place) = place else { return };
        self.state.borrow_mut().leaving.remove(place);
        if port == LOCAL {
            let local = self.local_uses.borrow_mut().pop();
            self.state.borrow_mut().ports[LOCAL].uses -= 1;
            local.expect("as many as that").leave();
        } else {
            let used = self.remote_uses[port].borrow_mut().pop();
            self.leaving(port);
            used.expect("as many as that").leave();
        }
    }

    fn resume(&'a self, port: usize, by: By) {
        let before = self.state().ports[port];
        let prepared = Cell::new(false);
        let prepare = || prepared.set(true);
        let result = if port == LOCAL {
            ports::resume_local(&self.local, by, prepare)
        } else {
            ports::resume_remote(self.remote(port), prepare)
        };
        let expected = if !before.unregistered {
            Err(NotResumed::Registered)
        } else if before.is_owed() {
            Err(NotResumed::Deleting)
        } else if before.deleted {
            Ok(Resumed::Anew)
        } else if by == By::AnotherLldd {
            Err(NotResumed::InUse)
        } else {
            Ok(Resumed::Undeleted)
        };
        assert_eq!(result, expected, "G6: {before:?}");
        assert_eq!(prepared.get(), result == Ok(Resumed::Anew), "prepared");
        if let Ok(resumed) = result {
            let state = &mut *self.state.borrow_mut();
            state.ports[port].unregistered = false;
            state.ports[port].deleted = false;
            state.ports[port].late = false;
            self.counts.borrow_mut()[port].2 += usize::from(resumed == Resumed::Undeleted);
        }
    }

    /// All uses end, and all ports are unregistered: each callback comes.
    pub(crate) fn drain(&'a self) {
        for holder in 0..HOLDERS.len() {
            self.step(Op::Ending(holder));
            self.step(Op::End(holder));
        }
        for port in (0..PORTS).rev() {
            self.step(Op::Unregister(port));
            while self.state.borrow().leaving.contains(&port) {
                self.step(Op::Leave(port));
            }
        }
        for port in self.state().ports {
            assert!(port.deleted && port.uses == 0, "G1, G4: {port:?}");
        }
    }
}
