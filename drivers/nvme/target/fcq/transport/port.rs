// SPDX-License-Identifier: GPL-2.0

//! The target port of a queue.

use core::{
    ops::Deref,
    ptr::NonNull, //
};

use kernel::types::Opaque;

use super::private;
use crate::{
    bindings,
    object::{
        c_object,
        CObject,
        Constant, //
    },
};

c_object! {
    /// A target port (`struct nvmet_fc_tgtport`).
    // SAFETY: C sets them when the LLDD registers the port, and never again. It has a reference to
    // the device, and the LLDD's template is static; it has all functions but `defer_rcv` and some
    // that are not called here, or C does not register the port. The LLDD stays until the port is
    // freed, which it is told by `targetport_delete`.
    pub(crate) unsafe struct Port(private::nvmet_fc_tgtport) {
        fn target_port: Opaque<bindings::nvmet_fc_target_port> = fc_target_port;
        fn ops: Constant<*mut bindings::nvmet_fc_target_template> = ops;
        fn dev: Constant<*mut bindings::device> = dev;
        pub(super) fn associations: Opaque<bindings::list_head> = assoc_list;
    }
}

impl Port {
    /// The target port that the LLDD knows by its public part.
    ///
    /// # Safety
    ///
    /// The LLDD has registered it and it is not freed for `'a`.
    pub(crate) unsafe fn from_target_port<'a>(
        target_port: *mut bindings::nvmet_fc_target_port,
    ) -> &'a Self {
        // SAFETY: By the contract of this function; C allocates the two as one.
        unsafe {
            Self::from_raw(kernel::container_of!(
                target_port,
                private::nvmet_fc_tgtport,
                fc_target_port
            ))
        }
    }

    /// The number of the port, for people.
    pub(crate) fn number(&self) -> u32 {
        // SAFETY: The structure is valid; the field is set when the port is registered.
        unsafe { (*self.target_port().get()).port_num }
    }

    /// Whether the LLDD can keep the buffer of a command IU.
    pub(crate) fn defers(&self) -> bool {
        self.template().defer_rcv.is_some()
    }

    /// The LLDD may reuse the buffer of a command IU.
    ///
    /// # Safety
    ///
    /// The LLDD has given `request` to this port, was told that it is deferred, and is told for the
    /// first time that it is so no longer.
    pub(super) unsafe fn defer_rcv(&self, request: NonNull<bindings::nvmefc_tgt_fcp_req>) {
        if let Some(defer_rcv) = self.template().defer_rcv {
            // SAFETY: By the contract of this function.
            unsafe { defer_rcv(self.target_port().get(), request.as_ptr()) };
        }
    }

    /// The LLDD is to abort the exchange of a request.
    ///
    /// # Safety
    ///
    /// The LLDD has given `request` to this port, and it was not released.
    pub(super) unsafe fn fcp_abort(&self, request: NonNull<bindings::nvmefc_tgt_fcp_req>) {
        // SAFETY: By the contract of this function; the port was not registered without.
        unsafe {
            let fcp_abort = self.template().fcp_abort.unwrap_unchecked();
            fcp_abort(self.target_port().get(), request.as_ptr());
        }
    }

    /// Gives a request back to the LLDD.
    ///
    /// # Safety
    ///
    /// The LLDD has given `request` to this port, it was not released, and nobody uses it any more.
    pub(super) unsafe fn fcp_req_release(&self, request: NonNull<bindings::nvmefc_tgt_fcp_req>) {
        // SAFETY: By the contract of this function; the port was not registered without.
        unsafe {
            let fcp_req_release = self.template().fcp_req_release.unwrap_unchecked();
            fcp_req_release(self.target_port().get(), request.as_ptr());
        }
    }

    /// The device has sent what is in memory that is mapped for it.
    ///
    /// # Safety
    ///
    /// `address` is that of a mapping for the port's device of so many bytes, if it has a device.
    pub(super) unsafe fn sync_for_cpu(&self, address: bindings::dma_addr_t, size: usize) {
        let dev = self.dev().get();
        // fcloop has no device.
        if !dev.is_null() {
            // SAFETY: By the contract of this function.
            unsafe {
                bindings::dma_sync_single_for_cpu(
                    dev,
                    address,
                    size,
                    bindings::dma_data_direction::DMA_TO_DEVICE,
                );
            }
        }
    }

    fn template(&self) -> &bindings::nvmet_fc_target_template {
        // SAFETY: It is the LLDD's, which stays as long as the port and does not change it.
        unsafe { &*self.ops().get() }
    }
}

/// A reference to a target port, which keeps it, and the LLDD, from going. To be dropped where one
/// may sleep.
///
/// # Invariants
///
/// One of the port's references belongs to it.
pub(crate) struct PortRef(NonNull<private::nvmet_fc_tgtport>);

// SAFETY: C counts references atomically; a port is used by all threads.
unsafe impl Send for PortRef {}
// SAFETY: As above.
unsafe impl Sync for PortRef {}

impl PortRef {
    /// Takes a reference, unless the port is being freed.
    pub(crate) fn new(port: &Port) -> Option<Self> {
        let raw = NonNull::new(port.as_raw())?;
        // SAFETY: The port is valid.
        let taken = unsafe { bindings::nvmet_fc_tgtport_get(raw.as_ptr().cast()) };
        // INVARIANT: It was just taken.
        (taken != 0).then_some(Self(raw))
    }
}

impl Deref for PortRef {
    type Target = Port;

    fn deref(&self) -> &Port {
        // SAFETY: By the type invariant.
        unsafe { Port::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for PortRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is one to give up.
        unsafe { bindings::nvmet_fc_tgtport_put(self.0.as_ptr().cast()) };
    }
}
