// SPDX-License-Identifier: GPL-2.0

//! Events of the CM.
//!
//! C header: `include/rdma/rdma_cm.h`

use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    str::CStr, //
};

use crate::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    bindings::{
        self,
        rdma_cm_event_type, //
    },
    logic::event::Event,
};

/// What the handler of a CM id is told. There is one in the handler alone.
///
/// # Invariants
///
/// The structure is valid and not changed during `'a`, while the handler of `id` runs.
pub(crate) struct CmEvent<'a> {
    raw: *const bindings::rdma_cm_event,
    id: *const bindings::rdma_cm_id,
    valid: PhantomData<&'a ()>,
}

impl CmEvent<'_> {
    /// Looks at what C hands over to the handler.
    ///
    /// # Safety
    ///
    /// It is valid for `'a`, nobody changes it, and this is the handler of `id`.
    pub(crate) unsafe fn new(
        raw: *const bindings::rdma_cm_event,
        id: *const bindings::rdma_cm_id,
    ) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            raw,
            id,
            valid: PhantomData,
        }
    }

    /// Whether this is the handler of `id`.
    pub(super) fn is_for(&self, id: NonNull<bindings::rdma_cm_id>) -> bool {
        ptr::eq(self.id, id.as_ptr())
    }

    fn kind(&self) -> rdma_cm_event_type {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw).event }
    }

    fn status(&self) -> c_int {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw).status }
    }

    /// What it is to a connection. `None`: no initiator is told that.
    pub(crate) fn event(&self) -> Option<Event> {
        match self.kind() {
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ADDR_RESOLVED => Some(Event::AddrResolved),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ROUTE_RESOLVED => Some(Event::RouteResolved),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ESTABLISHED => Some(Event::Established),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ADDR_ERROR
            | bindings::rdma_cm_event_type_RDMA_CM_EVENT_ROUTE_ERROR
            | bindings::rdma_cm_event_type_RDMA_CM_EVENT_CONNECT_ERROR
            | bindings::rdma_cm_event_type_RDMA_CM_EVENT_REJECTED => Some(Event::ConnectError),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_UNREACHABLE => Some(Event::Unreachable),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_ADDR_CHANGE => Some(Event::AddrChange),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_DISCONNECTED => Some(Event::Disconnected),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_TIMEWAIT_EXIT => Some(Event::TimewaitExit),
            bindings::rdma_cm_event_type_RDMA_CM_EVENT_DEVICE_REMOVAL => Some(Event::DeviceRemoval),
            _ => None,
        }
    }

    /// What the peer has sent with its answer, if anything; valid as long as the event.
    pub(super) fn private_data(&self) -> *const c_void {
        if self.kind() == bindings::rdma_cm_event_type_RDMA_CM_EVENT_ESTABLISHED {
            // SAFETY: By the type invariant; it is that of a connection.
            unsafe { (*self.raw).param.conn.as_ref().private_data }
        } else {
            ptr::null()
        }
    }

    /// Says that it came, if `debug_level` asks for that; in any case if it is unexpected.
    pub(crate) fn log(&self, connection: *const c_void) {
        // SAFETY: It returns strings that are always there, for any number.
        let name = unsafe { CStr::from_char_ptr(bindings::rdma_event_msg(self.kind())) };
        if self.event().is_none() {
            pr_err!(
                "iser_cma_handler: Unexpected RDMA CM event: {} ({})\n",
                name,
                self.kind()
            );
        } else if debug_level() > 1 {
            pr_info!(
                "iser_cma_handler: {} ({}): status {} conn {:p} id {:p}\n",
                name,
                self.kind(),
                self.status(),
                connection,
                self.id
            );
        }
    }
}

/// The module's parameter `debug_level`.
fn debug_level() -> c_int {
    // SAFETY: It is always there, and changed as a plain word.
    unsafe { Atomic::from_ptr(&raw mut bindings::iser_debug_level) }.load(Relaxed)
}
