// SPDX-License-Identifier: GPL-2.0

//! What the suites share.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

use super::logic::{
    gate::{
        By,
        NotResumed,
        Resumed, //
    },
    ports::{
        self,
        Local,
        LocalGate,
        LocalOwed,
        Remote,
        RemoteGate,
        RemoteOwed, //
    },
};

/// Fails the running test unless the condition holds.
macro_rules! check {
    ($condition:expr $(,)?) => {
        kernel::kunit_assert!("nvme_fc", c"drivers/nvme/host/fcgate/kunit", 0, $condition)
    };
}
pub(crate) use check;

/// Fails the running test unless both are equal.
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::common::check!($left == $right)
    };
}
pub(crate) use check_eq;

/// A local port, and what its LLDD is told.
pub(crate) struct LocalPort {
    gate: LocalGate,
    deletes: Atomic<i32>,
    /// Who uses the LLDD just now.
    pub(crate) users: Atomic<i32>,
    /// Whether the remote port is unregistered, and its callback has not come.
    pub(crate) remote_owed: Atomic<i32>,
    /// Callbacks that came while somebody used the LLDD, or in the wrong order.
    pub(crate) faults: Atomic<i32>,
}

/// A remote port with its local port, and an LLDD that counts what it is told.
pub(crate) struct Ports {
    gate: RemoteGate,
    pub(crate) local: LocalPort,
    deletes: Atomic<i32>,
}

impl Ports {
    /// Two ports that were just registered.
    pub(crate) fn new() -> Self {
        Self {
            gate: RemoteGate::new(),
            local: LocalPort {
                gate: LocalGate::new(),
                deletes: Atomic::new(0),
                users: Atomic::new(0),
                remote_owed: Atomic::new(0),
                faults: Atomic::new(0),
            },
            deletes: Atomic::new(0),
        }
    }

    /// Numbers of callbacks: of the remote port, of the local port.
    pub(crate) fn deletes(&self) -> (i32, i32) {
        (self.deletes.load(Relaxed), self.local.deletes.load(Relaxed))
    }

    /// Unregisters the remote port. False: it is not registered.
    pub(crate) fn unregister_remote(&self) -> bool {
        match ports::unregister_remote(self) {
            Ok(unregistered) => {
                unregistered.leave();
                true
            }
            Err(refused) => {
                refused.leave();
                false
            }
        }
    }

    /// Unregisters the local port. False: it is not registered.
    pub(crate) fn unregister_local(&self) -> bool {
        match ports::unregister_local(&self.local) {
            Ok(used) => {
                used.leave();
                true
            }
            Err(_) => false,
        }
    }

    /// Registers the remote port again.
    pub(crate) fn resume_remote(&self) -> Result<Resumed, NotResumed> {
        ports::resume_remote(self, || ())
    }

    /// Registers the local port again.
    pub(crate) fn resume_local(&self, by: By) -> Result<Resumed, NotResumed> {
        ports::resume_local(&self.local, by, || ())
    }
}

impl Local for LocalPort {
    fn local_gate(&self) -> &LocalGate {
        &self.gate
    }

    fn localport_delete(owed: &LocalOwed<'_, Self>) {
        let port = owed.port();
        port.deletes.fetch_add(1, Relaxed);
        if port.remote_owed.load(Relaxed) != 0 || port.users.load(Relaxed) != 0 {
            port.faults.fetch_add(1, Relaxed);
        }
    }

    fn localport_deleted(&self) {}
}

impl Remote for Ports {
    type Local = LocalPort;

    fn local(&self) -> &LocalPort {
        &self.local
    }

    fn remote_gate(&self) -> &RemoteGate {
        &self.gate
    }

    fn remoteport_delete(owed: &RemoteOwed<'_, Self>) {
        let port = owed.port();
        port.deletes.fetch_add(1, Relaxed);
        port.local.remote_owed.store(0, Relaxed);
        if port.local.users.load(Relaxed) != 0 {
            port.local.faults.fetch_add(1, Relaxed);
        }
    }

    fn remoteport_deleted(&self) {}
}
