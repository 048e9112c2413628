// SPDX-License-Identifier: GPL-2.0

//! A ring beside what it should be: a queue of the contexts that are in use.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::rc::Rc;

use crate::plain::logic::ring::{BufferSpace, Consumer, NotPosted, Producer, Ring, Slot};

/// What can be done with a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// A context is taken.
    Get,
    /// This one is given back, whatever it is.
    Unget(usize),
    /// A Send is posted in the one taken last, if it is not posted already.
    Post,
    /// The Send in this one is said to have ended, whether there is one or not.
    Put(usize),
}

/// The transport of one thread.
#[derive(Default)]
pub(crate) struct Space(Cell<bool>);

impl BufferSpace for Space {
    fn wait(&self) {
        self.0.set(true);
    }

    fn wake(&self) {
        self.0.set(false);
    }
}

/// The contexts: nothing is in them here.
pub(crate) struct Contexts;

/// A ring, and what it should be.
pub(crate) struct Rig {
    consumer: Consumer<Rc<Ring<Contexts>>>,
    producer: Producer<Rc<Ring<Contexts>>>,
    ring: Rc<Ring<Contexts>>,
    space: Space,
    contexts: usize,
    /// Each context that was ever handed out: there is no other way to name one.
    known: Vec<Slot>,
    /// Those in use, the oldest first.
    in_use: VecDeque<usize>,
    /// How many of them have a Send that is with the device.
    posted: usize,
    /// The one that is handed out next.
    next: usize,
    /// How many Sends were ever posted and released.
    total: (usize, usize),
    /// Counts at the start.
    start: usize,
    /// How many are in use as far as the consumer knows.
    believed: usize,
}

impl Rig {
    pub(crate) fn new(contexts: usize) -> Self {
        let share = |ring| Ok::<_, Infallible>(Rc::new(ring));
        let Ok((consumer, producer)) = Ring::split(contexts, Contexts, share);
        let ring = Rc::clone(consumer.ring());
        let (start, released) = ring.counts();
        assert_eq!(start, released);
        Self {
            consumer,
            producer,
            ring,
            space: Space::default(),
            contexts,
            known: Vec::new(),
            in_use: VecDeque::new(),
            posted: 0,
            next: 0,
            total: (0, 0),
            start,
            believed: 0,
        }
    }

    /// Where the ring is: the place of the next context, how many are in use, and how many of these
    /// are posted.
    pub(crate) fn positions(&self) -> (usize, usize, usize) {
        (self.next, self.in_use.len(), self.posted)
    }

    /// What else there is: how many are in use as far as the consumer knows, and whether it waits.
    pub(crate) fn knowledge(&self) -> (usize, bool) {
        (self.believed, self.space.0.get())
    }

    /// Does it, and compares.
    pub(crate) fn step(&mut self, op: Op) {
        match op {
            Op::Get => self.get(),
            Op::Unget(place) => self.unget(place),
            Op::Post => self.post(),
            Op::Put(place) => self.put(place),
        }
        let posted = self.start.wrapping_add(self.total.0);
        let released = self.start.wrapping_add(self.total.1);
        assert_eq!(self.ring.counts(), (posted, released));
        assert_eq!(self.total.0 - self.total.1, self.posted, "S1: outstanding");
        let full = self.in_use.len() == self.contexts;
        assert!(
            full || !self.space.0.get(),
            "S7: a sender waits for room that there is"
        );
    }

    fn get(&mut self) {
        if self.believed == self.contexts {
            self.believed = self.in_use.len();
        }
        let slot = self.consumer.get(&self.space);
        if self.in_use.len() == self.contexts {
            assert_eq!(slot, None, "S2: all are in use");
            assert!(self.space.0.get(), "S7: who finds no room waits");
            return;
        }
        let slot = slot.expect("S1: there is room");
        assert_eq!(slot.index(), self.next, "S2: contexts are used in turn");
        if self.known.len() == self.next {
            self.known.push(slot);
        }
        self.in_use.push_back(self.next);
        self.next = (self.next + 1) % self.contexts;
        self.believed += 1;
    }

    fn unget(&mut self, place: usize) {
        let Some(&slot) = self.known.get(place) else {
            return;
        };
        let may = self.posted < self.in_use.len() && self.in_use.back() == Some(&place);
        let awaited = self.space.0.get();
        assert_eq!(self.consumer.unget(slot, &self.space), may, "unget");
        if may {
            self.in_use.pop_back();
            self.next = place;
            self.believed -= 1;
        }
        assert_eq!(self.space.0.get(), awaited && !may, "S7: unget wakes");
    }

    fn post(&mut self) {
        self.consumer.post();
        self.total.0 += self.in_use.len() - self.posted;
        self.posted = self.in_use.len();
    }

    fn put(&mut self, place: usize) {
        let awaited = self.space.0.get();
        let with_device: Vec<usize> = self.in_use.iter().copied().take(self.posted).collect();
        let found = with_device.iter().position(|&posted| posted == place);
        let looked = RefCell::new(Vec::new());
        let mut released = Vec::new();
        let result = self.producer.put(
            |Contexts, slot| {
                looked.borrow_mut().push(slot.index());
                assert!(
                    looked.borrow().len() <= self.posted,
                    "S8: looks beyond what is with the device"
                );
                slot.index() == place
            },
            |ended| released.push(ended.parts().1.index()),
            &self.space,
        );
        match found {
            Some(last) => {
                assert_eq!(result, Ok(()));
                assert_eq!(looked.into_inner(), with_device[..=last]);
                assert_eq!(released, with_device[..=last], "S3: in order, S5: each");
                self.in_use.drain(..=last);
                self.posted -= last + 1;
                self.total.1 += last + 1;
                assert!(!self.space.0.get(), "S7: a completion wakes");
            }
            None => {
                assert_eq!(result, Err(NotPosted));
                assert_eq!(looked.into_inner(), with_device);
                assert_eq!(released, [], "a Send that is none releases nothing");
                assert_eq!(self.space.0.get(), awaited);
            }
        }
    }

    /// The ends of two rings are taken for those of one.
    pub(crate) fn close_with(self, other: Self) {
        self.consumer
            .close(other.producer, |_| panic!("S8: it belongs to another ring"));
    }

    /// The connection ends.
    pub(crate) fn close(self) {
        let mut released = VecDeque::new();
        self.consumer.close(self.producer, |ended| {
            released.push_back(ended.parts().1.index())
        });
        assert_eq!(released, self.in_use, "S8: what is in use is released");
    }
}
