// SPDX-License-Identifier: GPL-2.0

//! What task management decides, apart from how it is carried out.
//!
//! No kernel types, no unsafe code: the file also compiles on the host, where
//! `host/tmr-logic` checks it in all interleavings of small scenarios.
//!
//! # Who waits for whom
//!
//! Task management waits, in process context and without a limit, for other tasks that may
//! themselves wait. That ends only if the waits have an order. From the top, each may wait for
//! those below it, and never for its like or for one above:
//!
//! 1. a LUN_RESET request, which nothing in the core waits for;
//! 2. an ABORT_TASK request that searches, that a reset has overtaken, or that waits for a
//!    PREEMPT AND ABORT command or for one that was not sent: of these only the last is waited for,
//!    and only by a LUN_RESET that has released the mutex;
//! 3. an initiator, or the thread of a fabric that receives for it, on whom depends the end of a
//!    command that was not sent: a write waits for its data;
//! 4. a PREEMPT AND ABORT command that a fabric submitted in such a thread;
//! 5. the work item of a submission queue;
//! 6. a PREEMPT AND ABORT command that runs inside such a work item;
//! 7. `lun_reset_mutex`;
//! 8. an ABORT_TASK request that waits for a plain command that was sent;
//! 9. a plain command that was sent, which the backend completes. What its initiator has to
//!    acknowledge (TASK ABORTED) is not waited for.
//!
//! From this follows what [`wait_for_command()`] and [`wait_for_request()`] say, and that
//! submission queues are waited for before the mutex is taken and never from inside of them
//! (`tmr/submission.rs`).
//!
//! # Why no command slips through
//!
//! A request that waits for a command has taken it off its state list, so that a reset does not
//! see the command. It enters its [`Phase`] before it takes the command, both under the lock of
//! the state list. A reset goes through the state lists first and looks at the requests
//! afterwards: whatever command was there before is on its own list or is waited for by a request
//! that it sees in that phase.

#![deny(unsafe_code)]

/// `CMD_T_ABORTED` of `transport_state`.
pub(crate) const ABORTED: u32 = 1 << 0;
/// `CMD_T_COMPLETE` of `transport_state`.
pub(crate) const COMPLETE: u32 = 1 << 2;
/// `CMD_T_SENT` of `transport_state`.
pub(crate) const SENT: u32 = 1 << 4;
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
    /// Classifies a command by `SCF_SCSI_TMR_CDB` of its flags, by whether the core itself
    /// executes it if it is a PERSISTENT RESERVE OUT, and by the start of its CDB.
    ///
    /// A PERSISTENT RESERVE OUT that the backend executes (`pgr_support` 0, or pass-through to a
    /// disk below) is a command like others.
    pub(crate) fn of(task_management: bool, emulated: bool, cdb: [u8; 2]) -> Self {
        let preempts = cdb[0] == PERSISTENT_RESERVE_OUT && cdb[1] & 0x1f == PREEMPT_AND_ABORT;
        if task_management {
            Self::TaskManagement
        } else if emulated && preempts {
            Self::PreemptAndAbort
        } else {
            Self::Plain
        }
    }
}

/// What an ABORT_TASK request does.
///
/// # Invariants
///
/// - A request enters `OnCommand`, `OnUnsent` or `OnPreempt` under the lock of the state list from
///   which it takes the command.
/// - It enters `Overtaken` from `Searching` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub(crate) enum Phase {
    /// It waits for submission queues, searches, or has found nothing.
    Searching = 0,
    /// The same, and a reset of another nexus that reaches it has come meanwhile.
    Overtaken = 1,
    /// It waits for the plain command that it has taken.
    OnCommand = 2,
    /// The same, and the command had not been sent to the backend.
    OnUnsent = 3,
    /// It waits for the PREEMPT AND ABORT command that it has taken.
    OnPreempt = 4,
    /// It has been carried out.
    Done = 5,
}

impl Phase {
    /// The phase of a request that takes a command of this kind.
    pub(crate) fn on(kind: Kind, sent: bool) -> Self {
        match (kind, sent) {
            (Kind::PreemptAndAbort, _) => Self::OnPreempt,
            (Kind::Plain | Kind::TaskManagement, true) => Self::OnCommand,
            (Kind::Plain | Kind::TaskManagement, false) => Self::OnUnsent,
        }
    }

    /// Reads back what was stored as a number.
    pub(crate) fn from_u32(value: u32) -> Self {
        match value {
            1 => Self::Overtaken,
            2 => Self::OnCommand,
            3 => Self::OnUnsent,
            4 => Self::OnPreempt,
            5 => Self::Done,
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
    /// Not at all, because it may be waiting for the one that aborts, or for an initiator that has
    /// fallen silent. It ends without touching the medium.
    Never,
}

/// When `cause` waits for an aborted command on a state list. `sent` says whether the command
/// has been sent to the backend.
///
/// What has not been sent may be a write whose data never come. A PREEMPT AND ABORT need not wait
/// for it: if it is sent after all, it is checked against the registrations before, and those are
/// the new ones. A LUN_RESET waits, but without the mutex: the data may have to come through a
/// thread that executes a PREEMPT AND ABORT.
pub(crate) fn wait_for_command(cause: Cause, kind: Kind, sent: bool) -> Wait {
    match (cause, kind) {
        (_, Kind::Plain) if sent => Wait::WithMutex,
        (Cause::LunReset, _) => Wait::AfterMutex,
        (Cause::PreemptAndAbort, _) => Wait::Never,
    }
}

/// When `cause` waits for an ABORT_TASK request in `phase`.
///
/// A request that has taken a plain command is waited for in the place of that command: no reset
/// may be answered while a command that was there before it can still reach the medium. It is
/// waited for until its command is gone, not until its initiator has acknowledged the answer.
pub(crate) fn wait_for_request(cause: Cause, phase: Phase) -> Wait {
    match (cause, phase) {
        (_, Phase::OnCommand) => Wait::WithMutex,
        // As for the command itself.
        (Cause::LunReset, Phase::OnUnsent) => Wait::AfterMutex,
        _ => Wait::Never,
    }
}

/// What a function that aborts commands finds when it wants to abort one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// In time: it is aborted, and its transport state is `state` from now on.
    Abortable {
        /// With the bits of an abort.
        state: u32,
        /// It had been sent to the backend.
        sent: bool,
    },
    /// It is complete, and the core alone releases it: it can be waited for.
    Ending,
    /// It is too late, and when it is released is up to others.
    TooLate,
}

/// What is found of a command whose transport state is `state`.
///
/// A command with a fabric stop belongs to the shutdown of its session. `answer` asks for a status
/// of TASK ABORTED instead of silence. The first abort decides about that: by the bit core and
/// fabric know which of them gives back the reference that is kept until the status is
/// acknowledged, and either may have looked already.
///
/// A complete command belongs to the fabric. `acknowledged` says that the fabric holds a reference
/// of its own (`SCF_ACK_KREF`) until the initiator has acknowledged the status, which may never
/// happen. Without it, as in the loopback fabric, the core releases the command; it has to be
/// waited for then, because the initiator uses the command's memory again once it is told that the
/// command is gone.
pub(crate) fn find(state: u32, answer: bool, acknowledged: bool) -> Found {
    if state & FABRIC_STOP != 0 || state & COMPLETE != 0 && acknowledged {
        Found::TooLate
    } else if state & COMPLETE != 0 {
        Found::Ending
    } else {
        let answered = if answer && state & ABORTED == 0 {
            ANSWER_ABORTED
        } else {
            0
        };
        Found::Abortable {
            state: state | ABORTED | answered,
            sent: state & SENT != 0,
        }
    }
}

/// Whether a command that a reset has aborted is answered with TASK ABORTED (SAM-4 5.6).
///
/// It is if the TAS bit of the control mode page is 1 and the reset does not come from the nexus
/// that sent the command.
pub(crate) fn answers(same_nexus: bool, tas: bool) -> bool {
    tas && !same_nexus
}

/// Whether ABORT_TASK (SAM-5 7.2) for the tag `referenced` of one nexus means a command with `tag`.
///
/// Task management requests (`is_request`) have tags as well, but are not commands.
pub(crate) fn abort_task_means(
    same_nexus: bool,
    is_request: bool,
    tag: u64,
    referenced: u64,
) -> bool {
    same_nexus && tag == referenced && !is_request
}

/// Whether `cause` reaches what came from the nexus that asked for it, or from another one.
///
/// A nexus that preempts its own key keeps its commands, as in C when it is not the holder's. A
/// fabric that submits in the context that receives would wait for itself otherwise: for the
/// initiator's acknowledgement of their TASK ABORTED, or for the data of a write.
pub(crate) fn reaches_nexus(cause: Cause, same_nexus: bool) -> bool {
    cause == Cause::LunReset || !same_nexus
}

/// Whether a registration is that of a nexus (C: `__core_scsi3_locate_pr_reg()`).
///
/// `same_acl` says whether both have the same initiator port and target port group. `isid` is the
/// initiator session identifier of the registration, if the fabric has such, and `session_isid`
/// gives that of the nexus, which is asked for only if it matters: text up to the first NUL.
pub(crate) fn registers(
    same_acl: bool,
    isid: Option<&Isid>,
    session_isid: impl FnOnce() -> Isid,
) -> bool {
    let text = |isid: &Isid| isid.iter().position(|&byte| byte == 0).unwrap_or(ISID_LEN);
    let same = |isid: &Isid, other: &Isid| isid[..text(isid)] == other[..text(other)];
    same_acl && isid.is_none_or(|isid| same(isid, &session_isid()))
}

/// Bytes of an initiator session identifier as the core keeps it (`PR_REG_ISID_LEN`).
pub(crate) const ISID_LEN: usize = 16;

/// An initiator session identifier, text that ends with a NUL unless it fills all bytes.
pub(crate) type Isid = [u8; ISID_LEN];
