// SPDX-License-Identifier: GPL-2.0

//! What uses a remote port for longer than a call: an association, from its creation to the end of
//! its deletion, and an LS request that the LLDD has received, until it was given the response.
//!
//! C counterpart: `ASSOC_ACTIVE` of `struct nvme_fc_ctrl`. C clears it when the deletion begins, so
//! that a controller could create its next association beside it.

use super::{
    atomic::{
        Atomic,
        Full,
        Release, //
    },
    ports::{
        Refused,
        RemoteLldd,
        RemotePort,
        RemoteUse, //
    },
};

/// Holds nothing. The memory of one that was just made.
const IDLE: i32 = 0;

/// Is about to hold a use.
const BEGINNING: i32 = 1;

/// Holds a use.
const ACTIVE: i32 = 2;

/// Holds a use that someone is about to end.
const ENDING: i32 = 3;

/// Why a use does not begin.
#[must_use = "the LLDD may wait for its callback"]
pub(crate) enum NotBegun<'a> {
    /// The previous one has not ended.
    NotUnique,
    /// The remote port refuses.
    Refused(Refused<'a>),
}

/// What holds a use of one remote port, always the same, or none.
///
/// # Invariants
///
/// It has parked a use if it is [`ACTIVE`] or [`ENDING`], and only then (G4).
#[repr(transparent)]
pub(crate) struct Holder(Atomic<i32>);

impl Default for Holder {
    /// One that holds nothing, as C makes them: of zeroes.
    fn default() -> Self {
        Self(Atomic::new(IDLE))
    }
}

impl Holder {
    /// Enters `port`. Only one of those who try at the same time gets to it.
    ///
    /// `prepare` comes before that, so that what is done after the port was unregistered comes
    /// later: that the association has failed is not forgotten.
    pub(crate) fn begin<'a>(
        &self,
        port: RemotePort<'a>,
        prepare: impl FnOnce(),
    ) -> Result<(), NotBegun<'a>> {
        // Full: comes after what ended before.
        if self.0.cmpxchg(IDLE, BEGINNING, Full).is_err() {
            return Err(NotBegun::NotUnique);
        }
        prepare();
        match port.enter() {
            Ok(entered) => {
                entered.park();
                // INVARIANT: It was parked.
                // Release: pairs with `ending()`.
                self.0.store(ACTIVE, Release);
                Ok(())
            }
            Err(refused) => {
                self.0.store(IDLE, Release);
                Err(NotBegun::Refused(refused))
            }
        }
    }

    /// Someone begins to end the use, if there is one and nobody else does. Whoever gets true calls
    /// [`Holder::end()`], and may use the LLDD until then.
    #[must_use = "who begins to end it has to end it"]
    pub(crate) fn ending(&self) -> bool {
        self.0.cmpxchg(ACTIVE, ENDING, Full).is_ok()
    }

    /// The use ends, if [`Holder::ending()`] was called before; calls what is owed then. `port` is
    /// that of [`Holder::begin()`]. False: there is nothing to end.
    pub(crate) fn end(&self, port: RemotePort<'_>, lldd: &impl RemoteLldd) -> bool {
        // INVARIANT: It is taken back by who has made this change, and by nobody else.
        // Full: pairs with `begin()`.
        if self.0.cmpxchg(ENDING, IDLE, Full).is_err() {
            return false;
        }
        port.unpark().leave(lldd);
        true
    }

    /// Takes the use out, if there is one and nobody is ending it: for a holder that is freed
    /// before its use ends. `port` is that of [`Holder::begin()`].
    pub(crate) fn take<'a>(&self, port: RemotePort<'a>) -> Option<RemoteUse<'a>> {
        // INVARIANT: As in `end()`.
        // Full: pairs with `begin()`.
        self.0
            .cmpxchg(ACTIVE, IDLE, Full)
            .is_ok()
            .then(|| port.unpark())
    }
}
