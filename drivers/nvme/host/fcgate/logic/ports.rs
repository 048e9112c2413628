// SPDX-License-Identifier: GPL-2.0

//! The gates of a local port and of the remote ports that are reached through it.
//!
//! Whoever uses a remote port uses its local port as well, each use of one with a use of the other:
//! there is no first one who would have to enter the local port for those that follow, and no last
//! one who would have to leave it. The order is that of the types: a remote port is left, its
//! callback comes if it is owed, and only then the local port is left. So `localport_delete` does
//! not overtake a `remoteport_delete` (G3).

use super::gate::{
    By,
    Closed,
    Gate,
    NotResumed,
    Owed,
    Resumed,
    Use, //
};

/// The callback of an LLDD for a local port. It is called without locks, in a context that may
/// sleep.
pub(crate) trait LocalLldd {
    /// See `localport_delete` of `struct nvme_fc_port_template`. It is `owed`.
    fn localport_delete(&self, owed: &Owed<'_>);

    /// It has returned: whoever waits to register the port again may do so
    /// ([`NotResumed::Deleting`]).
    fn localport_deleted(&self);
}

/// The same for a remote port and its local port.
pub(crate) trait RemoteLldd: LocalLldd {
    /// See `remoteport_delete` of `struct nvme_fc_port_template`. It is `owed`.
    fn remoteport_delete(&self, owed: &Owed<'_>);

    /// As [`LocalLldd::localport_deleted()`].
    fn remoteport_deleted(&self);
}

/// Calls what is owed for a remote port.
fn settle(owed: Option<Owed<'_>>, lldd: &impl RemoteLldd) {
    if let Some(owed) = owed {
        owed.deliver(|owed| lldd.remoteport_delete(owed));
        lldd.remoteport_deleted();
    }
}

/// The gate of a local port.
#[repr(transparent)]
pub(crate) struct LocalGate(Gate);

impl LocalGate {
    /// The gate of a local port that has just been registered.
    pub(crate) fn new() -> Self {
        Self(Gate::new())
    }

    /// The LLDD unregisters the local port.
    pub(crate) fn unregister(&self) -> Result<LocalUse<'_>, Closed> {
        self.0.unregister().map(LocalUse)
    }

    /// An LLDD registers the local port again, see [`Gate::resume()`].
    pub(crate) fn resume(&self, by: By, prepare: impl FnOnce()) -> Result<Resumed, NotResumed> {
        self.0.resume(by, prepare)
    }
}

/// A use of a local port.
#[must_use = "whoever enters has to leave"]
pub(crate) struct LocalUse<'a>(Use<'a>);

impl LocalUse<'_> {
    /// The use ends; calls what is owed then.
    pub(crate) fn leave(self, lldd: &impl LocalLldd) {
        if let Some(owed) = self.0.leave() {
            owed.deliver(|owed| lldd.localport_delete(owed));
            lldd.localport_deleted();
        }
    }
}

/// The gate of a remote port.
#[repr(transparent)]
pub(crate) struct RemoteGate(Gate);

impl RemoteGate {
    /// The gate of a remote port that has just been registered.
    pub(crate) fn new() -> Self {
        Self(Gate::new())
    }
}

/// The gate of a remote port with that of its local port.
#[derive(Clone, Copy)]
pub(crate) struct RemotePort<'a> {
    remote: &'a RemoteGate,
    local: &'a LocalGate,
}

impl<'a> RemotePort<'a> {
    /// The two of a remote port; they are always the same two.
    pub(crate) fn new(remote: &'a RemoteGate, local: &'a LocalGate) -> Self {
        Self { remote, local }
    }

    /// Begins to use the LLDD, if both ports are registered (G5).
    pub(crate) fn enter(self) -> Result<RemoteUse<'a>, Refused<'a>> {
        let local = match self.local.0.enter() {
            Ok(local) => LocalUse(local),
            Err(why) => return Err(Refused { why, local: None }),
        };
        match self.remote.0.enter() {
            Ok(remote) => Ok(RemoteUse { remote, local }),
            Err(why) => Err(Refused {
                why,
                local: Some(local),
            }),
        }
    }

    /// The LLDD unregisters the remote port.
    pub(crate) fn unregister(self) -> Result<Unregistered<'a>, Refused<'a>> {
        // Even if the local port is unregistered: its callback has to wait for this one.
        let Ok(local) = self.local.0.remain() else {
            return match self.remote.0.unregister_unused() {
                Ok(owed) => Ok(Unregistered::Late(Late(owed))),
                Err(why) => Err(Refused { why, local: None }),
            };
        };
        let local = LocalUse(local);
        match self.remote.0.unregister() {
            Ok(remote) => Ok(Unregistered::InUse(RemoteUse { remote, local })),
            Err(why) => Err(Refused {
                why,
                local: Some(local),
            }),
        }
    }

    /// The LLDD registers the remote port again, see [`Gate::resume()`]. It is that of the local
    /// port, so that there is no other one which could have used it.
    pub(crate) fn resume(self, prepare: impl FnOnce()) -> Result<Resumed, NotResumed> {
        self.remote.0.resume(By::SameLldd, prepare)
    }

    /// A use that [`RemoteUse::park()`] has left to its owner, who has one, and takes it back once.
    pub(super) fn unpark(self) -> RemoteUse<'a> {
        RemoteUse {
            remote: self.remote.0.unpark(),
            local: LocalUse(self.local.0.unpark()),
        }
    }
}

/// A use of a remote port and of its local port.
#[must_use = "whoever enters has to leave"]
pub(crate) struct RemoteUse<'a> {
    remote: Use<'a>,
    local: LocalUse<'a>,
}

impl RemoteUse<'_> {
    /// The use ends; calls what is owed then.
    pub(crate) fn leave(self, lldd: &impl RemoteLldd) {
        let Self { remote, local } = self;
        settle(remote.leave(), lldd);
        local.leave(lldd);
    }

    /// Leaves the use to its owner in C, see [`RemotePort::unpark()`].
    pub(super) fn park(self) {
        self.remote.park();
        self.local.0.park();
    }
}

/// A remote port that its LLDD has unregistered.
#[must_use = "the LLDD waits for its callback"]
pub(crate) enum Unregistered<'a> {
    /// Whoever has unregistered it uses it, and may call the LLDD until he leaves.
    InUse(RemoteUse<'a>),
    /// The LLDD had unregistered the local port before, and that is deleted, or about to be. The
    /// LLDD is not called any more, but for the callback.
    Late(Late<'a>),
}

impl Unregistered<'_> {
    /// The use ends, if there is one; calls what is owed then.
    pub(crate) fn leave(self, lldd: &impl RemoteLldd) {
        match self {
            Self::InUse(used) => used.leave(lldd),
            Self::Late(Late(owed)) => settle(owed, lldd),
        }
    }
}

/// See [`Unregistered::Late`]. The callback is owed, unless the local port is registered again in
/// this moment and an association has entered.
pub(crate) struct Late<'a>(Option<Owed<'a>>);

/// The remote port cannot be used, or not be unregistered.
#[must_use = "the LLDD may wait for its callback"]
pub(crate) struct Refused<'a> {
    why: Closed,
    /// The local port was entered first.
    local: Option<LocalUse<'a>>,
}

impl Refused<'_> {
    /// Why. Leaves the local port, without the locks under which the remote port was tried.
    pub(crate) fn leave(self, lldd: &impl LocalLldd) -> Closed {
        if let Some(local) = self.local {
            local.leave(lldd);
        }
        self.why
    }
}
