// SPDX-License-Identifier: GPL-2.0

//! Task management notifications that wait for ring space.
//!
//! They wait in the order announced, without time limit. An initiator may send any number of task
//! management functions, and yet memory is bounded. The place of a notification with ids is
//! reserved when the commands get their ids ([`TmrQueue::reserve`]); notifications without ids are
//! counted in runs of one kind.

use super::alloc::{
    Array,
    Memory,
    NoMemory, //
};
use super::growth::grown;
use super::ids::IdList;

/// A task management function in the interface to user space (`TCMU_TMR_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TmrKind {
    /// Anything else.
    Unknown = 0,
    /// ABORT TASK
    AbortTask = 1,
    /// ABORT TASK SET
    AbortTaskSet = 2,
    /// CLEAR ACA
    ClearAca = 3,
    /// CLEAR TASK SET
    ClearTaskSet = 4,
    /// LOGICAL UNIT RESET
    LunReset = 5,
    /// TARGET WARM RESET (obsolete in SAM-3 and later)
    TargetWarmReset = 6,
    /// TARGET COLD RESET (obsolete in SAM-3 and later)
    TargetColdReset = 7,
    /// PERSISTENT RESERVE OUT with PREEMPT AND ABORT
    LunResetPro = 128,
}

/// Number of values of [`TmrKind`].
const KINDS: usize = 9;

/// How many runs of notifications without ids are kept in order. With one more of each kind they
/// take 256 records.
///
/// When there are more, a notification without ids joins the youngest run of its kind. It overtakes
/// what was announced since, but it names no command, and it is still delivered.
const EMPTY_RUNS: usize = 256 - KINDS;

/// A notification that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// The task management function.
    pub(crate) kind: TmrKind,
    /// The aborted commands that are on the ring.
    pub(crate) ids: IdList,
}

/// A place in the queue, in few bytes: there is one for each id.
#[derive(Clone, Copy)]
enum Record {
    /// A notification with ids.
    Ids(TmrKind, IdList),
    /// So many notifications without ids. (2^32 do not wait: each took a command of an initiator.)
    Run(TmrKind, u32),
}

impl Record {
    fn notification(self) -> Notification {
        match self {
            Self::Ids(kind, ids) => Notification { kind, ids },
            Self::Run(kind, _) => Notification {
                kind,
                ids: IdList::default(),
            },
        }
    }
}

/// The queue.
///
/// # Invariants
///
/// - The records `first .. first + len` (cyclic) are the queue, oldest first.
/// - At most `EMPTY_RUNS + KINDS` of them have no ids: beyond `EMPTY_RUNS` only the first of a kind
///   gets a record.
/// - There is room for these and for one record for each id that is taken.
pub(crate) struct TmrQueue<M: Memory> {
    records: M::Array<Record>,
    first: usize,
    len: usize,
    empty_runs: usize,
}

impl<M: Memory> TmrQueue<M> {
    /// Makes an empty queue with room for notifications without ids, and for as many with ids: 4
    /// KiB in all.
    pub(crate) fn new() -> Result<Self, NoMemory> {
        let mut queue = Self {
            records: M::Array::new(),
            first: 0,
            len: 0,
            empty_runs: 0,
        };
        queue.reserve(EMPTY_RUNS + KINDS)?;
        Ok(queue)
    }

    /// Makes room for `ids` notifications with ids, besides those without.
    pub(crate) fn reserve(&mut self, ids: usize) -> Result<(), NoMemory> {
        let old = self.records.len();
        let needed = ids + EMPTY_RUNS + KINDS;
        if needed <= old {
            return Ok(());
        }
        let new = grown::<M, Record>(old, needed);
        self.records
            .grow(new, || Record::Run(TmrKind::Unknown, 0))?;
        // A queue that wraps around the old end is made straight.
        if self.first + self.len > old {
            self.records
                .copy_within(self.first..old, new - (old - self.first));
            self.first += new - old;
        }
        Ok(())
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of notifications that wait.
    pub(crate) fn waiting(&self) -> u64 {
        (0..self.len)
            .map(|nth| match self.records[self.index(nth)] {
                Record::Ids(..) => 1,
                Record::Run(_, count) => count.into(),
            })
            .sum()
    }

    fn index(&self, nth: usize) -> usize {
        let index = self.first + nth;
        if index >= self.records.len() {
            index - self.records.len()
        } else {
            index
        }
    }

    /// Appends a notification. Never fails and never loses one.
    pub(crate) fn push(&mut self, kind: TmrKind, ids: IdList) {
        let record = if ids.is_empty() {
            if self.join_run(kind) {
                return;
            }
            self.empty_runs += 1;
            Record::Run(kind, 1)
        } else {
            Record::Ids(kind, ids)
        };
        let index = self.index(self.len);
        self.records[index] = record;
        self.len += 1;
    }

    /// Counts a notification without ids in a run that exists, if there is a proper one.
    fn join_run(&mut self, kind: TmrKind) -> bool {
        let depth = if self.empty_runs < EMPTY_RUNS {
            self.len.min(1)
        } else {
            self.len
        };
        for nth in (self.len - depth..self.len).rev() {
            let index = self.index(nth);
            if let Record::Run(of, count) = &mut self.records[index] {
                if *of == kind {
                    *count = count.saturating_add(1);
                    return true;
                }
            }
        }
        false
    }

    /// The oldest notification.
    pub(crate) fn front(&self) -> Option<Notification> {
        (self.len > 0).then(|| self.records[self.first].notification())
    }

    /// Takes the oldest notification off the queue: one of a run, if it is a run.
    pub(crate) fn pop(&mut self) -> Option<Notification> {
        let front = self.front()?;
        match &mut self.records[self.first] {
            Record::Run(_, count) if *count > 1 => {
                *count -= 1;
                return Some(front);
            }
            Record::Run(..) => self.empty_runs -= 1,
            Record::Ids(..) => {}
        }
        self.first = self.index(1);
        self.len -= 1;
        Some(front)
    }
}
