// SPDX-License-Identifier: GPL-2.0

//! The ring of Send contexts.
//!
//! Each context is the memory of one Send: what the device reads, and what has to be released when
//! the device is done with it. The contexts of a connection are used in turn, and given back in
//! the same order:
//!
//! ```text
//!   released        posted      taken
//!      |               |          |
//!   ---v---------------v----------v------------
//!      | Sends of the  | context  |   free
//!      | device        | of one   |
//!      |               | to come  |
//! ```
//!
//! The three are counts of Sends since the connection was made, and the two ends of the ring
//! belong to two handles, which may work at the same time: the [`Consumer`] takes contexts and
//! posts Sends, the [`Producer`] gives back those of Sends that have ended. There is no lock
//! between them.
//!
//! C counterpart: `rb_sc_head`, `rb_sc_tail` and `rb_sc_last` of `struct rpcrdma_buffer`.

use core::{
    ops::Deref,
    ptr, //
};

use super::{
    atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    barrier::{
        smp_mb,
        Full, //
    },
};

/// The place of a context in the ring, less than the number of contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

impl Slot {
    /// The place as an index.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// The context of a Send that has ended, or was never posted and never will be. It is released
/// once, for this is given out once and not copied.
pub(crate) struct Ended<'a, C> {
    slot: Slot,
    contexts: &'a C,
}

impl<'a, C> Ended<'a, C> {
    /// All contexts of the ring, and the place of this one.
    pub(crate) fn parts(self) -> (&'a C, Slot) {
        (self.contexts, self.slot)
    }
}

/// How a sender waits until there is room in the ring, and is woken.
pub(crate) trait BufferSpace {
    /// The sender waits from now on, see `xprt_wait_for_buffer_space()`.
    fn wait(&self);

    /// There may be room: wakes the sender if it waits, see `xprt_write_space()`.
    fn wake(&self);
}

/// A value that does not share its cache line with the one beside it, which another CPU writes.
#[repr(align(64))]
struct Line<T>(T);

/// What both ends of a ring share, the contexts `C` among it.
///
/// # Invariants
///
/// - `released <= posted <= released + contexts`, as counts that wrap (S1).
/// - Only the one [`Consumer`] writes `posted`, only the one [`Producer`] writes `released` (S4).
pub(crate) struct Ring<C> {
    number: usize,
    contexts: C,
    /// Number of Sends that have been given to the device.
    posted: Line<Atomic<usize>>,
    /// Number of those whose context has been given back.
    released: Line<Atomic<usize>>,
}

impl<C> Ring<C> {
    /// The two ends of a new ring of the `number` contexts in `contexts`, all of them free.
    ///
    /// `share` is given the ring, and returns the pointer by which both ends find it.
    pub(crate) fn split<R, E>(
        number: usize,
        contexts: C,
        share: impl FnOnce(Self) -> Result<R, E>,
    ) -> Result<(Consumer<R>, Producer<R>), E>
    where
        R: Deref<Target = Self> + Clone,
    {
        let ring = share(Self {
            number,
            contexts,
            posted: Line(Atomic::new(Position::START.count)),
            released: Line(Atomic::new(Position::START.count)),
        })?;
        let consumer = Consumer {
            taken: Position::START,
            posted: Position::START.count,
            released: Position::START.count,
            ring: ring.clone(),
        };
        let producer = Producer {
            released: Position::START,
            ring,
        };
        Ok((consumer, producer))
    }

    fn ended(&self, slot: Slot) -> Ended<'_, C> {
        let contexts = &self.contexts;
        Ended { slot, contexts }
    }

    /// The contexts.
    pub(crate) fn contexts(&self) -> &C {
        &self.contexts
    }

    /// How many Sends were posted since the ring was made, and how many of their contexts have
    /// been given back. Both wrap.
    pub(crate) fn counts(&self) -> (usize, usize) {
        // The lower one first, so that it is still the lower one.
        let released = self.released.0.load(Acquire);
        (self.posted.0.load(Relaxed), released)
    }
}

/// A count of Sends, and the place of the context that the next one has.
///
/// # Invariants
///
/// `slot` is less than the number of contexts, if there are any.
#[derive(Clone, Copy)]
struct Position {
    count: usize,
    slot: Slot,
}

impl Position {
    const START: Self = Self {
        count: 0,
        slot: Slot(0),
    };

    /// The position after this one, in a ring of `number` contexts.
    fn next(self, number: usize) -> Self {
        let next = self.slot.0 + 1;
        // INVARIANT: Either less than the number, or 0.
        Self {
            count: self.count.wrapping_add(1),
            slot: Slot(if next < number { next } else { 0 }),
        }
    }

    /// The position before this one.
    fn previous(self, number: usize) -> Self {
        // INVARIANT: Less than it was, or the last.
        Self {
            count: self.count.wrapping_sub(1),
            slot: Slot(
                self.slot
                    .0
                    .checked_sub(1)
                    .unwrap_or(number.saturating_sub(1)),
            ),
        }
    }
}

/// The end of the ring that takes contexts and posts Sends; used under the transport's send lock.
///
/// # Invariants
///
/// - `released <= posted <= taken <= released + contexts`, as counts that wrap.
/// - `posted` is what the ring has; `released` is what it had at some time.
pub(crate) struct Consumer<R> {
    ring: R,
    taken: Position,
    posted: usize,
    /// The producer's count when it was last looked at: its cache line is left alone until the
    /// ring seems to be full.
    released: usize,
}

impl<C, R: Deref<Target = Ring<C>>> Consumer<R> {
    /// Takes the next context, in which the next Send is built. `None`: they are all in use;
    /// `space` has been told that the sender waits, and wakes it once there is room.
    ///
    /// C counterpart: `rpcrdma_sendctx_get_locked()`.
    pub(crate) fn get(&mut self, space: &impl BufferSpace) -> Option<Slot> {
        if self.full() {
            self.look();
            if self.full() {
                self.wait(space);
                return None;
            }
        }
        let Position { slot, .. } = self.taken;
        // INVARIANT: The ring is not full.
        self.taken = self.taken.next(self.ring.number);
        Some(slot)
    }

    /// Gives back the context that was taken last, in which no Send was posted. `space` is told,
    /// for there is room again. False: it was not `slot`, or a Send was posted; nothing happens.
    ///
    /// C counterpart: `rpcrdma_sendctx_unget_locked()`.
    pub(crate) fn unget(&mut self, slot: Slot, space: &impl BufferSpace) -> bool {
        let last = self.taken.previous(self.ring.number);
        if self.taken.count == self.posted || last.slot != slot {
            return false;
        }
        // INVARIANT: It was greater than `posted`.
        self.taken = last;
        space.wake();
        true
    }

    /// The Send in the context that was taken last is about to be posted. From now on the device
    /// may report its end.
    pub(crate) fn post(&mut self) {
        self.posted = self.taken.count;
        // Release: the device's completion is ordered after the Send by the device's driver; this
        // is for a completion that is made up, which then finds the context as it was built.
        self.ring.posted.0.store(self.posted, Release);
    }

    /// Takes the contexts that are still in use from both ends, in the order in which they were
    /// taken, and calls `release` for each, whether a Send was posted in it or not (S8).
    /// `producer` is the other end of the same ring; nothing is released if it is not.
    pub(crate) fn close(self, producer: Producer<R>, mut release: impl FnMut(Ended<'_, C>)) {
        if !ptr::eq(&raw const *self.ring, &raw const *producer.ring) {
            return;
        }
        let mut position = producer.released;
        while position.count != self.taken.count {
            release(self.ring.ended(position.slot));
            position = position.next(self.ring.number);
        }
    }

    /// The pointer by which this end finds the ring.
    pub(crate) fn ring(&self) -> &R {
        &self.ring
    }

    /// Whether all contexts are in use, as far as is known.
    fn full(&self) -> bool {
        self.taken.count.wrapping_sub(self.released) >= self.ring.number
    }

    /// Looks at what the producer has given back since.
    fn look(&mut self) {
        // Acquire: contexts that are taken again are written after the producer has read them
        // (S2).
        self.released = self.ring.released.0.load(Acquire);
    }

    /// Waits until there is room in a ring that was full.
    fn wait(&mut self, space: &impl BufferSpace) {
        space.wait();
        // Either the producer sees that the sender waits, or it is seen here that there is room:
        // both write, then read what the other writes, with a full barrier in between (S7). Pairs
        // with that of `Producer::put()`.
        smp_mb(Full);
        self.look();
        if !self.full() {
            space.wake();
        }
    }
}

/// A completion that belongs to no Send that is with the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotPosted;

/// The end of the ring that gives contexts back; used by the completion handler of the Send Queue.
///
/// # Invariants
///
/// `released` is what the ring has.
pub(crate) struct Producer<R> {
    ring: R,
    released: Position,
}

impl<C, R: Deref<Target = Ring<C>>> Producer<R> {
    /// The Send whose context `is_this` knows has ended, and all those before it. `release` is
    /// called for each of them, in the order in which they were posted (S3, S5), and then `space`
    /// is told.
    ///
    /// At most as many contexts are looked at as are with the device. If that Send is not among
    /// them, nothing is released.
    ///
    /// C counterpart: `rpcrdma_sendctx_put_locked()`.
    pub(crate) fn put(
        &mut self,
        mut is_this: impl FnMut(&C, Slot) -> bool,
        mut release: impl FnMut(Ended<'_, C>),
        space: &impl BufferSpace,
    ) -> Result<(), NotPosted> {
        // Acquire: see `Consumer::post()`.
        let posted = self.ring.posted.0.load(Acquire);
        let mut end = self.released;
        loop {
            if end.count == posted {
                return Err(NotPosted);
            }
            let found = is_this(&self.ring.contexts, end.slot);
            end = end.next(self.ring.number);
            if found {
                break;
            }
        }

        while self.released.count != end.count {
            release(self.ring.ended(self.released.slot));
            self.released = self.released.next(self.ring.number);
        }
        // Release: pairs with `Consumer::look()`.
        self.ring.released.0.store(self.released.count, Release);
        // Without this the processor may look whether the sender waits before others see that
        // there is room, and the sender sleeps for ever (S7). Pairs with that of
        // `Consumer::wait()`.
        smp_mb(Full);
        space.wake();
        Ok(())
    }
}
