// SPDX-License-Identifier: GPL-2.0

//! What the suites share.

use core::cell::Cell;

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::logic::ring::{
    BufferSpace,
    Consumer,
    Ended,
    NotPosted,
    Producer,
    Ring,
    Slot, //
};

/// Fails the running test unless the condition holds.
macro_rules! check {
    ($condition:expr $(,)?) => {
        kernel::kunit_assert!(
            "rpcrdma",
            c"net/sunrpc/xprtrdma/sendctx/kunit",
            0,
            $condition
        )
    };
}
pub(crate) use check;

/// Fails the running test unless both are equal.
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::common::check!($left == $right)
    };
}
pub(crate) use check_eq;

/// Counts what the ring tells the sender.
#[derive(Default)]
pub(crate) struct Told {
    /// That it waits.
    pub(crate) wait: Cell<u32>,
    /// That there may be room.
    pub(crate) wake: Cell<u32>,
}

impl BufferSpace for Told {
    fn wait(&self) {
        self.wait.set(self.wait.get() + 1);
    }

    fn wake(&self) {
        self.wake.set(self.wake.get() + 1);
    }
}

/// Both ends of a ring, in one thread.
pub(crate) struct Ends {
    pub(crate) consumer: Consumer<Arc<Ring<()>>>,
    pub(crate) producer: Producer<Arc<Ring<()>>>,
    pub(crate) told: Told,
}

impl Ends {
    /// Takes the next context and posts a Send in it. Returns its place.
    pub(crate) fn send(&mut self) -> Option<usize> {
        let slot = self.consumer.get(&self.told)?;
        self.consumer.post();
        Some(slot.index())
    }

    /// A completion of the Send in the context at a place. Returns the places whose contexts were
    /// given back.
    pub(crate) fn complete(&mut self, place: usize) -> Result<KVec<usize>, NotPosted> {
        let mut released = KVec::new();
        self.producer.put(
            |(), slot| slot.index() == place,
            |ended| note(&mut released, ended),
            &self.told,
        )?;
        Ok(released)
    }

    /// How many Sends were posted, and how many of their contexts have been given back.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.consumer.ring().counts()
    }
}

/// Appends the place of a context that was given back.
pub(crate) fn note(released: &mut KVec<usize>, ended: Ended<'_, ()>) {
    let ((), slot) = ended.parts();
    check!(released.push(slot.index(), GFP_KERNEL).is_ok());
}

/// The place of what was taken.
pub(crate) fn place(slot: Option<Slot>) -> Option<usize> {
    slot.map(Slot::index)
}

/// Runs a test with a new ring of so many contexts.
pub(crate) fn with_ring(contexts: usize, test: impl FnOnce(Ends)) {
    let ends = Ring::split(contexts, (), |ring| Arc::new(ring, GFP_KERNEL));
    check!(ends.is_ok());
    if let Ok((consumer, producer)) = ends {
        test(Ends {
            consumer,
            producer,
            told: Told::default(),
        });
    }
}
