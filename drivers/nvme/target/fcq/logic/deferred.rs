// SPDX-License-Identifier: GPL-2.0

//! The requests that wait for a job, in the order in which they were received.

use core::{
    marker::PhantomData,
    ops::DerefMut, //
};

use super::{
    queue::Locked,
    request::{
        Place,
        Request, //
    },
};

/// The number of a slot or of a job, which is less than the size of a queue.
pub(super) type Link = Option<u16>;

/// The numbers of `length` slots or jobs, each with the one after it.
pub(super) fn links(length: usize) -> impl Iterator<Item = (u16, Link)> {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    (0..length).map(move |index| (index, Some(index + 1).filter(|next| *next < length)))
}

/// A place for a request that is deferred.
pub(crate) struct Slot<R> {
    request: Option<R>,
    next: Link,
    previous: Link,
}

impl<R> Slot<R> {
    /// One that is free.
    pub(crate) const fn new() -> Self {
        Self {
            request: None,
            next: None,
            previous: None,
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
pub(super) struct DeferredList<R, S> {
    slots: S,
    head: Link,
    tail: Link,
    free: Link,
    capacity: usize,
    length: usize,
    requests: PhantomData<R>,
}

impl<R: Request, S: DerefMut<Target = [Slot<R>]>> DeferredList<R, S> {
    /// An empty one, which uses at most so many of these slots.
    pub(super) fn new(mut slots: S, most: usize) -> Self {
        let capacity = slots.len().min(most);
        for (slot, (_, next)) in slots.iter_mut().zip(links(capacity)) {
            *slot = Slot {
                next,
                ..Slot::new()
            };
        }
        // INVARIANT: All slots are free.
        Self {
            free: links(capacity).next().map(|(first, _)| first),
            slots,
            head: None,
            tail: None,
            capacity,
            length: 0,
            requests: PhantomData,
        }
    }

    /// How many requests there are.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// How many there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Adds the newest request. An error: there is no room, and here it is back.
    pub(super) fn push(&mut self, request: R, lock: &Locked<'_>) -> Result<(), R> {
        let (free, tail) = (self.free, self.tail);
        let Some(slot) = self.slot(free) else {
            return Err(request);
        };
        request.put_at(free.map(|index| Place::Deferred(index.into())), lock);
        slot.request = Some(request);
        let after = slot.next.take();
        // INVARIANT: The first of the free slots becomes the last one of the other list.
        self.free = after;
        self.join(tail, free);
        self.join(free, None);
        self.length += 1;
        Ok(())
    }

    /// Takes out the oldest request.
    pub(super) fn pop(&mut self) -> Option<R> {
        self.take(self.head)
    }

    /// Takes out the request in this slot.
    pub(super) fn remove(&mut self, slot: usize) -> Option<R> {
        self.take(u16::try_from(slot).ok())
    }

    fn take(&mut self, index: Link) -> Option<R> {
        let free = self.free;
        let slot = self.slot(index)?;
        let request = slot.request.take()?;
        let (previous, next) = (slot.previous, slot.next);
        slot.previous = None;
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

    fn slot(&mut self, index: Link) -> Option<&mut Slot<R>> {
        self.slots.get_mut(usize::from(index?))
    }
}
