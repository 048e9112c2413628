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
        NotResumed,
        Owed,
        Resumed, //
    },
    ports::{
        LocalGate,
        LocalLldd,
        RemoteGate,
        RemoteLldd,
        RemotePort, //
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

/// A remote port with its local port, and an LLDD that counts what it is told.
pub(crate) struct Ports {
    remote: RemoteGate,
    pub(crate) local: LocalGate,
    pub(crate) remote_deletes: Atomic<i32>,
    pub(crate) local_deletes: Atomic<i32>,
    /// Who uses the LLDD just now.
    pub(crate) users: Atomic<i32>,
    /// Whether the remote port is unregistered, and its callback has not come.
    pub(crate) remote_owed: Atomic<i32>,
    /// Callbacks that came while somebody used the LLDD, or in the wrong order.
    pub(crate) faults: Atomic<i32>,
}

impl Ports {
    /// Two ports that were just registered.
    pub(crate) fn new() -> Self {
        Self {
            remote: RemoteGate::new(),
            local: LocalGate::new(),
            remote_deletes: Atomic::new(0),
            local_deletes: Atomic::new(0),
            users: Atomic::new(0),
            remote_owed: Atomic::new(0),
            faults: Atomic::new(0),
        }
    }

    /// The remote port with its local port.
    pub(crate) fn port(&self) -> RemotePort<'_> {
        RemotePort::new(&self.remote, &self.local)
    }

    /// Numbers of callbacks: of the remote port, of the local port.
    pub(crate) fn deletes(&self) -> (i32, i32) {
        (
            self.remote_deletes.load(Relaxed),
            self.local_deletes.load(Relaxed),
        )
    }

    /// Unregisters the remote port. False: it is not registered.
    pub(crate) fn unregister_remote(&self) -> bool {
        match self.port().unregister() {
            Ok(unregistered) => {
                unregistered.leave(self);
                true
            }
            Err(refused) => {
                refused.leave(self);
                false
            }
        }
    }

    /// Unregisters the local port. False: it is not registered.
    pub(crate) fn unregister_local(&self) -> bool {
        match self.local.unregister() {
            Ok(used) => {
                used.leave(self);
                true
            }
            Err(_) => false,
        }
    }

    /// Registers the remote port again.
    pub(crate) fn resume_remote(&self) -> Result<Resumed, NotResumed> {
        self.port().resume(|| ())
    }
}

impl LocalLldd for Ports {
    fn localport_delete(&self, _owed: &Owed<'_>) {
        self.local_deletes.fetch_add(1, Relaxed);
        if self.remote_owed.load(Relaxed) != 0 || self.users.load(Relaxed) != 0 {
            self.faults.fetch_add(1, Relaxed);
        }
    }

    fn localport_deleted(&self) {}
}

impl RemoteLldd for Ports {
    fn remoteport_delete(&self, _owed: &Owed<'_>) {
        self.remote_deletes.fetch_add(1, Relaxed);
        self.remote_owed.store(0, Relaxed);
        if self.users.load(Relaxed) != 0 {
            self.faults.fetch_add(1, Relaxed);
        }
    }

    fn remoteport_deleted(&self) {}
}
