// SPDX-License-Identifier: GPL-2.0

//! Task management requests (`struct se_tmr_req`).

use core::{
    mem::{
        self,
        MaybeUninit, //
    },
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Completion, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

use super::command::{
    Command,
    CommandRef, //
};
use crate::{
    bindings,
    list::ListGuard,
    lock::IrqSpinLockGuard,
    logic::Phase,
    object::{
        c_object,
        CObject,
        Constant, //
    },
};

c_object! {
    /// A task management request of an initiator (`struct se_tmr_req`).
    ///
    /// C sees the C structure at its start. As all requests are made here, there is room behind it
    /// for what C need not know.
    // SAFETY: Function and command are set when the request is made and never changed; the fabric
    // sets the tag before it submits the request. The core frees a request only when it releases
    // the command that carries it.
    pub(crate) unsafe struct TmrRequest(bindings::se_tmr_req) {
        fn function_field: Constant<u8> = function;
        fn response: Atomic<i8> = response;
        fn referenced_tag_field: Constant<u64> = ref_task_tag;
        fn command_field: Constant<&'a Command> = task_cmd;
    } + {
        /// A [`Phase`], see there for who may change it.
        phase: Atomic<u32>,
        /// Requests are numbered in the order in which they are made.
        number: u64,
        /// Complete when an ABORT_TASK has been carried out.
        #[pin]
        done: Completion,
    }
}

/// The number of the next request, of whatever logical unit.
static NEXT: Atomic<u64> = Atomic::new(0);

/// The requests of a logical unit, whose lock is held.
pub(crate) type Requests<'a> = ListGuard<
    'a,
    TmrRequest,
    { mem::offset_of!(bindings::se_tmr_req, tmr_list) },
    IrqSpinLockGuard<'a>,
>;

/// A command that only its fabric knows.
pub(crate) struct NewCommand<'a>(&'a Command);

impl<'a> NewCommand<'a> {
    /// A command of a fabric.
    ///
    /// # Safety
    ///
    /// `command` must be valid for `'a`, initialised by `__target_init_cmd()`, and known to nobody
    /// but the caller.
    pub(super) unsafe fn from_raw(command: *mut bindings::se_cmd) -> Self {
        // SAFETY: By the contract of this function.
        Self(unsafe { Command::from_raw(command) })
    }

    /// Makes this the command of a new task management request.
    ///
    /// `private` is the fabric's own; `gfp` may forbid to sleep. Fails if there is no memory.
    pub(crate) fn carry_request(
        self,
        function: u8,
        private: *mut c_void,
        gfp: bindings::gfp_t,
    ) -> Result<&'a Command> {
        let command = self.0.as_raw();
        let memory = TmrRequest::allocate(gfp).ok_or(ENOMEM)?;
        let Ok(request) = memory.write_pin_init(pin_init!(TmrRequest {
            c <- Opaque::ffi_init(|c: *mut bindings::se_tmr_req| {
                // SAFETY: `c` is memory for a request. The link is initialised in its place.
                unsafe {
                    c.write(bindings::se_tmr_req {
                        function,
                        fabric_tmr_ptr: private,
                        task_cmd: command,
                        ..pin_init::zeroed()
                    });
                    bindings::INIT_LIST_HEAD(&raw mut (*c).tmr_list);
                }
            }),
            phase: Atomic::new(Phase::Searching as u32),
            number: NEXT.fetch_add(1, Relaxed),
            done <- Completion::new(),
        }));
        let request = request.into_foreign().cast();
        // SAFETY: The command is valid and nobody else uses it. It owns the request until the core
        // calls `core_tmr_release_req()`.
        unsafe {
            (*command).se_tmr_req = request;
            (*command).se_cmd_flags |= bindings::se_cmd_flags_table_SCF_SCSI_TMR_CDB;
        }
        Ok(self.0)
    }
}

impl TmrRequest {
    /// Memory for a request. The kernel crate has no flags that come from C.
    fn allocate(gfp: bindings::gfp_t) -> Option<KBox<MaybeUninit<Self>>> {
        let (size, align) = (mem::size_of::<Self>(), mem::align_of::<Self>());
        // SAFETY: Asks `kmalloc()` for new memory, as there is no old object. What comes, if
        // anything, has the layout of `Self` and is nobody else's.
        unsafe {
            let node = bindings::NUMA_NO_NODE;
            let memory = bindings::krealloc_node_align(ptr::null(), size, align, gfp, node);
            (!memory.is_null()).then(|| KBox::from_raw(memory.cast()))
        }
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
    pub(crate) fn command(&self) -> &Command {
        self.command_field().get()
    }

    /// Sets the service response, a `tcm_tmrsp_table`. Only whoever executes the request does.
    pub(crate) fn set_response(&self, response: u32) {
        // The values are few, see `core_tmr_*` in `tmr/`.
        self.response().store(response as i8, Relaxed);
    }

    /// The number that the next request will have. Those that are there have smaller ones.
    pub(crate) fn next_number() -> u64 {
        NEXT.load(Relaxed)
    }

    /// The request's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
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
        self.command().is_aborted()
    }

    /// The request has been carried out; whoever waits for that goes on.
    pub(crate) fn finish(&self) {
        self.set_phase(Phase::Done);
        self.done.complete_all();
    }

    /// Keeps the request by a reference to its command, unless the last one is already gone.
    pub(crate) fn hold(&self) -> Option<RequestRef> {
        let command = self.command().hold()?;
        // INVARIANT: The command is the one that carries the request.
        Some(RequestRef {
            request: NonNull::from_ref(self),
            _command: command,
        })
    }
}

/// A reference to a request.
///
/// # Invariants
///
/// `_command` carries the request, so that the request is not freed.
pub(crate) struct RequestRef {
    request: NonNull<TmrRequest>,
    _command: CommandRef,
}

impl RequestRef {
    /// Waits until the request has been carried out.
    ///
    /// Not until it is gone: its initiator may not have acknowledged the answer, and never do so.
    pub(crate) fn wait(self) {
        // SAFETY: By the type invariant the request is valid.
        let request = unsafe { self.request.as_ref() };
        request.done.wait_for_completion();
    }
}
