// SPDX-License-Identifier: GPL-2.0

//! Controllers.

use core::mem;

use kernel::{
    device::Device,
    ffi::c_ulong, //
};

use super::{
    local_port::LocalPort,
    private,
    remote_port::RemotePort, //
};
use crate::{
    bindings,
    logic::holder::{
        Holder,
        NotBegun, //
    },
    object::{
        c_object,
        CObject,
        Constant,
        View, //
    },
};

/// Where the link of the list of controllers of a remote port is.
pub(super) const CTRL_LIST: usize = mem::offset_of!(private::nvme_fc_ctrl, ctrl_list);

/// The flag of an association that has failed.
const ASSOC_FAILED: c_ulong = private::ASSOC_FAILED as c_ulong;

// It is the word alone; C does not change it.
impl View<bindings::atomic_long_t> for Holder<'_, RemotePort> {}

c_object! {
    /// A controller (`struct nvme_fc_ctrl`).
    // SAFETY: C makes it with zeroes, and sets number and remote port, of which it has a reference,
    // before it puts it on its list or uses its remote port. It does not change them.
    pub(crate) unsafe struct Controller(private::nvme_fc_ctrl) {
        fn number: Constant<u32> = cnum;
        fn remote_port: Constant<&'a RemotePort> = rport;
        fn association: Holder<'a, RemotePort> = association;
    }
}

impl Controller {
    /// Its remote port.
    pub(crate) fn port(&self) -> &RemotePort {
        self.remote_port().get()
    }

    /// Its association begins to use the remote port, see [`Holder::begin()`]. It has not failed.
    pub(crate) fn begin(&self) -> Result<(), NotBegun<'_, LocalPort>> {
        self.association()
            .begin(self.port(), || self.clear_failed())
    }

    /// Someone begins to end that use, see [`Holder::ending()`].
    #[must_use = "who begins to end it has to end it"]
    pub(crate) fn ending(&self) -> bool {
        self.association().ending(self.port())
    }

    /// It ends, see [`Holder::end()`].
    pub(crate) fn end(&self) -> bool {
        self.association().end(self.port())
    }

    fn clear_failed(&self) {
        // SAFETY: The controller is valid, and everybody changes the flags bit by bit.
        unsafe {
            let flags = &raw mut (*self.as_raw()).flags;
            bindings::clear_bit(ASSOC_FAILED, flags);
        }
    }

    /// Its port is there again: has it connect at once, if it waits for that. Any context.
    pub(crate) fn resume(&self) {
        // SAFETY: The controller is valid.
        unsafe { bindings::nvme_fc_resume_controller(self.as_raw().cast()) };
    }

    /// Its port is lost: has it give up its association, and wait. Any context.
    pub(crate) fn lose(&self) {
        // SAFETY: As above.
        unsafe { bindings::nvme_fc_ctrl_connectivity_loss(self.as_raw().cast()) };
    }

    /// Its port is lost, and is not waited for: has it deleted. Any context.
    pub(crate) fn lose_at_once(&self) {
        // SAFETY: The device is part of the controller, which is valid, and initialised before the
        // controller is on its list, or known to anybody else.
        let device: &Device = unsafe {
            let ctrl = &raw mut (*self.as_raw()).ctrl;
            Device::from_raw(bindings::nvme_ctrl_device(ctrl))
        };
        kernel::dev_warn!(
            device,
            "NVME-FC{{{}}}: controller connectivity lost.\n",
            self.number().get()
        );
        // It fails if the controller is being deleted already.
        // SAFETY: The controller is valid.
        let _ = unsafe { bindings::nvme_delete_ctrl(&raw mut (*self.as_raw()).ctrl) };
    }
}
