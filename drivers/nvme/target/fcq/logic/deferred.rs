// SPDX-License-Identifier: GPL-2.0

//! The requests that wait for a job, in the order in which they were received.

use core::{
    marker::PhantomData,
    mem,
    ops::DerefMut, //
};

use super::{
    queue::{
        Job,
        Locked, //
    },
    request::DeferredRequest, //
};

/// The number of a slot or of a job, which is less than the size of a queue, or none.
///
/// An `Option<u32>` is twice as large, and is read and written in two pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link(u32);

impl Link {
    /// To nothing.
    pub(super) const END: Self = Self(u32::MAX);

    /// More slots or jobs than any queue has, and as many as links can go to.
    pub(super) const MOST: usize = u32::MAX as usize;

    /// To the slot or the job with this number.
    pub(super) fn to(index: usize) -> Self {
        u32::try_from(index).map_or(Self::END, Self)
    }

    /// To this job.
    pub(super) fn to_job(job: &Job) -> Self {
        Self(job.number())
    }

    /// To the first of so many slots or jobs.
    pub(super) fn first(length: usize) -> Self {
        match length {
            0 => Self::END,
            _ => Self::to(0),
        }
    }

    /// The number.
    pub(super) fn get(self) -> Option<usize> {
        usize::try_from(self.0).ok().filter(|_| self != Self::END)
    }

    /// The job that it goes to, if there is one.
    pub(super) fn job(self) -> Job {
        Job::from_number(self.0)
    }
}

/// For each of `length` slots or jobs a link to the one after it.
pub(super) fn links(length: usize) -> impl Iterator<Item = Link> {
    (1..=length).map(move |next| {
        if next < length {
            Link::to(next)
        } else {
            Link::END
        }
    })
}

/// A place for a request that is deferred.
pub(crate) struct Slot<D> {
    request: Option<D>,
    next: Link,
    previous: Link,
}

impl<D> Slot<D> {
    /// One that is free.
    pub(crate) const fn new() -> Self {
        Self {
            request: None,
            next: Link::END,
            previous: Link::END,
        }
    }
}

/// The deferred requests, in slots that were allocated with the queue: nothing is allocated when a
/// request is received, and there are never more of them than slots.
///
/// # Invariants
///
/// Each of the first `capacity` slots is on one of two lists: that from `head` to `tail`, linked
/// both ways, if it has a request, the oldest first (I3), otherwise that from `free`. The first one
/// has `length` slots.
pub(super) struct DeferredList<D, S> {
    slots: S,
    head: Link,
    tail: Link,
    free: Link,
    capacity: usize,
    length: usize,
    requests: PhantomData<D>,
}

impl<D: DeferredRequest, S: DerefMut<Target = [Slot<D>]>> DeferredList<D, S> {
    /// An empty one, which uses at most so many of these slots.
    pub(super) fn new(mut slots: S, most: usize) -> Self {
        let capacity = slots.len().min(most);
        for (slot, next) in slots.iter_mut().zip(links(capacity)) {
            *slot = Slot {
                next,
                ..Slot::new()
            };
        }
        // INVARIANT: All slots are free.
        Self {
            free: Link::first(capacity),
            slots,
            head: Link::END,
            tail: Link::END,
            capacity,
            length: 0,
            requests: PhantomData,
        }
    }

    /// How many requests there are.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.head == Link::END
    }

    /// How many there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.free != Link::END
    }

    /// Adds the newest request. There is room: otherwise it is dropped, and so lost.
    pub(super) fn push(&mut self, request: D, lock: Locked<'_>) {
        let (free, tail) = (self.free, self.tail);
        let Some(slot) = self.slot(free) else {
            return;
        };
        request.put_at(free.get(), lock);
        slot.request = Some(request);
        let after = mem::replace(&mut slot.next, Link::END);
        // INVARIANT: The first of the free slots becomes the last one of the other list.
        self.free = after;
        self.join(tail, free);
        self.join(free, Link::END);
        self.length += 1;
    }

    /// Takes out the oldest request.
    pub(super) fn pop(&mut self) -> Option<D> {
        self.take(self.head)
    }

    /// Takes out the request in this slot.
    pub(super) fn remove(&mut self, slot: usize) -> Option<D> {
        self.take(Link::to(slot))
    }

    // Seldom called. Out of the way of the commands that find nothing waiting.
    #[inline(never)]
    fn take(&mut self, index: Link) -> Option<D> {
        let free = self.free;
        let slot = self.slot(index)?;
        let request = slot.request.take()?;
        let (previous, next) = (slot.previous, slot.next);
        slot.previous = Link::END;
        slot.next = free;
        // INVARIANT: The slot has no request any more and becomes the first of the free ones; what
        // was before it is joined with what was after it.
        self.free = index;
        self.join(previous, next);
        self.length -= 1;
        Some(request)
    }

    /// Makes `after` follow `before`, as the first or the last one if there is no other.
    fn join(&mut self, before: Link, after: Link) {
        match self.slot(before) {
            Some(slot) => slot.next = after,
            None => self.head = after,
        }
        match self.slot(after) {
            Some(slot) => slot.previous = before,
            None => self.tail = before,
        }
    }

    fn slot(&mut self, index: Link) -> Option<&mut Slot<D>> {
        self.slots.get_mut(index.get()?)
    }
}
