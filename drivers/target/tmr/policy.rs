// SPDX-License-Identifier: GPL-2.0

//! What task management decides, apart from how it is carried out.
//!
//! No kernel types, no unsafe code: the file also compiles on the host, where
//! `tools/tmr-policy` checks it in all interleavings of small scenarios.
//!
//! # Who waits for whom
//!
//! Task management waits, in process context and without a limit, for other tasks that may
//! themselves wait. That ends only if the waits have an order. From the top, each may wait for
//! those below it, and never for its like or for one above:
//!
//! 1. a LUN_RESET request, which nothing in the core waits for;
//! 2. an ABORT_TASK request;
//! 3. a PREEMPT AND ABORT command that a fabric submitted in its own context;
//! 4. the work item of a submission queue;
//! 5. a PREEMPT AND ABORT command that runs inside such a work item;
//! 6. `lun_reset_mutex`;
//! 7. an ABORT_TASK request that is past its search and waits for a plain command;
//! 8. a plain command, which the backend completes.
//!
//! From this follows what [`wait_for_command()`] and [`wait_for_request()`] say, and that
//! submission queues are waited for before the mutex is taken and never from inside of them
//! (`tmr/submission.rs`). The order holds although a step is entered late: an aborted request
//! does not go from step 2 to 7 any more, see [`Phase`].

#![deny(unsafe_code)]

/// `CMD_T_ABORTED` of `transport_state`.
pub(crate) const ABORTED: u32 = 1 << 0;
/// `CMD_T_COMPLETE` of `transport_state`.
pub(crate) const COMPLETE: u32 = 1 << 2;
/// `CMD_T_TAS` of `transport_state`.
pub(crate) const ANSWER_ABORTED: u32 = 1 << 10;
/// `CMD_T_FABRIC_STOP` of `transport_state`.
pub(crate) const FABRIC_STOP: u32 = 1 << 11;

/// Operation code of PERSISTENT RESERVE OUT (SPC-4).
const PERSISTENT_RESERVE_OUT: u8 = 0x5f;
/// Its service action PREEMPT AND ABORT, in bits 0 to 4 of byte 1.
const PREEMPT_AND_ABORT: u8 = 0x05;

/// Why commands of a logical unit are aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The task management function LOGICAL UNIT RESET (SAM-5 7.7).
    LunReset,
    /// The service action PREEMPT AND ABORT of PERSISTENT RESERVE OUT (SPC-4 5.12.11.2.6).
    PreemptAndAbort,
}

/// What a command is, as far as waiting for it is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The backend or the core completes it, whatever task management does.
    Plain,
    /// It carries a task management request.
    TaskManagement,
    /// It aborts commands itself, so it may be waiting for them or for the reset mutex.
    PreemptAndAbort,
}

impl Kind {
    /// Classifies a command by `SCF_SCSI_TMR_CDB` of its flags and the start of its CDB.
    pub(crate) fn of(task_management: bool, cdb: [u8; 2]) -> Self {
        if task_management {
            Self::TaskManagement
        } else if cdb[0] == PERSISTENT_RESERVE_OUT && cdb[1] & 0x1f == PREEMPT_AND_ABORT {
            Self::PreemptAndAbort
        } else {
            Self::Plain
        }
    }
}

/// What a task management request waits for.
///
/// # Invariants
///
/// A request leaves `Searching` only while it is not aborted, and both its `ABORTED` bit and this
/// change under the state lock of its command. Who has set the bit may therefore rely on it that
/// a request seen in `Searching` will not take a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub(crate) enum Phase {
    /// For submission queues, or for nothing.
    Searching = 0,
    /// For the plain command that it has taken.
    OnCommand = 1,
    /// For the PREEMPT AND ABORT command that it has taken.
    OnPreempt = 2,
}

impl Phase {
    /// The phase of a request that takes a command of this kind.
    pub(crate) fn on(kind: Kind) -> Self {
        match kind {
            Kind::PreemptAndAbort => Self::OnPreempt,
            Kind::Plain | Kind::TaskManagement => Self::OnCommand,
        }
    }

    /// Reads back what was stored as a number.
    pub(crate) fn from_u32(value: u32) -> Self {
        match value {
            1 => Self::OnCommand,
            2 => Self::OnPreempt,
            _ => Self::Searching,
        }
    }
}

/// When to wait for something that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// With the reset mutex held: whoever gets the mutex next finds it gone.
    WithMutex,
    /// After the reset mutex was released, because it may need that mutex to end.
    AfterMutex,
    /// Not at all, because it may be waiting for the one that aborts. It ends soon, without
    /// touching the medium, and its answer is void.
    Never,
}

/// When `cause` waits for an aborted command on a state list.
pub(crate) fn wait_for_command(cause: Cause, kind: Kind) -> Wait {
    match (cause, kind) {
        (_, Kind::Plain) => Wait::WithMutex,
        (Cause::LunReset, Kind::TaskManagement | Kind::PreemptAndAbort) => Wait::AfterMutex,
        (Cause::PreemptAndAbort, Kind::TaskManagement | Kind::PreemptAndAbort) => Wait::Never,
    }
}

/// When `cause` waits for an aborted task management request in `phase`.
///
/// A request that has taken a plain command is waited for in the place of that command: no reset
/// may be answered while a command that was there before it can still reach the medium.
pub(crate) fn wait_for_request(cause: Cause, phase: Phase) -> Wait {
    match (cause, phase) {
        (_, Phase::OnCommand) => Wait::WithMutex,
        (Cause::LunReset, Phase::Searching | Phase::OnPreempt) => Wait::AfterMutex,
        (Cause::PreemptAndAbort, Phase::Searching | Phase::OnPreempt) => Wait::Never,
    }
}

/// The transport state of a command in `state` once it is aborted, `None` if it is too late.
///
/// A complete command belongs to the fabric already, and one with a fabric stop to the shutdown
/// of its session. `answer` asks for a status of TASK ABORTED instead of silence.
pub(crate) fn abort(state: u32, answer: bool) -> Option<u32> {
    if state & (COMPLETE | FABRIC_STOP) != 0 {
        return None;
    }
    Some(state | ABORTED | if answer { ANSWER_ABORTED } else { 0 })
}

/// Whether an aborted command is answered with TASK ABORTED (SAM-4 5.6).
///
/// It is if the TAS bit of the control mode page is 1 and the abort does not come from the nexus
/// that sent the command.
pub(crate) fn answers_command(same_nexus: bool, tas: bool) -> bool {
    tas && !same_nexus
}

/// Whether an aborted task management request is answered (with FUNCTION REJECTED).
///
/// The TAS bit is about commands. Without an answer, a fabric that waits for one never wakes up.
/// The nexus that sent the LUN_RESET gets none, as in C: an initiator that has given up on a
/// request and sent the reset instead could take the late answer for that of the reset.
pub(crate) fn answers_request(same_nexus: bool) -> bool {
    !same_nexus
}

/// Whether ABORT_TASK (SAM-5 7.2) for the tag `referenced` of one nexus means a command.
///
/// Task management requests have tags as well, but are not commands.
pub(crate) fn abort_task_means(same_nexus: bool, kind: Kind, tag: u64, referenced: u64) -> bool {
    same_nexus && kind != Kind::TaskManagement && tag == referenced
}

/// Whether `cause` reaches what came from the nexus that asked for it, or from another one.
///
/// PREEMPT AND ABORT is about the nexuses whose registrations it removes. The key of a command does
/// not tell: the core gives each command that of the holder of the reservation. C aborts those of
/// the preempting nexus too. A fabric that submits in the context that receives waits for itself
/// then: for the initiator's acknowledgement of their TASK ABORTED, or for the data of a write.
pub(crate) fn reaches_nexus(cause: Cause, same_nexus: bool) -> bool {
    cause == Cause::LunReset || !same_nexus
}

/// Whether an abort that is limited to the nexuses registered with `keys` reaches a command that
/// came in with the reservation key `key`. Without `keys` there is no limit.
pub(crate) fn reaches(keys: Option<impl IntoIterator<Item = u64>>, key: u64) -> bool {
    keys.is_none_or(|keys| keys.into_iter().any(|preempted| preempted == key))
}
