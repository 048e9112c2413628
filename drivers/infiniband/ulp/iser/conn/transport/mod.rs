// SPDX-License-Identifier: GPL-2.0

//! What connections see of C: `struct iser_conn`, its CM id, and iSCSI.
//!
//! C header: `drivers/infiniband/ulp/iser/iscsi_iser.h`

pub(crate) mod cm;
pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod iscsi;
pub(crate) mod owner;
pub(crate) mod work;
