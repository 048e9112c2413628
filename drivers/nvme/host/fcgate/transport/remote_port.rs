// SPDX-License-Identifier: GPL-2.0

//! Remote ports.

use core::{
    mem,
    ptr::NonNull, //
};

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

use super::{
    controller::{
        Controller,
        CTRL_LIST, //
    },
    local_port::{
        LocalPort,
        DELETED,
        ONLINE, //
    },
    private,
    reference::Counted,
    template::{PortInfo, PortName},
    wait::{
        self,
        Patience, //
    },
};
use crate::{
    bindings,
    list::ListGuard,
    lock::{
        IrqSpinLock,
        IrqSpinLockGuard, //
    },
    logic::{
        connectivity::PortState,
        gate::{
            NotResumed,
            Resumed, //
        },
        ports::{
            self,
            Remote,
            RemoteGate,
            RemoteOwed,
            RemoteUse, //
        },
    },
    object::{
        self,
        c_object,
        CObject,
        Constant,
        View, //
    },
};

/// Where the link of the list of remote ports of a local port is.
pub(super) const ENDP_LIST: usize = mem::offset_of!(private::nvme_fc_rport, endp_list);

// It is the word alone; C does not change it.
impl View<bindings::atomic_t> for RemoteGate {}

c_object! {
    /// A remote port (`struct nvme_fc_rport`).
    // SAFETY: C makes it with all its fields before it puts it on a list. It does not change names
    // and local port, of which it has a reference, and but for `dev_loss_tmo` only reads what else
    // is here, as plain words. It calls `init_gate()`.
    pub(crate) unsafe struct RemotePort(private::nvme_fc_rport) {
        fn node_name: Constant<u64> = remoteport.node_name;
        fn port_name: Constant<u64> = remoteport.port_name;
        fn local_port: Constant<&'a LocalPort> = lport;
        fn port_role: Atomic<u32> = remoteport.port_role;
        fn port_id: Atomic<u32> = remoteport.port_id;
        fn port_state: Atomic<u32> = remoteport.port_state;
        fn dev_loss_tmo: Atomic<u32> = remoteport.dev_loss_tmo;
        fn state_lock: IrqSpinLock = lock;
        fn controller_list: Opaque<bindings::list_head> = ctrl_list;
        fn gate: RemoteGate = gate.word;
        fn word: Opaque<bindings::atomic_t> = gate.word;
        fn lost: Atomic<bool> = gate.lost;
        fn deadline: Atomic<u64> = gate.deadline;
    }
}

impl RemotePort {
    /// Initialises what C leaves to Rust.
    ///
    /// # Safety
    ///
    /// `port` is memory for a port that nobody else uses.
    pub(crate) unsafe fn init_gate(port: *mut bindings::nvme_fc_rport) {
        let port = port.cast::<private::nvme_fc_rport>();
        // SAFETY: By the contract of this function.
        unsafe {
            let gate = &raw mut (*port).gate;
            object::view::<_, RemoteGate>(&raw mut (*gate).word).write(RemoteGate::new());
            (&raw mut (*gate).lost).write(false);
            (&raw mut (*gate).deadline).write(0);
        }
    }

    /// The port of which an LLDD knows this part.
    ///
    /// # Safety
    ///
    /// `remote` is part of a port that is valid for `'a`.
    pub(crate) unsafe fn of_lldd<'a>(remote: *mut bindings::nvme_fc_remote_port) -> &'a Self {
        let offset = mem::offset_of!(private::nvme_fc_rport, remoteport);
        // SAFETY: By the contract of this function.
        unsafe { Self::from_raw(remote.wrapping_byte_sub(offset).cast()) }
    }

    /// Its world wide names.
    pub(crate) fn name(&self) -> PortName {
        PortName {
            node: self.node_name().get(),
            port: self.port_name().get(),
        }
    }

    /// Keeps the state of the port and the list of its controllers as they are.
    pub(crate) fn lock(&self) -> LockedPort<'_> {
        // INVARIANT: It is locked until the guard is dropped.
        LockedPort {
            port: self,
            _guard: Some(self.state_lock().lock()),
        }
    }

    /// The same, if it was C that has taken the lock.
    ///
    /// # Safety
    ///
    /// The lock is held until the result is no longer used.
    pub(crate) unsafe fn locked_by_c(&self) -> LockedPort<'_> {
        // INVARIANT: By the contract of this function.
        LockedPort {
            port: self,
            _guard: None,
        }
    }

    /// Has the LLDD abort the LS requests that it was given for the port. May sleep.
    pub(crate) fn abort_ls_requests(used: &RemoteUse<'_, Self>) {
        // SAFETY: The port is valid, and as long as it is used its LLDD may be called.
        unsafe { bindings::nvme_fc_abort_lsops(used.port().as_raw().cast()) };
    }

    /// Waits for `remoteport_delete`, if that is owed. May sleep.
    pub(crate) fn wait_deleted(&self, patience: &mut Patience) -> Result {
        patience.wait(self.word())
    }
}

// SAFETY: They count the references of the port, which is freed when there are none any more.
unsafe impl Counted for RemotePort {
    fn get(&self) -> bool {
        // SAFETY: The port is valid.
        unsafe { bindings::nvme_fc_rport_get(self.as_raw().cast()) != 0 }
    }

    unsafe fn put(port: NonNull<Self>) {
        // SAFETY: By the contract of this function.
        unsafe { bindings::nvme_fc_rport_put(port.as_ptr().cast()) };
    }
}

impl Remote for RemotePort {
    type Local = LocalPort;

    fn local(&self) -> &LocalPort {
        self.local_port().get()
    }

    fn remote_gate(&self) -> &RemoteGate {
        self.gate()
    }

    fn remoteport_delete(owed: &RemoteOwed<'_, Self>) {
        let port = owed.port();
        // SAFETY: The callback is owed. Whoever calls it uses the local port as well. Or it is the
        // LLDD itself that does, to unregister the remote port after its local port, which it must
        // before another one registers that.
        let template = unsafe { port.local().template() };
        if let Some(delete) = template.remoteport_delete().get() {
            // SAFETY: The LLDD has registered the port, and waits for this.
            unsafe { delete(&raw mut (*port.as_raw()).remoteport) };
        }
    }

    fn remoteport_deleted(&self) {
        wait::wake(self.word());
    }
}

/// A remote port whose lock is held.
///
/// # Invariants
///
/// The port's lock is held as long as the value is there.
pub(crate) struct LockedPort<'a> {
    port: &'a RemotePort,
    _guard: Option<IrqSpinLockGuard<'a>>,
}

impl LockedPort<'_> {
    /// Whether the port is registered, and if not, until when controllers wait for it.
    pub(crate) fn state(&self) -> PortState {
        if self.port.lost().load(Relaxed) {
            PortState::Lost {
                deadline: self.port.deadline().load(Relaxed),
            }
        } else {
            PortState::Online
        }
    }

    /// Changes that, and what those see who only look.
    fn set_state(&self, state: PortState) {
        let (lost, deadline, seen) = match state {
            PortState::Online => (false, 0, ONLINE),
            PortState::Lost { deadline } => (true, deadline, DELETED),
        };
        self.port.lost().store(lost, Relaxed);
        self.port.deadline().store(deadline, Relaxed);
        self.port.port_state().store(seen, Relaxed);
    }

    /// An LLDD registers the port again, with `info`.
    pub(crate) fn resume(&self, info: &PortInfo) -> Result<Resumed, NotResumed> {
        let resumed = ports::resume_remote(self.port, || self.set_info(info))?;
        if let Resumed::Undeleted = resumed {
            self.set_info(info);
        }
        Ok(resumed)
    }

    fn set_info(&self, info: &PortInfo) {
        self.port.port_role().store(info.role(), Relaxed);
        self.port.port_id().store(info.id(), Relaxed);
        self.set_state(PortState::Online);
    }

    /// The LLDD has unregistered the port. Controllers wait for it for the time that is returned,
    /// in seconds.
    pub(crate) fn set_lost(&self) -> u32 {
        let dev_loss_tmo = self.port.dev_loss_tmo().load(Relaxed);
        let per_second = wait::jiffies_per_second();
        self.set_state(PortState::lost(wait::now(), dev_loss_tmo, per_second));
        dev_loss_tmo
    }

    /// The controllers of the port.
    pub(crate) fn controllers(&self) -> Controllers<'_> {
        let list = NonNull::from_ref(self.port.controller_list()).cast();
        // SAFETY: C initialises the list with the port. By the type invariant the lock is held,
        // which protects it. Controllers are linked on it by `ctrl_list`, and C takes one off
        // before it frees it. Others that go through it now can only look, as this one.
        Controllers(unsafe { ListGuard::new(list, ()) })
    }
}

/// The controllers of a remote port.
pub(crate) struct Controllers<'a>(ListGuard<'a, Controller, CTRL_LIST>);

impl Controllers<'_> {
    /// Goes through them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Controller> {
        self.0.iter()
    }
}
