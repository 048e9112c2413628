// SPDX-License-Identifier: GPL-2.0

//! What an LLDD registers its ports with.
//!
//! C header: `include/linux/nvme-fc-driver.h`

use crate::{
    bindings,
    logic::private_size::PrivateSizes,
    object::{
        c_object,
        Constant, //
    },
};

/// `localport_delete` of an LLDD.
type LocalportDelete = unsafe extern "C" fn(*mut bindings::nvme_fc_local_port);

/// `remoteport_delete` of an LLDD.
type RemoteportDelete = unsafe extern "C" fn(*mut bindings::nvme_fc_remote_port);

c_object! {
    /// Functions and parameters of an LLDD (`struct nvme_fc_port_template`).
    // SAFETY: The LLDD has filled it in before it registers a port with it, and keeps it as it is
    // until the callbacks for all ports have returned.
    pub(crate) unsafe struct Template(bindings::nvme_fc_port_template) {
        /// Tells the LLDD that a local port is deleted.
        pub(super) fn localport_delete: Constant<Option<LocalportDelete>> = localport_delete;
        /// Tells the LLDD that a remote port is deleted.
        pub(super) fn remoteport_delete: Constant<Option<RemoteportDelete>> = remoteport_delete;
        fn local_priv_sz: Constant<u32> = local_priv_sz;
        fn remote_priv_sz: Constant<u32> = remote_priv_sz;
        fn fcprqst_priv_sz: Constant<u32> = fcprqst_priv_sz;
    }
}

impl Template {
    /// The memory that the LLDD asks for behind the objects of a local port.
    pub(crate) fn private_sizes(&self) -> PrivateSizes {
        PrivateSizes {
            local: self.local_priv_sz().get(),
            remote: self.remote_priv_sz().get(),
            fcprqst: self.fcprqst_priv_sz().get(),
        }
    }
}

c_object! {
    /// What an LLDD says of a port that it registers (`struct nvme_fc_port_info`).
    // SAFETY: The LLDD changes nothing of it until the port is registered.
    pub(crate) unsafe struct PortInfo(bindings::nvme_fc_port_info) {
        fn node_name: Constant<u64> = node_name;
        fn port_name: Constant<u64> = port_name;
        fn role_field: Constant<u32> = port_role;
        fn id_field: Constant<u32> = port_id;
    }
}

impl PortInfo {
    /// The port's world wide names.
    pub(crate) fn name(&self) -> PortName {
        PortName {
            node: self.node_name().get(),
            port: self.port_name().get(),
        }
    }

    /// Its role.
    pub(super) fn role(&self) -> u32 {
        self.role_field().get()
    }

    /// Its address on the fabric.
    pub(super) fn id(&self) -> u32 {
        self.id_field().get()
    }
}

/// The world wide names of a port and of the node that it is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortName {
    /// The node's.
    pub(crate) node: u64,
    /// The port's.
    pub(crate) port: u64,
}
