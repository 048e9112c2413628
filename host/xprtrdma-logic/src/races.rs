// SPDX-License-Identifier: GPL-2.0

//! What the two ends of a ring do at the same time, on loom.
//!
//! The sender is the thread that begins, the completion handler another one. Each scenario is gone
//! through in every order of the two, and with each value that the memory model lets a load return.
//! Contexts are loom's cells: who gets at one without being ordered after who had it before is
//! found, whatever came of it.

use std::convert::Infallible;
use std::sync::{Arc as StdArc, Mutex};

use loom::cell::Cell;
use loom::sync::Arc;
use loom::thread;
use sync::loom::atomic::{Acquire, Atomic, Full, Relaxed, Release};

use crate::model::logic::ring::{BufferSpace, Consumer, Ended, NotPosted, Producer, Ring, Slot};

type Shared = Arc<Ring<Contexts>>;
type Sender = Consumer<Shared>;
type Handler = Producer<Shared>;

/// What came of all orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// How many there are.
    pub(crate) interleavings: usize,
    /// After how many a sender sleeps that nothing will wake, though there is room.
    pub(crate) lost: usize,
    /// After how many a sender found no room.
    pub(crate) waits: usize,
    /// After how many all Sends of the scenario were posted.
    pub(crate) complete: usize,
}

/// Goes through all orders of `once`, which counts each of them.
fn explore(once: impl Fn(&mut Findings) + Send + Sync + 'static) -> Findings {
    let findings = StdArc::<Mutex<Findings>>::default();
    let to = findings.clone();
    loom::model(move || {
        let mut this = Findings {
            interleavings: 1,
            ..Findings::default()
        };
        once(&mut this);
        let mut all = to.lock().expect("nobody panics");
        all.interleavings += this.interleavings;
        all.lost += this.lost;
        all.waits += this.waits;
        all.complete += this.complete;
    });
    let findings = findings.lock().expect("nobody panics");
    *findings
}

/// `XPRT_WRITE_SPACE` of the transport.
#[derive(Clone)]
struct WriteSpace(Arc<Atomic<bool>>);

impl WriteSpace {
    fn new() -> Self {
        Self(Arc::new(Atomic::new(false)))
    }

    /// Whether the sender sleeps.
    fn is_awaited(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl BufferSpace for WriteSpace {
    /// `set_bit()`, which orders nothing.
    fn wait(&self) {
        self.0.xchg(true, Relaxed);
    }

    /// `test_bit()`, which orders nothing, then `test_and_clear_bit()`, which orders everything.
    /// The lock in between would only order more.
    fn wake(&self) {
        if self.0.load(Relaxed) {
            self.0.xchg(false, Full);
        }
    }
}

/// The contexts: each has the number of the Send that it is used for.
struct Contexts(Vec<Cell<Option<usize>>>);

impl Contexts {
    fn new(number: usize) -> Self {
        Self((0..number).map(|_| Cell::new(None)).collect())
    }

    /// The sender builds a Send.
    fn build(&self, slot: Slot, send: usize) {
        let before = self.0[slot.index()].replace(Some(send));
        assert_eq!(before, None, "S2: the context of Send {send} is in use");
    }

    /// The device reads a Send.
    fn read(&self, slot: usize, send: usize) {
        let read = self.0[slot].get();
        assert_eq!(read, Some(send), "S2: the device reads another Send");
    }

    /// What the Send holds is released.
    fn release(&self, slot: Slot) -> usize {
        let send = self.0[slot.index()].take();
        send.expect("S5: each Send is released once")
    }
}

/// The same for a Send that has ended.
fn release(ended: Ended<'_, Contexts>) -> usize {
    let (contexts, slot) = ended.parts();
    contexts.release(slot)
}

/// A ring, its two ends, and how to wait for room.
fn connection(contexts: usize) -> (Sender, Handler, Shared, WriteSpace) {
    let share = |ring| Ok::<_, Infallible>(Arc::new(ring));
    let Ok((sender, handler)) = Ring::split(contexts, Contexts::new(contexts), share);
    let ring = sender.ring().clone();
    (sender, handler, ring, WriteSpace::new())
}

/// The device and the handler of its completions.
struct Device {
    handler: Handler,
    ring: Shared,
    space: WriteSpace,
    /// The doorbell: how many Sends it has been given.
    rung: Arc<Atomic<usize>>,
    /// Which Sends are signalled.
    signalled: &'static [bool],
    /// How many Sends it has read.
    read: usize,
    /// How many of them have been released.
    released: usize,
}

impl Device {
    /// Looks at the doorbell once: the new Sends end, and the last signalled one of them is
    /// reported.
    fn look(&mut self) {
        let contexts = self.ring.contexts();
        let number = contexts.0.len();
        let rung = self.rung.load(Acquire);
        let mut last = None;
        for send in self.read..rung {
            contexts.read(send % number, send);
            if self.signalled[send] {
                last = Some(send);
            }
        }
        self.read = rung;
        let Some(send) = last else { return };

        let (before, released) = (self.released, &mut self.released);
        let result = self.handler.put(
            |_, slot| slot.index() == send % number,
            |ended| {
                let send = release(ended);
                assert_eq!(send, *released, "S3: Sends are released in order");
                *released += 1;
            },
            &self.space,
        );
        assert_eq!(result, Ok(()), "Send {send} was posted");
        assert_eq!(self.released, send + 1, "S5: all of {before}..={send}");
    }
}

/// A connection in use.
pub(crate) struct Traffic {
    /// Number of contexts.
    pub(crate) contexts: usize,
    /// Which Sends are signalled: as many as there are here are posted, if there is room.
    pub(crate) signalled: &'static [bool],
    /// How many of them before the device begins.
    pub(crate) before: usize,
    /// How often the device looks for new ones while the sender is at work.
    pub(crate) looks: usize,
}

impl Traffic {
    /// The sender posts until there is no room, the device completes (S1-S5, S7, S8).
    pub(crate) fn explore(self) -> Findings {
        explore(move |findings| self.once(findings))
    }

    fn once(&self, findings: &mut Findings) {
        let (mut sender, handler, ring, space) = connection(self.contexts);
        let rung = Arc::new(Atomic::new(0));
        let mut posted = 0;
        let mut post = |sender: &mut Sender| match sender.get(&space) {
            Some(slot) => {
                ring.contexts().build(slot, posted);
                sender.post();
                posted += 1;
                rung.store(posted, Release);
                posted
            }
            None => 0,
        };
        for _ in 0..self.before {
            post(&mut sender);
        }
        let mut device = Device {
            handler,
            ring: ring.clone(),
            space: space.clone(),
            rung: rung.clone(),
            signalled: self.signalled,
            read: 0,
            released: 0,
        };
        let looks = self.looks;
        let thread = thread::spawn(move || {
            for _ in 0..looks {
                device.look();
            }
            device
        });
        // Who was woken before it slept tries again.
        for _ in self.before..=self.signalled.len() {
            match post(&mut sender) {
                0 => findings.waits = 1,
                number if number == self.signalled.len() => break,
                _ => {}
            }
            if space.is_awaited() {
                break;
            }
        }
        let mut device = thread.join().expect("it ends");
        // What is still to end.
        device.look();

        let in_use = posted - device.released;
        assert!(
            in_use <= self.contexts,
            "S1: {in_use} Sends are outstanding"
        );
        if space.is_awaited() && in_use < self.contexts {
            findings.lost = 1;
        }
        findings.complete = usize::from(posted == self.signalled.len());
        let mut released = device.released;
        sender.close(device.handler, |ended| {
            assert_eq!(release(ended), released, "S8: in order");
            released += 1;
        });
        assert_eq!(released, posted, "S8: nothing is left");
    }
}

/// Completions that nobody ordered after anything race with the sender, who gives a context back in
/// the meantime: `contexts` is 1 or 2.
pub(crate) fn made_up_completions(contexts: usize) -> Findings {
    explore(move |_| {
        let (mut sender, mut handler, ring, space) = connection(contexts);
        let their_space = space.clone();
        let thread = thread::spawn(move || {
            let mut put = |place: usize| {
                handler.put(
                    |_, slot| {
                        assert_eq!(slot.index(), 0, "S8: beyond what the device has");
                        slot.index() == place
                    },
                    |ended| assert_eq!(release(ended), 0, "S5: another Send"),
                    &their_space,
                )
            };
            let first = put(0);
            let second = put(0);
            assert_eq!(put(1), Err(NotPosted), "never posted");
            assert!(
                matches!(
                    (first, second),
                    (Err(NotPosted), _) | (Ok(()), Err(NotPosted))
                ),
                "S5: {first:?}, then {second:?}"
            );
            (handler, first.is_ok() || second.is_ok())
        });

        let cells = ring.contexts();
        let first = sender.get(&space).expect("all are free");
        cells.build(first, 0);
        sender.post();
        if let Some(slot) = sender.get(&space) {
            cells.build(slot, 1);
            assert_eq!(cells.release(slot), 1);
            assert!(sender.unget(slot, &space), "it was taken last");
            assert!(!sender.unget(slot, &space), "and is given back once");
        }
        let (handler, ended) = thread.join().expect("it ends");
        let mut left = 0;
        sender.close(handler, |ended| {
            assert_eq!(release(ended), 0);
            left += 1;
        });
        assert_eq!(left, usize::from(!ended), "S5: each once");
    })
}

/// A third thread looks at the counts meanwhile.
pub(crate) fn counts() -> Findings {
    explore(|_| {
        let (mut sender, mut handler, observed, space) = connection(1);
        let their_space = space.clone();
        let observer = thread::spawn(move || {
            let (posted, released) = observed.counts();
            let outstanding = posted.wrapping_sub(released);
            assert!(outstanding <= 2, "{outstanding} Sends are outstanding");
        });
        let completions = thread::spawn(move || {
            let _ = handler.put(|_, _| true, |_| {}, &their_space);
        });
        let _ = sender.get(&space).expect("it is free");
        sender.post();
        observer.join().expect("it ends");
        completions.join().expect("it ends");
    })
}
