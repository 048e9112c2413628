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
    },
    types::Opaque, //
};

use crate::{
    bindings,
    core::command::Command, //
    list::List,
    logic::Phase,
    object::c_object,
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
        fn link: Cell<bindings::list_head> = tmr_list;
    } + {
        /// A [`Phase`], see there for who may change it.
        phase: Atomic<u32>,
        /// Requests are numbered in the order in which they are set up.
        number: Cell<u64>,
        /// Complete when an ABORT_TASK has been carried out.
        done: Opaque<bindings::completion>,
    }
}

/// The number of the next request, of whatever logical unit.
static NEXT: Atomic<u64> = Atomic::new(0);

/// Requests of a logical unit, linked by `tmr_list`.
pub(crate) type RequestList = List<TmrRequest, { mem::offset_of!(bindings::se_tmr_req, tmr_list) }>;

impl TmrRequest {
    /// Allocates a request with `gfp`, which may forbid to sleep.
    ///
    /// It lives until its memory is given back as a `KBox`.
    pub(crate) fn allocate<'a>(gfp: bindings::gfp_t) -> Option<&'a Self> {
        // SAFETY: Asks `kmalloc()` for new memory, as there is no old object. If not null, it is
        // memory for a `Self` that nobody else knows, and zeroes are a valid value of each field:
        // numbers, null pointers, `Phase::Searching`, link and completion that `init()` sets before their
        // use.
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
        self.number.set(NEXT.fetch_add(1, Relaxed));
        // SAFETY: The request is new and ours, and this initialises the whole completion.
        unsafe { bindings::init_completion(self.done.get()) };
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

    /// The number that the next request will have. Those that are there have smaller ones.
    pub(crate) fn next_number() -> u64 {
        NEXT.load(Relaxed)
    }

    /// The request's number.
    pub(crate) fn number(&self) -> u64 {
        self.number.get()
    }

    /// What the request does. What that is worth, [`Phase`] tells.
    pub(crate) fn phase(&self) -> Phase {
        Phase::from_u32(self.phase.load(Relaxed))
    }

    /// Enters the phase of a request that is about to take a command.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Relaxed);
    }

    /// Lets a request that has not found its command know that a reset has overtaken it.
    pub(crate) fn overtake(&self) {
        let (from, to) = (Phase::Searching as u32, Phase::Overtaken as u32);
        // It may have taken a command, and is waited for then.
        let _ = self.phase.cmpxchg(from, to, Relaxed);
    }

    /// Whether a reset has aborted the request itself.
    pub(crate) fn is_aborted(&self) -> bool {
        self.command().is_some_and(Command::is_aborted)
    }

    /// The request has been carried out; whoever waits for that goes on.
    pub(crate) fn finish(&self) {
        self.set_phase(Phase::Done);
        // SAFETY: Initialised by `init()`.
        unsafe { bindings::complete_all(self.done.get()) };
    }

    /// Waits until the request has been carried out.
    ///
    /// Whoever waits holds the command of the request, or the request could be gone.
    pub(crate) fn wait(&self) {
        // SAFETY: Initialised by `init()`; called in process context.
        unsafe { bindings::wait_for_completion(self.done.get()) };
    }
}
