// SPDX-License-Identifier: GPL-2.0

//! Task management requests (`struct se_tmr_req`).

use core::{
    cell::Cell,
    mem,
    ptr, //
};

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::{
    bindings,
    list::List,
    object::c_object,
    policy::Phase,
    task::Command,
    tmr_device::Device, //
};

c_object! {
    /// A task management request of an initiator (`struct se_tmr_req`).
    ///
    /// C sees the C structure at its start. As all requests come from [`TmrRequest::allocate()`],
    /// there is room behind it for what C need not know.
    pub(crate) struct TmrRequest(bindings::se_tmr_req) {
        fn function_field: Cell<u8> = function;
        fn response: Cell<u8> = response;
        fn referenced_tag_field: Cell<u64> = ref_task_tag;
        fn fabric_private: Cell<*mut c_void> = fabric_tmr_ptr;
        fn command_field: Cell<Option<&'a Command>> = task_cmd;
        fn device: Cell<Option<&'a Device>> = tmr_dev;
        fn link: Cell<bindings::list_head> = tmr_list;
    } + {
        /// A [`Phase`], see there for who may change it.
        phase: Atomic<u32>,
    }
}

/// Requests of a logical unit, linked by `tmr_list`.
pub(crate) type RequestList = List<TmrRequest, { mem::offset_of!(bindings::se_tmr_req, tmr_list) }>;

impl TmrRequest {
    /// Allocates a request with `gfp`, which may forbid to sleep.
    ///
    /// It lives until its memory is given back as a `KBox`.
    pub(crate) fn allocate<'a>(gfp: bindings::gfp_t) -> Option<&'a Self> {
        // SAFETY: Asks `kmalloc()` for new memory, as there is no old object. If not null, it is
        // memory for a `Self` that nobody else knows, and zeroes are a valid value of each field:
        // numbers, null pointers, `Phase::Searching`, a link that `init()` sets before its use.
        unsafe {
            bindings::krealloc_node_align(
                ptr::null(),
                mem::size_of::<Self>(),
                mem::align_of::<Self>(),
                gfp | bindings::__GFP_ZERO,
                bindings::NUMA_NO_NODE,
            )
            .cast::<Self>()
            .as_ref()
        }
    }

    /// Sets up a new request that `command` carries.
    pub(crate) fn init<'a>(&'a self, command: &'a Command, function: u8, private: *mut c_void) {
        self.function_field().set(function);
        self.fabric_private().set(private);
        self.command_field().set(Some(command));
        let link = self.link();
        // C: `INIT_LIST_HEAD()`.
        link.set(bindings::list_head {
            next: link.as_ptr(),
            prev: link.as_ptr(),
        });
    }

    /// The task management function (SAM-5 7.1), a `tcm_tmreq_table`.
    pub(crate) fn function(&self) -> u32 {
        self.function_field().get().into()
    }

    /// The tag of the command that an ABORT_TASK is about.
    pub(crate) fn referenced_tag(&self) -> u64 {
        self.referenced_tag_field().get()
    }

    /// The command that carries the request.
    pub(crate) fn command(&self) -> Option<&Command> {
        self.command_field().get()
    }

    /// Sets the service response, a `tcm_tmrsp_table`. Only whoever executes the request does.
    pub(crate) fn set_response(&self, response: u32) {
        // The values are few, see `core_tmr_*` in `tmr/`.
        self.response().set(response as u8);
    }

    /// Takes the request off `list`, that of its logical unit, whose lock the caller holds.
    pub(crate) fn leave(&self, list: &RequestList) {
        list.remove(self);
        // The core would take it off once more otherwise.
        self.device().set(None);
    }

    /// What the request waits for. What that is worth, [`Phase`] tells.
    pub(crate) fn phase(&self) -> Phase {
        Phase::from_u32(self.phase.load(Relaxed))
    }

    /// Enters `phase`, unless the request has been aborted itself.
    ///
    /// Interrupts are off, because the lock of a state list is held.
    pub(crate) fn enter(&self, phase: Phase) -> bool {
        let Some(command) = self.command() else {
            return false;
        };
        let _state = command.state_lock().lock();
        if command.is_aborted() {
            return false;
        }
        self.phase.store(phase as u32, Relaxed);
        true
    }
}
