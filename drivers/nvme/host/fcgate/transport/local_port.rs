// SPDX-License-Identifier: GPL-2.0

//! Local ports, and the lists of ports.

use core::{
    mem,
    ptr::{
        self,
        NonNull, //
    },
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
    private,
    reference::{
        Counted,
        Ref, //
    },
    remote_port::{
        RemotePort,
        ENDP_LIST, //
    },
    template::{
        PortInfo,
        PortName,
        Template, //
    },
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
        gate::{
            By,
            NotResumed,
            Resumed, //
        },
        ports::{
            self,
            Local,
            LocalGate,
            LocalOwed, //
        },
        private_size::PrivateSizes,
    },
    object::{
        self,
        c_object,
        CObject,
        Constant,
        View, //
    },
};

/// `port_state` of a port that is registered.
pub(super) const ONLINE: u32 = bindings::nvme_fc_obj_state_FC_OBJSTATE_ONLINE;

/// `port_state` of a port that is not.
pub(super) const DELETED: u32 = bindings::nvme_fc_obj_state_FC_OBJSTATE_DELETED;

// It is the word alone; C does not change it.
impl View<bindings::atomic_t> for LocalGate {}

c_object! {
    /// A local port (`struct nvme_fc_lport`).
    // SAFETY: C makes it with all its fields before it puts it on its list. It does not change
    // names and device, and only reads what else is here, as plain words. It calls `init_gate()`.
    pub(crate) unsafe struct LocalPort(private::nvme_fc_lport) {
        fn node_name: Constant<u64> = localport.node_name;
        fn port_name: Constant<u64> = localport.port_name;
        fn device: Constant<*mut bindings::device> = dev;
        fn port_role: Atomic<u32> = localport.port_role;
        fn port_id: Atomic<u32> = localport.port_id;
        fn port_state: Atomic<u32> = localport.port_state;
        fn ops: Atomic<*mut bindings::nvme_fc_port_template> = ops;
        fn remote_port_list: Opaque<bindings::list_head> = endp_list;
        fn gate: LocalGate = gate.word;
        fn word: Opaque<bindings::atomic_t> = gate.word;
        fn local_priv_sz: Atomic<u32> = gate.local_priv_sz;
        fn remote_priv_sz: Atomic<u32> = gate.remote_priv_sz;
        fn fcprqst_priv_sz: Atomic<u32> = gate.fcprqst_priv_sz;
    }
}

impl LocalPort {
    /// Initialises what C leaves to Rust, for a port that is registered with `template`.
    ///
    /// # Safety
    ///
    /// `port` is memory for a port that nobody else uses.
    pub(crate) unsafe fn init_gate(port: *mut bindings::nvme_fc_lport, template: &Template) {
        let PrivateSizes {
            local,
            remote,
            fcprqst,
        } = template.private_sizes();
        let port = port.cast::<private::nvme_fc_lport>();
        // SAFETY: By the contract of this function.
        unsafe {
            let gate = &raw mut (*port).gate;
            object::view::<_, LocalGate>(&raw mut (*gate).word).write(LocalGate::new());
            (&raw mut (*gate).local_priv_sz).write(local);
            (&raw mut (*gate).remote_priv_sz).write(remote);
            (&raw mut (*gate).fcprqst_priv_sz).write(fcprqst);
        }
    }

    /// The port of which an LLDD knows this part.
    ///
    /// # Safety
    ///
    /// `local` is part of a port that is valid for `'a`.
    pub(crate) unsafe fn of_lldd<'a>(local: *mut bindings::nvme_fc_local_port) -> &'a Self {
        let offset = mem::offset_of!(private::nvme_fc_lport, localport);
        // SAFETY: By the contract of this function.
        unsafe { Self::from_raw(local.wrapping_byte_sub(offset).cast()) }
    }

    /// Its world wide names.
    pub(crate) fn name(&self) -> PortName {
        PortName {
            node: self.node_name().get(),
            port: self.port_name().get(),
        }
    }

    /// Whether it is that of `device`.
    pub(crate) fn is_of(&self, device: *const bindings::device) -> bool {
        ptr::eq(self.device().get(), device)
    }

    /// Whether the port is registered.
    pub(crate) fn is_online(&self, _ports: &Ports) -> bool {
        self.port_state().load(Relaxed) == ONLINE
    }

    /// The LLDD that has `template` registers the port again, with `info`; from now on, its objects
    /// have memory for `sizes`.
    pub(crate) fn resume(
        &self,
        template: &Template,
        sizes: PrivateSizes,
        info: &PortInfo,
        ports: &Ports,
    ) -> Result<Resumed, NotResumed> {
        let by = if ptr::eq(self.ops().load(Relaxed), template.as_raw()) {
            By::SameLldd
        } else {
            By::AnotherLldd
        };
        let resumed = ports::resume_local(self, by, || {
            self.ops().store(template.as_raw(), Relaxed);
            self.local_priv_sz().store(sizes.local, Relaxed);
            self.remote_priv_sz().store(sizes.remote, Relaxed);
            self.fcprqst_priv_sz().store(sizes.fcprqst, Relaxed);
            self.set_info(info, ports);
        })?;
        if let Resumed::Undeleted = resumed {
            self.set_info(info, ports);
        }
        Ok(resumed)
    }

    fn set_info(&self, info: &PortInfo, _ports: &Ports) {
        self.port_role().store(info.role(), Relaxed);
        self.port_id().store(info.id(), Relaxed);
        self.port_state().store(ONLINE, Relaxed);
    }

    /// For those who only look, the port is not registered any more.
    pub(crate) fn set_deleted(&self, _ports: &Ports) {
        self.port_state().store(DELETED, Relaxed);
    }

    /// The memory that there is behind the port's objects.
    pub(crate) fn private_sizes(&self, _ports: &Ports) -> PrivateSizes {
        PrivateSizes {
            local: self.local_priv_sz().load(Relaxed),
            remote: self.remote_priv_sz().load(Relaxed),
            fcprqst: self.fcprqst_priv_sz().load(Relaxed),
        }
    }

    /// What its LLDD has registered it with.
    ///
    /// # Safety
    ///
    /// The LLDD waits for a callback of the port, or of one of its remote ports.
    pub(super) unsafe fn template(&self) -> &Template {
        // SAFETY: By the contract of this function it keeps the template. `ops` is set before
        // anybody uses the port, and not changed until nobody does.
        unsafe { Template::from_raw(self.ops().load(Relaxed)) }
    }

    /// Waits for `localport_delete`, if that is owed. May sleep.
    pub(crate) fn wait_deleted(&self, patience: &mut Patience) -> Result {
        patience.wait(self.word())
    }
}

// SAFETY: They count the references of the port, which is freed when there are none any more.
unsafe impl Counted for LocalPort {
    fn get(&self) -> bool {
        // SAFETY: The port is valid.
        unsafe { bindings::nvme_fc_lport_get(self.as_raw().cast()) != 0 }
    }

    unsafe fn put(port: NonNull<Self>) {
        // SAFETY: By the contract of this function.
        unsafe { bindings::nvme_fc_lport_put(port.as_ptr().cast()) };
    }
}

impl Local for LocalPort {
    fn local_gate(&self) -> &LocalGate {
        self.gate()
    }

    fn localport_delete(owed: &LocalOwed<'_, Self>) {
        let port = owed.port();
        // SAFETY: The callback is owed.
        let template = unsafe { port.template() };
        if let Some(delete) = template.localport_delete().get() {
            // SAFETY: The LLDD has registered the port, and waits for this.
            unsafe { delete(&raw mut (*port.as_raw()).localport) };
        }
    }

    fn localport_deleted(&self) {
        wait::wake(self.word());
    }
}

/// Where the link of the list of local ports is.
const PORT_LIST: usize = mem::offset_of!(private::nvme_fc_lport, port_list);

/// All local ports with their remote ports; no port is registered for the first time or freed
/// (`nvme_fc_lock`).
pub(crate) struct Ports(ListGuard<'static, LocalPort, PORT_LIST, IrqSpinLockGuard<'static>>);

impl Ports {
    /// Takes the lock.
    pub(crate) fn lock() -> Self {
        // SAFETY: Both are initialised when the module is loaded, and stay as long as it does.
        let (lock, list): (&'static IrqSpinLock, _) = unsafe {
            (
                &*object::view(&raw mut bindings::nvme_fc_lock),
                NonNull::new_unchecked(&raw mut bindings::nvme_fc_lport_list),
            )
        };
        // SAFETY: The lock protects the list, on which local ports are linked by `port_list`. C
        // takes a port off it before it frees the port.
        Self(unsafe { ListGuard::new(list, lock.lock()) })
    }

    /// Finds a local port, and does something with it while the lock is held, which is released
    /// before anybody can drop the reference. One that is about to be freed is not there any more.
    pub(crate) fn local<T>(
        self,
        name: PortName,
        action: impl FnOnce(&LocalPort, &Self) -> T,
    ) -> Option<(Ref<LocalPort>, T)> {
        let mut named = self.0.iter().filter(|port| port.name() == name);
        let port = named.find_map(Ref::new)?;
        let result = action(&port, &self);
        drop(named);
        drop(self);
        Some((port, result))
    }

    /// Finds a remote port of `local`. As [`Ports::local()`].
    pub(crate) fn remote(self, local: &LocalPort, name: PortName) -> Option<Ref<RemotePort>> {
        let list = NonNull::from_ref(local.remote_port_list()).cast();
        // SAFETY: C initialises the list with the local port. The lock is held, which protects it.
        // Remote ports are linked on it by `endp_list`, and C takes one off before it frees it.
        let ports: ListGuard<'_, RemotePort, ENDP_LIST, _> = unsafe { ListGuard::new(list, self) };
        let mut named = ports.iter().filter(|port| port.name() == name);
        named.find_map(Ref::new)
    }
}
