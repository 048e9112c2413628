// SPDX-License-Identifier: GPL-2.0

//! What uses a remote port for longer than a call: an association, from its creation to the end of
//! its deletion, and an LS request that the LLDD has received, until it was given the response.
//!
//! C counterpart: `ASSOC_ACTIVE` of `struct nvme_fc_ctrl`. C clears it when the deletion begins, so
//! that a controller could create its next association beside it.

use core::{
    marker::PhantomData,
    mem::align_of,
    ptr, //
};

use super::{
    atomic::{
        Atomic,
        Full,
        Release, //
    },
    ports::{
        self,
        Refused,
        Remote,
        RemoteUse, //
    },
};

/// Holds nothing. The memory of one that was just made.
const IDLE: isize = 0;

/// Is about to hold a use.
const BEGINNING: isize = 1;

/// Holds a use of the port at this distance before.
const ACTIVE: isize = 2;

/// Holds a use of the port at this distance before, which someone is about to end.
const ENDING: isize = 3;

/// Why a use does not begin.
#[must_use = "the LLDD may wait for its callback"]
pub(crate) enum NotBegun<'a, L> {
    /// The previous one has not ended.
    NotUnique,
    /// The remote port refuses.
    Refused(Refused<'a, L>),
}

/// What holds a use of a remote port, or none. The ports are valid for `'p`, so that the address of
/// one is that of no other one.
///
/// # Invariants
///
/// It has parked a use of the port whose address it has, if it has one ([`ACTIVE`], [`ENDING`]),
/// and only then (G4).
#[repr(transparent)]
pub(crate) struct Holder<'p, P> {
    word: Atomic<isize>,
    /// Not shorter than it is, nor longer.
    _ports: PhantomData<fn(&'p P) -> &'p P>,
}

impl<P> Default for Holder<'_, P> {
    /// One that holds nothing, as C makes them: of zeroes.
    fn default() -> Self {
        Self {
            word: Atomic::new(IDLE),
            _ports: PhantomData,
        }
    }
}

impl<'p, P: Remote> Holder<'p, P> {
    /// The word of one that has a use of `port`.
    fn word(port: &P, state: isize) -> isize {
        const { assert!(align_of::<P>() > 3, "there is room for the state") };
        // CAST: It is compared, no more.
        ptr::from_ref(port) as isize + state
    }

    /// Enters `port`. Only one of those who try at the same time gets to it.
    ///
    /// `prepare` comes before that, so that what is done after the port was unregistered comes
    /// later: that the association has failed is not forgotten.
    pub(crate) fn begin(
        &self,
        port: &'p P,
        prepare: impl FnOnce(),
    ) -> Result<(), NotBegun<'p, P::Local>> {
        // Full: comes after what ended before.
        if self.word.cmpxchg(IDLE, BEGINNING, Full).is_err() {
            return Err(NotBegun::NotUnique);
        }
        prepare();
        match ports::enter_remote(port) {
            Ok(entered) => {
                entered.park();
                // INVARIANT: It was parked.
                // Release: pairs with `ending()`.
                self.word.store(Self::word(port, ACTIVE), Release);
                Ok(())
            }
            Err(refused) => {
                self.word.store(IDLE, Release);
                Err(NotBegun::Refused(refused))
            }
        }
    }

    /// Someone begins to end the use of `port`, if there is one and nobody else does. Whoever gets
    /// true calls [`Holder::end()`], and may use the LLDD until then.
    #[must_use = "who begins to end it has to end it"]
    pub(crate) fn ending(&self, port: &P) -> bool {
        let (active, ending) = (Self::word(port, ACTIVE), Self::word(port, ENDING));
        self.word.cmpxchg(active, ending, Full).is_ok()
    }

    /// The use of `port` ends, if [`Holder::ending()`] was called before; calls what is owed then.
    /// False: there is nothing to end.
    pub(crate) fn end(&self, port: &P) -> bool {
        // INVARIANT: It is taken back by who has made this change, and by nobody else.
        // Full: pairs with `begin()`.
        let ending = Self::word(port, ENDING);
        if self.word.cmpxchg(ending, IDLE, Full).is_err() {
            return false;
        }
        ports::unpark_remote(port).leave();
        true
    }

    /// Takes the use of `port` out, if there is one and nobody is ending it: for a holder that is
    /// freed before its use ends.
    pub(crate) fn take<'a>(&self, port: &'a P) -> Option<RemoteUse<'a, P>> {
        // INVARIANT: As in `end()`.
        // Full: pairs with `begin()`.
        let active = Self::word(port, ACTIVE);
        self.word
            .cmpxchg(active, IDLE, Full)
            .is_ok()
            .then(|| ports::unpark_remote(port))
    }
}
