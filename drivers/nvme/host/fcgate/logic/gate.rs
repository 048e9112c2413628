// SPDX-License-Identifier: GPL-2.0

//! The gate of one port: whether it is registered, and how many use its LLDD (low-level driver).
//!
//! All of it is one word, so that whoever changes it knows what it was before and what it is now:
//!
//! ```text
//!    enter, leave             leave
//!   registered, --unregister--> unregistered,  --last leave--> callback owed --returns--> deleted
//!   used by n   <---resume----- used by n + 1                  or running                    |
//!       ^                                                                                    |
//!       '---------------------------------------- resume -----------------------------------'
//! ```
//!
//! Unregistering is a use itself, of who does it and still has to call the LLDD. The callback is
//! owed once the port is unregistered and the number of uses is 0. Only one change of the word gets
//! there, and who makes it gets the [`Owed`].
//!
//! C counterpart: `port_state` together with `act_rport_cnt` of `struct nvme_fc_lport` or
//! `act_ctrl_cnt` of `struct nvme_fc_rport`.

use super::atomic::{
    Atomic,
    Full,
    Relaxed,
    Release, //
};

/// The LLDD has unregistered the port, and has not registered it again.
const UNREGISTERED: i32 = 1 << 30;

/// And the LLDD's callback has returned.
const DELETED: i32 = 1 << 29;

/// And it is being registered again.
const RESUMING: i32 = 1;

/// Most uses of a port at the same time.
const MOST: i32 = DELETED - 1;

/// The word of a gate as long as [`NotResumed::Deleting`] is the answer, for who waits for its end.
pub(crate) const DELETING: i32 = UNREGISTERED;

/// What a gate's word says.
#[derive(Clone, Copy)]
enum State {
    /// The port is registered, and used by so many.
    Registered(i32),
    /// It is unregistered, and used by so many, at least one.
    Unregistered(i32),
    /// It is unregistered and not used; the callback is owed, or running.
    Owed,
    /// The callback has returned.
    Deleted,
    /// It has returned, and an LLDD is about to register the port again.
    Resuming,
}

impl State {
    fn of(word: i32) -> Self {
        if word & DELETED != 0 {
            if word & RESUMING == 0 {
                Self::Deleted
            } else {
                Self::Resuming
            }
        } else if word & UNREGISTERED == 0 {
            Self::Registered(word)
        } else if word == DELETING {
            Self::Owed
        } else {
            Self::Unregistered(word & !UNREGISTERED)
        }
    }

    fn word(self) -> i32 {
        match self {
            Self::Registered(uses) => uses,
            Self::Unregistered(uses) => UNREGISTERED | uses,
            Self::Owed => DELETING,
            Self::Deleted => UNREGISTERED | DELETED,
            Self::Resuming => UNREGISTERED | DELETED | RESUMING,
        }
    }
}

/// Why a port cannot be used, or not be unregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It is not registered.
    NotRegistered,
    /// It is used by too many.
    TooManyUses,
}

/// Why a port cannot be registered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotResumed {
    /// It is registered, or someone else is about to register it again.
    Registered,
    /// The callback is owed, or running: it ends soon, and then the port can be resumed.
    Deleting,
    /// It is used by those who go on using the LLDD that unregistered it.
    InUse,
}

/// What became of the callback when a port was registered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// The port was still used: nobody owes a callback for that time any more (G1).
    Undeleted,
    /// The callback has returned before.
    Anew,
}

/// Who registers a port again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The LLDD that is in use.
    SameLldd,
    /// Perhaps another one, or another template: what is in use ends with the one it began with.
    AnotherLldd,
}

/// The gate of a port.
///
/// # Invariants
///
/// - The number of uses is that of the [`Use`] values there are, parked ones among them (G4).
/// - There is an [`Owed`] exactly as long as the port is unregistered, not used and not deleted
///   (G1).
#[repr(transparent)]
pub(crate) struct Gate(Atomic<i32>);

impl Gate {
    /// The gate of a port that has just been registered. Its memory is 0.
    pub(crate) fn new() -> Self {
        Self(Atomic::new(State::Registered(0).word()))
    }

    /// Changes the state as `next` says, in one step, or not at all. The result is what it was.
    fn change<E>(&self, next: impl Fn(State) -> Result<State, E>) -> Result<State, E> {
        let mut word = self.0.load(Relaxed);
        loop {
            let state = State::of(word);
            // Full: uses come after the registration, the registration after the callback for the
            // last time.
            match self.0.cmpxchg(word, next(state)?.word(), Full) {
                Ok(_) => return Ok(state),
                Err(now) => word = now,
            }
        }
    }

    /// The same for one more use.
    fn one_more(&self, next: impl Fn(State) -> Result<State, Closed>) -> Result<Use<'_>, Closed> {
        self.change(|state| match next(state)? {
            State::Registered(uses) | State::Unregistered(uses) if uses > MOST => {
                Err(Closed::TooManyUses)
            }
            more => Ok(more),
        })?;
        // INVARIANT: There is one more of both.
        Ok(Use(self))
    }

    /// Begins to use the LLDD, if the port is registered (G5).
    pub(crate) fn enter(&self) -> Result<Use<'_>, Closed> {
        self.one_more(|state| match state {
            State::Registered(uses) => Ok(State::Registered(uses + 1)),
            _ => Err(Closed::NotRegistered),
        })
    }

    /// As [`Gate::enter()`], and even if the port is unregistered, as long as others use it: for
    /// who only waits with them, and lets nobody in.
    pub(crate) fn remain(&self) -> Result<Use<'_>, Closed> {
        self.one_more(|state| match state {
            State::Registered(uses) => Ok(State::Registered(uses + 1)),
            State::Unregistered(uses) => Ok(State::Unregistered(uses + 1)),
            _ => Err(Closed::NotRegistered),
        })
    }

    /// The LLDD unregisters the port. Nobody enters any more, and the callback comes when all have
    /// left, the caller among them: he may still call the LLDD until then.
    pub(crate) fn unregister(&self) -> Result<Use<'_>, Closed> {
        self.one_more(|state| match state {
            State::Registered(uses) => Ok(State::Unregistered(uses + 1)),
            _ => Err(Closed::NotRegistered),
        })
    }

    /// As [`Gate::unregister()`], for a caller who does not call the LLDD any more. The callback is
    /// owed at once if nobody else uses the port.
    pub(crate) fn unregister_unused(&self) -> Result<Option<Owed<'_>>, Closed> {
        let before = self.change(|state| match state {
            State::Registered(0) => Ok(State::Owed),
            State::Registered(uses) => Ok(State::Unregistered(uses)),
            _ => Err(Closed::NotRegistered),
        })?;
        // INVARIANT: As in `Use::leave()`.
        Ok(matches!(before, State::Registered(0)).then_some(Owed(self)))
    }

    /// An LLDD registers the port again. If it is used, the callback does not come any more; if the
    /// callback is owed, it has to come first, for it must not be of a port that is registered.
    ///
    /// If the port is deleted, `prepare` makes of it what the LLDD asks for, before anybody enters.
    pub(crate) fn resume(&self, by: By, prepare: impl FnOnce()) -> Result<Resumed, NotResumed> {
        let before = self.change(|state| match state {
            State::Registered(_) | State::Resuming => Err(NotResumed::Registered),
            State::Unregistered(_) if by == By::AnotherLldd => Err(NotResumed::InUse),
            State::Unregistered(uses) => Ok(State::Registered(uses)),
            State::Owed => Err(NotResumed::Deleting),
            State::Deleted => Ok(State::Resuming),
        })?;
        if !matches!(before, State::Deleted) {
            return Ok(Resumed::Undeleted);
        }
        prepare();
        // Release: who enters finds what was prepared.
        self.0.store(State::Registered(0).word(), Release);
        Ok(Resumed::Anew)
    }

    /// A use that [`Use::park()`] has left to its owner, who has one, and takes it back once.
    pub(super) fn unpark(&self) -> Use<'_> {
        Use(self)
    }
}

/// A use of a port's LLDD: as long as there is one, the callback does not come.
#[must_use = "whoever enters has to leave"]
pub(crate) struct Use<'a>(&'a Gate);

impl<'a> Use<'a> {
    /// The use ends. Whoever is the last one owes the callback, if the port is unregistered.
    pub(crate) fn leave(self) -> Option<Owed<'a>> {
        // Full: the callback comes after all that was done with the LLDD, by anybody (G2).
        let before = self.0 .0.fetch_sub(1, Full);
        // INVARIANT: Nobody else can get there: nobody enters, and there is nobody to leave.
        (before == State::Unregistered(1).word()).then_some(Owed(self.0))
    }

    /// Leaves the use to its owner in C, see [`Gate::unpark()`].
    pub(super) fn park(self) {}
}

/// The LLDD's callback for a port is owed.
#[must_use = "the LLDD waits for its callback"]
pub(crate) struct Owed<'a>(&'a Gate);

impl Owed<'_> {
    /// Calls it. Only after it has returned, the port can be registered again.
    pub(crate) fn deliver(self, callback: impl FnOnce(&Self)) {
        callback(&self);
        // INVARIANT: Nobody else changes the word as long as the callback is owed.
        // Release: pairs with `resume()`.
        self.0 .0.store(State::Deleted.word(), Release);
    }
}
