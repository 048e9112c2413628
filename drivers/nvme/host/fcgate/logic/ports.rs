// SPDX-License-Identifier: GPL-2.0

//! The gates of a local port and of the remote ports that are reached through it.
//!
//! Whoever uses a remote port uses its local port as well, each use of one with a use of the other:
//! there is no first one who would have to enter the local port for those that follow, and no last
//! one who would have to leave it. The order is that of the types: a remote port is left, its
//! callback comes if it is owed, and only then the local port is left. So `localport_delete` does
//! not overtake a `remoteport_delete` (G3).
//!
//! What is had of a gate has its port with it, a use as well as a callback that is owed: the LLDD
//! is called for the port that it was had of, and for no other one.

use super::gate::{
    self,
    By,
    Closed,
    Gate,
    NotResumed,
    Resumed,
    Use, //
};

/// A local port, with the LLDD that has registered it.
///
/// The LLDD is called without locks, in a context that may sleep.
pub(crate) trait Local: Sized {
    /// Its gate.
    fn local_gate(&self) -> &LocalGate;

    /// Calls `localport_delete` of `struct nvme_fc_port_template`, which is owed.
    fn localport_delete(owed: &LocalOwed<'_, Self>);

    /// It has returned: whoever waits to register the port again may do so
    /// ([`NotResumed::Deleting`]).
    fn localport_deleted(&self);
}

/// A remote port, with the LLDD that has registered it. As [`Local`].
pub(crate) trait Remote: Sized {
    /// What its local port is.
    type Local: Local;

    /// Its local port.
    fn local(&self) -> &Self::Local;

    /// Its gate.
    fn remote_gate(&self) -> &RemoteGate;

    /// Calls `remoteport_delete` of `struct nvme_fc_port_template`, which is owed.
    fn remoteport_delete(owed: &RemoteOwed<'_, Self>);

    /// As [`Local::localport_deleted()`].
    fn remoteport_deleted(&self);
}

/// The gate of a local port.
#[repr(transparent)]
pub(crate) struct LocalGate(Gate);

impl LocalGate {
    /// The gate of a local port that has just been registered.
    pub(crate) fn new() -> Self {
        Self(Gate::new())
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

/// The callback of a local port is owed, as long as this is there.
pub(crate) struct LocalOwed<'a, P> {
    port: &'a P,
    _owed: &'a gate::Owed<'a>,
}

impl<P> LocalOwed<'_, P> {
    /// The port.
    pub(crate) fn port(&self) -> &P {
        self.port
    }
}

/// The callback of a remote port is owed, as long as this is there.
pub(crate) struct RemoteOwed<'a, P> {
    port: &'a P,
    _owed: &'a gate::Owed<'a>,
}

impl<P> RemoteOwed<'_, P> {
    /// The port.
    pub(crate) fn port(&self) -> &P {
        self.port
    }
}

/// Calls what is owed for a local port.
fn settle_local<P: Local>(port: &P, owed: Option<gate::Owed<'_>>) {
    if let Some(owed) = owed {
        owed.deliver(|_owed| P::localport_delete(&LocalOwed { port, _owed }));
        port.localport_deleted();
    }
}

/// Calls what is owed for a remote port.
fn settle_remote<P: Remote>(port: &P, owed: Option<gate::Owed<'_>>) {
    if let Some(owed) = owed {
        owed.deliver(|_owed| P::remoteport_delete(&RemoteOwed { port, _owed }));
        port.remoteport_deleted();
    }
}

/// A use of a local port.
#[must_use = "whoever enters has to leave"]
pub(crate) struct LocalUse<'a, P> {
    port: &'a P,
    used: Use<'a>,
}

impl<P: Local> LocalUse<'_, P> {
    /// The use ends; calls what is owed then.
    pub(crate) fn leave(self) {
        settle_local(self.port, self.used.leave());
    }
}

/// The LLDD unregisters a local port.
pub(crate) fn unregister_local<P: Local>(port: &P) -> Result<LocalUse<'_, P>, Closed> {
    let used = port.local_gate().0.unregister()?;
    Ok(LocalUse { port, used })
}

/// An LLDD registers a local port again, see [`Gate::resume()`].
pub(crate) fn resume_local(
    port: &impl Local,
    by: By,
    prepare: impl FnOnce(),
) -> Result<Resumed, NotResumed> {
    port.local_gate().0.resume(by, prepare)
}

/// A use of a remote port and of its local port.
#[must_use = "whoever enters has to leave"]
pub(crate) struct RemoteUse<'a, P: Remote> {
    port: &'a P,
    remote: Use<'a>,
    local: LocalUse<'a, P::Local>,
}

impl<P: Remote> RemoteUse<'_, P> {
    /// The remote port.
    pub(crate) fn port(&self) -> &P {
        self.port
    }

    /// The use ends; calls what is owed then.
    pub(crate) fn leave(self) {
        settle_remote(self.port, self.remote.leave());
        self.local.leave();
    }

    /// Leaves the use to its owner in C, see [`unpark_remote()`].
    pub(super) fn park(self) {
        self.remote.park();
        self.local.used.park();
    }
}

/// A use that [`RemoteUse::park()`] has left to its owner, who has one, and takes it back once.
pub(super) fn unpark_remote<P: Remote>(port: &P) -> RemoteUse<'_, P> {
    let local = port.local();
    RemoteUse {
        port,
        remote: port.remote_gate().0.unpark(),
        local: LocalUse {
            port: local,
            used: local.local_gate().0.unpark(),
        },
    }
}

/// The remote port cannot be used, or not be unregistered.
#[must_use = "the LLDD may wait for its callback"]
pub(crate) struct Refused<'a, L> {
    why: Closed,
    /// The local port was entered first.
    local: Option<LocalUse<'a, L>>,
}

impl<L: Local> Refused<'_, L> {
    /// Why. Leaves the local port, without the locks under which the remote port was tried.
    pub(crate) fn leave(self) -> Closed {
        if let Some(local) = self.local {
            local.leave();
        }
        self.why
    }
}

/// Begins to use the LLDD, if both ports are registered (G5).
pub(crate) fn enter_remote<P: Remote>(port: &P) -> Result<RemoteUse<'_, P>, Refused<'_, P::Local>> {
    let lport = port.local();
    let local = match lport.local_gate().0.enter() {
        Ok(used) => LocalUse { port: lport, used },
        Err(why) => return Err(Refused { why, local: None }),
    };
    match port.remote_gate().0.enter() {
        Ok(remote) => Ok(RemoteUse {
            port,
            remote,
            local,
        }),
        Err(why) => Err(Refused {
            why,
            local: Some(local),
        }),
    }
}

/// A remote port that its LLDD has unregistered.
#[must_use = "the LLDD waits for its callback"]
pub(crate) enum Unregistered<'a, P: Remote> {
    /// Whoever has unregistered it uses it, and may call the LLDD until he leaves.
    InUse(RemoteUse<'a, P>),
    /// The LLDD had unregistered the local port before, and that is deleted, or about to be. The
    /// LLDD is not called any more, but for the callback.
    Late(Late<'a, P>),
}

impl<P: Remote> Unregistered<'_, P> {
    /// The use ends, if there is one; calls what is owed then.
    pub(crate) fn leave(self) {
        match self {
            Self::InUse(used) => used.leave(),
            Self::Late(Late { port, owed }) => settle_remote(port, owed),
        }
    }
}

/// See [`Unregistered::Late`]. The callback is owed, unless the local port is registered again in
/// this moment and an association has entered.
pub(crate) struct Late<'a, P> {
    port: &'a P,
    owed: Option<gate::Owed<'a>>,
}

/// The LLDD unregisters a remote port.
pub(crate) fn unregister_remote<P: Remote>(
    port: &P,
) -> Result<Unregistered<'_, P>, Refused<'_, P::Local>> {
    let lport = port.local();
    // Even if the local port is unregistered: its callback has to wait for this one.
    let Ok(used) = lport.local_gate().0.remain() else {
        return match port.remote_gate().0.unregister_unused() {
            Ok(owed) => Ok(Unregistered::Late(Late { port, owed })),
            Err(why) => Err(Refused { why, local: None }),
        };
    };
    let local = LocalUse { port: lport, used };
    match port.remote_gate().0.unregister() {
        Ok(remote) => Ok(Unregistered::InUse(RemoteUse {
            port,
            remote,
            local,
        })),
        Err(why) => Err(Refused {
            why,
            local: Some(local),
        }),
    }
}

/// An LLDD registers a remote port again, see [`Gate::resume()`]. The port is that of the local
/// port, so that there is no other LLDD which could have used it.
pub(crate) fn resume_remote(
    port: &impl Remote,
    prepare: impl FnOnce(),
) -> Result<Resumed, NotResumed> {
    port.remote_gate().0.resume(By::SameLldd, prepare)
}
