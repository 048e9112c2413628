// SPDX-License-Identifier: GPL-2.0

//! What the driver knows of its ports, and what the transport did wrong.

use kernel::{
    fmt,
    prelude::*, //
};

use crate::transport::{
    Command,
    LocalPort,
    ModuleRef,
    RemotePort,
    Request,
    Response, //
};

/// Number of local ports.
pub(crate) const LOCALS: usize = 4;

/// Number of remote ports of each.
pub(crate) const REMOTES: usize = 4;

/// A local port by its number, below [`LOCALS`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local(pub(crate) usize);

/// A remote port by its number, below [`REMOTES`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) local: Local,
    pub(crate) number: usize,
}

/// What becomes of what the transport hands over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// It goes well.
    Accept,
    /// The driver keeps it.
    Hold,
    /// The other end refuses it.
    Reject,
    /// The driver refuses it.
    Fail,
}

/// What a callback does itself, once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    Nothing,
    Register,
    Unregister,
}

/// A function of the driver that can take its time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleeper {
    LsAbort,
    XmtLsRsp,
    RemoteportDelete,
    LocalportDelete,
}

/// What the transport must not do.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// A callback for a port that is registered.
    Registered,
    /// A callback more than there were unregistrations.
    Twice,
    /// A callback while the driver is being called for the port.
    WhileUsed,
    /// `localport_delete` before a `remoteport_delete` that is owed.
    Overtakes,
    /// The driver is called for a port after its callback has returned.
    AfterDelete,
}

const FAULTS: [&str; 5] = [
    "registered",
    "twice",
    "while-used",
    "overtakes",
    "after-delete",
];

/// One port.
pub(crate) struct Port<P> {
    /// While it is registered, unless somebody is using it.
    port: Option<P>,
    /// While anybody may call the driver for it.
    module: Option<ModuleRef>,
    registering: u32,
    registered: bool,
    /// It was unregistered, and the callback has not come.
    owed: bool,
    /// The unregistration has got so far that the local port's callback has to wait for it.
    begun: bool,
    delivering: bool,
    /// Calls of the driver that are under way.
    running: u32,
    inside: Inside,
    /// What came of that, as an error number.
    inside_result: c_int,
    registrations: u32,
    unregistrations: u32,
    deletions: u32,
    /// Unregistrations without callback: the port was registered again before it.
    kept: u32,
}

impl<P> Port<P> {
    const fn new() -> Self {
        Self {
            port: None,
            module: None,
            registering: 0,
            registered: false,
            owed: false,
            begun: false,
            delivering: false,
            running: 0,
            inside: Inside::Nothing,
            inside_result: 0,
            registrations: 0,
            unregistrations: 0,
            deletions: 0,
            kept: 0,
        }
    }

    /// The port, for who gives it back with [`Port::put()`]. `ENOENT`: it is not registered;
    /// `EAGAIN`: somebody has it.
    pub(crate) fn take(&mut self) -> Result<P> {
        let missing = if self.registered { EAGAIN } else { ENOENT };
        self.port.take().ok_or(missing)
    }

    pub(crate) fn put(&mut self, port: P) {
        self.port = Some(port);
    }

    pub(crate) fn begin_register(&mut self) {
        self.registering += 1;
    }

    /// The result is a reference that is one too many.
    pub(crate) fn end_register(
        &mut self,
        port: Result<(P, ModuleRef)>,
    ) -> Result<Option<ModuleRef>> {
        self.registering -= 1;
        let (port, module) = port?;
        if self.owed && !self.delivering {
            self.owed = false;
            self.kept += 1;
        }
        self.registered = true;
        self.registrations += 1;
        self.port = Some(port);
        Ok(self.module.replace(module))
    }

    pub(crate) fn begin_unregister(&mut self) -> Result<P> {
        let port = self.take()?;
        self.registered = false;
        self.owed = true;
        self.begun = false;
        self.unregistrations += 1;
        Ok(port)
    }

    pub(crate) fn end_unregister(&mut self, result: Result<(), (P, Error)>) -> Result {
        match result {
            Ok(()) => {
                self.begin_waiting();
                Ok(())
            }
            Err((port, error)) => {
                self.registered = true;
                self.owed = false;
                self.unregistrations -= 1;
                self.port = Some(port);
                Err(error)
            }
        }
    }

    fn begin_waiting(&mut self) {
        self.begun = self.owed;
    }

    /// A callback comes. What it does itself.
    fn begin_delete(&mut self) -> (Option<Fault>, Inside) {
        let fault = if self.running > 0 {
            Some(Fault::WhileUsed)
        } else if self.delivering || (!self.owed && !self.registered) {
            Some(Fault::Twice)
        } else if !self.owed {
            Some(Fault::Registered)
        } else {
            None
        };
        self.delivering = true;
        self.deletions += 1;
        (fault, core::mem::replace(&mut self.inside, Inside::Nothing))
    }

    /// It returns.
    fn end_delete(&mut self) {
        self.owed = false;
        self.begun = false;
        self.delivering = false;
    }

    /// Whether the driver may be called for it.
    fn may_be_called(&self) -> bool {
        self.registered || self.owed || self.registering > 0
    }

    /// The reference to the module, if nobody may call the driver for the port any more.
    pub(crate) fn reap(&mut self) -> Option<ModuleRef> {
        if self.may_be_called() || self.delivering || self.running > 0 {
            return None;
        }
        self.module.take()
    }

    pub(crate) fn set_inside(&mut self, inside: Inside) {
        self.inside = inside;
    }

    pub(crate) fn set_inside_result(&mut self, result: Result) {
        self.inside_result = result.map_or_else(Error::to_errno, |()| 0);
    }

    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            " registered={} owed={} running={} registrations={} unregistrations={} deletions={} \
             kept={} inside={}",
            u32::from(self.registered),
            u32::from(self.owed),
            self.running,
            self.registrations,
            self.unregistrations,
            self.deletions,
            self.kept,
            self.inside_result
        )
    }
}

/// What belongs to a remote port.
pub(crate) struct RemoteState {
    pub(crate) port: Port<RemotePort>,
    pub(crate) requests: Policy,
    pub(crate) commands: Policy,
    /// Number of the association that was created last.
    pub(crate) association: u64,
    /// Responses to LS requests of the target that the transport has sent.
    pub(crate) responses: u32,
}

/// What belongs to a local port.
pub(crate) struct LocalState {
    pub(crate) port: Port<LocalPort>,
    pub(crate) remotes: [RemoteState; REMOTES],
}

/// All of it.
pub(crate) struct State {
    pub(crate) locals: [LocalState; LOCALS],
    /// How long functions take, in milliseconds.
    sleeps: [u32; 4],
    pub(crate) responses: Policy,
    /// What the driver holds.
    pub(crate) held_requests: KVec<(Remote, Request)>,
    pub(crate) held_commands: KVec<(Remote, Command)>,
    pub(crate) held_responses: KVec<(Remote, Response)>,
    numbers: u64,
    faults: [u32; FAULTS.len()],
}

impl State {
    /// No port is registered.
    pub(crate) const fn new() -> Self {
        Self {
            locals: [const {
                LocalState {
                    port: Port::new(),
                    remotes: [const {
                        RemoteState {
                            port: Port::new(),
                            requests: Policy::Accept,
                            commands: Policy::Accept,
                            association: 0,
                            responses: 0,
                        }
                    }; REMOTES],
                }
            }; LOCALS],
            sleeps: [0; 4],
            responses: Policy::Accept,
            held_requests: KVec::new(),
            held_commands: KVec::new(),
            held_responses: KVec::new(),
            numbers: 0,
            faults: [0; FAULTS.len()],
        }
    }

    pub(crate) fn local(&mut self, local: Local) -> &mut LocalState {
        &mut self.locals[local.0]
    }

    pub(crate) fn remote(&mut self, remote: Remote) -> &mut RemoteState {
        &mut self.local(remote.local).remotes[remote.number]
    }

    /// How long a function takes.
    pub(crate) fn sleep(&mut self, sleeper: Sleeper) -> &mut u32 {
        &mut self.sleeps[sleeper as usize]
    }

    fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// A number for an association or a connection.
    pub(crate) fn new_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The driver is called for a local port.
    pub(crate) fn enter_local(&mut self, local: Local) {
        let port = &mut self.local(local).port;
        port.running += 1;
        if !port.may_be_called() {
            self.fault(Fault::AfterDelete);
        }
    }

    pub(crate) fn leave_local(&mut self, local: Local) {
        self.local(local).port.running -= 1;
    }

    /// The driver is called for a remote port.
    pub(crate) fn enter_remote(&mut self, remote: Remote) {
        self.enter_local(remote.local);
        let port = &mut self.remote(remote).port;
        port.running += 1;
        if !port.may_be_called() {
            self.fault(Fault::AfterDelete);
        }
    }

    pub(crate) fn leave_remote(&mut self, remote: Remote) {
        self.remote(remote).port.running -= 1;
        self.leave_local(remote.local);
    }

    /// An LS request is being aborted: the unregistration has begun.
    pub(crate) fn aborting(&mut self, remote: Remote) {
        self.remote(remote).port.begin_waiting();
    }

    pub(crate) fn begin_local_delete(&mut self, local: Local) -> (Inside, u32) {
        let state = self.local(local);
        let (fault, inside) = state.port.begin_delete();
        let overtaken = state
            .remotes
            .iter()
            .any(|remote| remote.port.owed && remote.port.begun && !remote.port.delivering);
        if let Some(fault) = fault {
            self.fault(fault);
        }
        if overtaken {
            self.fault(Fault::Overtakes);
        }
        (inside, *self.sleep(Sleeper::LocalportDelete))
    }

    pub(crate) fn end_local_delete(&mut self, local: Local) {
        self.local(local).port.end_delete();
    }

    pub(crate) fn begin_remote_delete(&mut self, remote: Remote) -> (Inside, u32) {
        let (fault, inside) = self.remote(remote).port.begin_delete();
        if let Some(fault) = fault {
            self.fault(fault);
        }
        (inside, *self.sleep(Sleeper::RemoteportDelete))
    }

    pub(crate) fn end_remote_delete(&mut self, remote: Remote) {
        self.remote(remote).port.end_delete();
    }

    /// The next reference to the module that is not needed any more.
    pub(crate) fn reap(&mut self) -> Option<ModuleRef> {
        self.locals.iter_mut().find_map(|local| {
            let remotes = &mut local.remotes;
            let of_remote = remotes.iter_mut().find_map(|remote| remote.port.reap());
            of_remote.or_else(|| local.port.reap())
        })
    }

    /// Whether a callback is owed.
    pub(crate) fn is_owed(&self) -> bool {
        self.locals
            .iter()
            .any(|local| local.port.owed || local.remotes.iter().any(|remote| remote.port.owed))
    }

    fn held<T>(list: &KVec<(Remote, T)>, remote: Remote) -> usize {
        list.iter().filter(|(of, _)| *of == remote).count()
    }

    /// Shows all ports that were registered, and all faults.
    pub(crate) fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, local) in self.locals.iter().enumerate() {
            if local.port.registrations == 0 {
                continue;
            }
            write!(out, "local {number}")?;
            local.port.show(out)?;
            writeln!(out)?;
            for (remote_number, remote) in local.remotes.iter().enumerate() {
                if remote.port.registrations == 0 {
                    continue;
                }
                write!(out, "remote {number} {remote_number}")?;
                remote.port.show(out)?;
                let name = Remote {
                    local: Local(number),
                    number: remote_number,
                };
                writeln!(
                    out,
                    " requests={} commands={} responses-held={} responses={} association={}",
                    Self::held(&self.held_requests, name),
                    Self::held(&self.held_commands, name),
                    Self::held(&self.held_responses, name),
                    remote.responses,
                    remote.association
                )?;
            }
        }
        for (name, count) in FAULTS.iter().zip(self.faults) {
            writeln!(out, "fault {name} {count}")?;
        }
        Ok(())
    }
}
