// SPDX-License-Identifier: GPL-2.0

//! Nothing waits for a completion that nobody reports.
//!
//! Ring and signalling together, with a device that reports only signalled Sends, and with the
//! requests of `rpcrdma_buffer_create()`: each is held by its RPC until the reply is there, and by
//! its Send until a completion has released it. Requests of Sends that have ended unnoticed are of
//! no use to anybody, and there must be others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::rc::Rc;

use crate::plain::logic::ring::Ring;
use crate::plain::logic::signal::SendSignaling;
use crate::policy::{expected, left, with_left, MOST};
use crate::reference::{Contexts, Space};

/// Whether a ring of so many contexts, of which `in_use` have a Send, gives another one.
fn has_room(contexts: usize, in_use: usize) -> bool {
    let share = |ring| Ok::<_, Infallible>(Rc::new(ring));
    let Ok((mut consumer, _)) = Ring::split(contexts, Contexts, share);
    let space = Space::default();
    for _ in 0..in_use {
        assert!(consumer.get(&space).is_some());
        consumer.post();
    }
    consumer.get(&space).is_some()
}

/// The batch that [`SendSignaling`] makes of this one.
fn batch_of(batch: u32, contexts: usize) -> u32 {
    left(SendSignaling::new(batch, contexts))
}

/// Whenever the ring is full, a signalled Send is with the device.
#[test]
fn full_ring_has_a_signalled_send() {
    for contexts in 1..=8 {
        for batch in 0..=9 {
            let batch = batch_of(batch, contexts);
            // Which Sends are with the device, the oldest first, and what is left of the batch.
            let start = (VecDeque::<bool>::new(), batch);
            let mut seen = HashSet::from([start.clone()]);
            let mut queue = vec![start];
            while let Some((sends, left)) = queue.pop() {
                let mut next = Vec::new();
                if has_room(contexts, sends.len()) {
                    for wrs in 1..=3 {
                        for must in [false, true] {
                            let mut signaling = with_left(batch, left, contexts);
                            let signalled = signaling.post(wrs, must);
                            let (left, _) = expected(batch, left, wrs, must);
                            let mut sends = sends.clone();
                            sends.push_back(signalled);
                            next.push((sends, left));
                        }
                    }
                } else {
                    assert_eq!(sends.len(), contexts);
                    assert!(sends.contains(&true), "{contexts} contexts: {sends:?}");
                }
                if let Some(signalled) = sends.iter().position(|&signalled| signalled) {
                    let mut sends = sends;
                    sends.drain(..=signalled);
                    next.push((sends, left));
                }
                for state in next {
                    if seen.insert(state.clone()) {
                        queue.push(state);
                    }
                }
            }
            assert!(seen.len() > contexts);
        }
    }
}

/// What a client has: `rdma_slot_table_entries` and what the device makes of it.
#[derive(Clone, Copy, Debug)]
struct Client {
    /// Credits, at most: `re_max_requests`.
    credits: usize,
    /// Requests.
    requests: usize,
    /// Contexts of the ring.
    contexts: usize,
    /// `re_send_batch`.
    batch: u32,
}

impl Client {
    /// As `rpcrdma_buffer_create()`, `frwr_query_device()` and `Connection::new()` have it:
    /// a device with a small Send Queue takes fewer requests at a time.
    fn new(slots: usize, credits: usize) -> Self {
        let batch = (credits >> 3) as u32;
        Self {
            credits,
            requests: slots + slots.div_ceil(8),
            contexts: credits + 1,
            batch,
        }
    }
}

/// A Send that is not released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Send {
    signalled: bool,
    ended: bool,
    replied: bool,
}

/// A client at work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    sends: VecDeque<Send>,
    /// What is left of the batch.
    left: u32,
    /// Requests of RPCs that have not been sent.
    unsent: usize,
    /// Requests of RPCs that wait for a reply, whose Sends are released.
    replies: usize,
}

impl State {
    fn free(&self, client: Client) -> usize {
        client.requests - self.sends.len() - self.unsent - self.replies
    }

    /// What may happen next.
    fn next(&self, client: Client) -> Vec<(String, Self)> {
        let mut next = Vec::new();
        if self.free(client) > 0 {
            let mut state = self.clone();
            state.unsent += 1;
            next.push(("an RPC gets a request".to_owned(), state));
        }
        let waiting = self.sends.iter().filter(|send| !send.replied).count() + self.replies;
        let may_send = self.unsent > 0 && waiting < client.credits;
        if may_send && has_room(client.contexts, self.sends.len()) {
            for wrs in [1, 3] {
                for must in [false, true] {
                    let mut state = self.clone();
                    let batch = batch_of(client.batch, client.contexts);
                    let mut signaling = with_left(batch, self.left, client.contexts);
                    let signalled = signaling.post(wrs, must);
                    (state.left, _) = expected(batch, self.left, wrs, must);
                    state.unsent -= 1;
                    state.sends.push_back(Send {
                        signalled,
                        ended: false,
                        replied: false,
                    });
                    let kind = if signalled { "signalled " } else { "" };
                    next.push((format!("a {kind}Send with {wrs} WRs"), state));
                }
            }
        }
        if let Some(first) = self.sends.iter().position(|send| !send.ended) {
            let mut state = self.clone();
            state.sends[first].ended = true;
            let mut what = "a Send ends";
            if self.sends[first].signalled {
                what = "a Send ends, and is reported";
                let ended = state.sends.drain(..=first);
                state.replies += ended.filter(|send| !send.replied).count();
            }
            next.push((what.to_owned(), state));
        }
        if let Some(send) = self.sends.iter().position(|send| !send.replied) {
            // Any of them; the oldest does, as requests are told apart only by their Sends.
            for place in send..self.sends.len() {
                if !self.sends[place].replied {
                    let mut state = self.clone();
                    state.sends[place].replied = true;
                    next.push(("a reply".to_owned(), state));
                }
            }
        }
        if self.replies > 0 {
            let mut state = self.clone();
            state.replies -= 1;
            next.push(("a reply".to_owned(), state));
        }
        next
    }
}

/// The way to a state in which nothing can happen any more, if there is one, and the number of
/// states.
fn stuck(client: Client) -> (Option<Vec<String>>, usize) {
    let start = State {
        sends: VecDeque::new(),
        left: batch_of(client.batch, client.contexts),
        unsent: 0,
        replies: 0,
    };
    let mut came_from: HashMap<State, Option<(State, String)>> = HashMap::new();
    came_from.insert(start.clone(), None);
    let mut queue = VecDeque::from([start]);
    while let Some(state) = queue.pop_front() {
        let next = state.next(client);
        if next.is_empty() {
            let mut trace = Vec::new();
            let mut at = &state;
            while let Some((before, step)) = &came_from[at] {
                trace.push(step.clone());
                at = before;
            }
            trace.reverse();
            return (Some(trace), came_from.len());
        }
        for (step, to) in next {
            if !came_from.contains_key(&to) {
                came_from.insert(to.clone(), Some((state.clone(), step)));
                queue.push_back(to);
            }
        }
    }
    (None, came_from.len())
}

/// All interleavings of small clients. Batches of the kernel would be empty here, so all are
/// tried, and a ring that is larger: what it takes is more requests than a batch has work
/// requests.
#[test]
fn small_clients_are_never_stuck() {
    let mut states = 0;
    for slots in 1..=3 {
        for contexts in [slots + 1, slots + 2] {
            for batch in 0..=slots as u32 + 1 {
                let client = Client {
                    contexts,
                    batch,
                    ..Client::new(slots, slots)
                };
                let (trace, number) = stuck(client);
                let enough = (batch_of(batch, contexts) as usize) < client.requests;
                assert_eq!(trace.is_none(), enough, "{client:?}: {trace:#?}");
                states += number;
            }
        }
    }
    println!("{states} states of small clients");
}

/// The way to the end with a batch that the ring would allow, but not the requests.
#[test]
fn batch_as_large_as_the_pool_is_found() {
    let client = Client {
        contexts: 4,
        batch: 3,
        ..Client::new(2, 2)
    };
    let (trace, _) = stuck(client);
    println!("{client:?}:");
    for (number, step) in (1..).zip(trace.expect("all requests are held by Sends that ended")) {
        println!("  {number}. {step}");
    }
}

/// Clients as the kernel makes them. Only what nobody reports matters in a state in which all
/// Sends have ended, all replies have come, and all completions are handled; and that does not
/// depend on when all this happened. So it is enough to go through the sequences of Sends.
#[test]
fn clients_of_the_kernel_are_never_stuck() {
    for slots in 1..=40 {
        for credits in 1..=slots {
            let client = Client::new(slots, credits);
            let batch = batch_of(client.batch, client.contexts);
            let mut seen = HashSet::from([(0, batch)]);
            let mut queue = vec![(0, batch)];
            while let Some((unnoticed, left)) = queue.pop() {
                assert!(
                    has_room(client.contexts, unnoticed),
                    "{client:?}: no context"
                );
                // Not only one: all RPCs for which there are credits.
                assert!(
                    client.requests - unnoticed >= client.credits,
                    "{client:?}: {unnoticed} requests are held by Sends that ended"
                );
                for wrs in 1..=5 {
                    for must in [false, true] {
                        let mut signaling = with_left(batch, left, client.contexts);
                        let signalled = signaling.post(wrs, must);
                        let (left, _) = expected(batch, left, wrs, must);
                        let state = (if signalled { 0 } else { unnoticed + 1 }, left);
                        if seen.insert(state) {
                            queue.push(state);
                        }
                    }
                }
            }
        }
    }
}

/// `RPCRDMA_BACKWARD_WRS`: how many requests there are for the server's calls.
const BACKWARD_REQUESTS: usize = 32;

/// Most calls that a server has outstanding, see `xprt_rdma_bc_max_slots()`.
const BACKWARD_SLOTS: usize = BACKWARD_REQUESTS / 2;

/// The server calls, and nothing else is sent. How many of the replies have completed unnoticed
/// when a call finds no request, which closes the connection; `post` is whether a reply is
/// signalled.
fn overflow(batch: u32, mut post: impl FnMut(u32) -> (u32, bool)) -> Option<usize> {
    let mut seen = HashSet::new();
    let (mut unnoticed, mut left) = (0, batch);
    while seen.insert((unnoticed, left)) {
        // The server uses all its slots, one call is answered, and the next one comes before the
        // completion of the answer is handled: completions and calls come by different queues.
        if unnoticed + BACKWARD_SLOTS + 1 > BACKWARD_REQUESTS {
            return Some(unnoticed);
        }
        let (after, signalled) = post(left);
        left = after;
        unnoticed = if signalled { 0 } else { unnoticed + 1 };
    }
    None
}

/// A reply to a call of the server holds one of a few requests of its own until it is released,
/// and there may be no other Sends for a long time. That is why each is signalled.
#[test]
fn calls_of_the_server_find_a_request() {
    // RPCRDMA_MAX_SLOT_TABLE
    for credits in (1..=300).chain([1024, 16384]) {
        let client = Client::new(credits, credits);
        let batch = batch_of(client.batch, client.contexts);
        let found = overflow(batch, |before| {
            let mut signaling = with_left(batch, before, client.contexts);
            let signalled = signaling.post(1, true);
            (left(signaling), signalled)
        });
        assert_eq!(found, None, "{client:?}");
    }
}

/// With a signalled one in a batch, as for calls of the client, calls would find none.
#[test]
fn unsignalled_replies_overflow() {
    let with = |batch| overflow(batch, |left| expected(batch, left, 1, false));
    assert_eq!(with(MOST - 1), None);
    assert_eq!(with(MOST), Some(BACKWARD_REQUESTS - BACKWARD_SLOTS));
}

/// Whatever is outstanding, the Send Queue that C asks for has room: for each request as many
/// entries as an RPC has work requests at most, the registrations and invalidations of three
/// regions and the Send, and those of `RPCRDMA_BACKWARD_WRS` and of one that drains the queue.
#[test]
fn send_queue_has_room() {
    const DEPTH: usize = 3 + 3 + 1;
    for credits in [1, 4, 8, 128, 300, 1024, 16384] {
        let client = Client::new(credits, credits);
        assert!(client.contexts * DEPTH <= credits * DEPTH + BACKWARD_REQUESTS + 1);
        // Not so with contexts for a batch of completed Sends besides, whose regions may still
        // have to be invalidated.
        let more = client.contexts + MOST as usize;
        assert!(more * DEPTH > credits * DEPTH + BACKWARD_REQUESTS + 1);
    }
}
