// SPDX-License-Identifier: GPL-2.0

//! What there is for each connection: the ring of Send contexts, and its two ends.

use core::ops::Deref;

use kernel::{
    fmt,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use crate::{
    bindings,
    ext::debugfs::Show,
    logic::{
        ring::{
            Consumer,
            NotPosted,
            Producer,
            Ring,
            Slot, //
        },
        signal::SendSignaling, //
    },
    transport::{
        Context,
        Contexts,
        Endpoint,
        Serialized,
        StateFile,
        Transport, //
    }, //
};

/// What the two ends share.
pub(crate) struct Shared {
    ring: Ring<Contexts>,
    sent: Sent,
    completed: Completed,
}

impl Show for Shared {
    fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ring,
            sent,
            completed,
        } = self;
        let (posted, released) = ring.counts();
        let unmapped = completed.unmapped_pages.get();
        let mapped = sent.mapped_pages.get();
        writeln!(out, "contexts {}", ring.contexts().number())?;
        writeln!(out, "posted {posted}")?;
        writeln!(out, "signaled {}", sent.signaled.get())?;
        writeln!(out, "completions {}", completed.completions.get())?;
        writeln!(out, "released {released}")?;
        writeln!(out, "mapped_pages {}", mapped.wrapping_sub(unmapped))?;
        writeln!(out, "completions_not_posted {}", completed.not_posted.get())
    }
}

/// What the [`Sender`] counts, in a cache line of its own.
#[repr(align(64))]
struct Sent {
    signaled: Counter,
    mapped_pages: Counter,
}

/// What the [`Completer`] counts, in a cache line of its own.
#[repr(align(64))]
struct Completed {
    completions: Counter,
    unmapped_pages: Counter,
    not_posted: Counter,
}

/// A count that one thread at a time increases, and others may read.
struct Counter(Atomic<usize>);

impl Counter {
    fn new() -> Self {
        Self(Atomic::new(0))
    }

    fn add(&self, number: usize) {
        self.0.store(self.get().wrapping_add(number), Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// How either end finds what they share.
#[derive(Clone)]
struct SharedRef(Arc<Shared>);

impl Deref for SharedRef {
    type Target = Ring<Contexts>;

    fn deref(&self) -> &Self::Target {
        &self.0.ring
    }
}

/// What there is for one connection.
pub(crate) struct Connection {
    /// The end that posts Sends; used under the transport's send lock.
    pub(crate) sender: Serialized<Sender>,
    /// The end that learns what has become of them; used by the Send Queue's completion handler.
    pub(crate) completer: Serialized<Completer>,
    state_file: Option<StateFile<Shared>>,
}

impl Connection {
    /// Makes all contexts for the connection of `transport` to `endpoint`. `ENOMEM`: nothing was
    /// made.
    pub(crate) fn new(transport: &Transport, endpoint: &Endpoint) -> Result<KBox<Self>> {
        // No Send is posted without a context, so that this is the number of Sends that the Send
        // Queue must have room for (S1): one for each request, and those that answer the server's
        // calls. (C allocates one more, which it never uses.)
        let requests = endpoint.max_requests().get() as usize;
        let number = requests + bindings::SENDCTX_BC_REQUESTS as usize - 1;
        let flags = GFP_NOWAIT | __GFP_NOWARN;
        let contexts = Contexts::new(endpoint, number)?;
        let (consumer, producer) = Ring::split(number, contexts, |ring| -> Result<_> {
            let shared = Shared {
                ring,
                sent: Sent {
                    signaled: Counter::new(),
                    mapped_pages: Counter::new(),
                },
                completed: Completed {
                    completions: Counter::new(),
                    unmapped_pages: Counter::new(),
                    not_posted: Counter::new(),
                },
            };
            Ok(SharedRef(Arc::new(shared, flags)?))
        })?;
        let shared = consumer.ring().0.clone();
        let mut connection = KBox::new(
            Self {
                sender: Serialized::new(Sender {
                    consumer,
                    signaling: SendSignaling::new(endpoint.send_batch().get(), number),
                    held: None,
                    shared: shared.clone(),
                }),
                completer: Serialized::new(Completer {
                    producer,
                    shared: shared.clone(),
                }),
                state_file: None,
            },
            flags,
        )?;
        connection.state_file = StateFile::new(transport, shared);
        Ok(connection)
    }

    /// Releases the Sends whose end no signalled one has reported, now that the device has none
    /// any more (S8).
    pub(crate) fn close(self, transport: &Transport) {
        if let Some(file) = self.state_file {
            file.remove(transport);
        }
        let producer = self.completer.into_inner().producer;
        let consumer = self.sender.into_inner().consumer;
        consumer.close(producer, |ended| {
            ended.release();
        });
    }
}

/// The end of a connection that posts Sends, in cache lines of its own.
#[repr(align(64))]
pub(crate) struct Sender {
    consumer: Consumer<SharedRef>,
    signaling: SendSignaling,
    /// The context that was taken last, if no Send was posted in it.
    held: Option<Slot>,
    shared: Arc<Shared>,
}

impl Sender {
    /// Takes the context for the next Send. `None`: the sender has to wait until Sends have ended,
    /// and the RPC client knows.
    pub(crate) fn get(&mut self, transport: &Transport) -> Option<&Context> {
        self.held = self.consumer.get(transport);
        match self.held {
            Some(slot) => self.shared.ring.contexts().at(slot),
            None => {
                transport.count_empty();
                None
            }
        }
    }

    /// Gives back `context`, which was taken last, and in which no Send was posted. False: that is
    /// not so, and nothing happens.
    pub(crate) fn unget(
        &mut self,
        transport: &Transport,
        context: *const bindings::rpcrdma_sendctx,
    ) -> bool {
        match self.take_held(context) {
            Some(slot) => self.consumer.unget(slot, transport),
            None => false,
        }
    }

    /// The Send in `context`, which was taken last, is about to be posted, the last of `wrs` work
    /// requests. Whether it is to be signalled. `None`: the context is another one.
    pub(crate) fn post(
        &mut self,
        context: *const bindings::rpcrdma_sendctx,
        wrs: u32,
    ) -> Option<bool> {
        let slot = self.take_held(context)?;
        let pages = self
            .shared
            .ring
            .contexts()
            .at(slot)
            .map_or(0, Context::mapped_pages);
        self.consumer.post();
        // Pages that belong to someone else are not kept until the batch has ended.
        let signaled = self.signaling.post(wrs, pages > 0);
        let sent = &self.shared.sent;
        if pages > 0 {
            sent.mapped_pages.add(pages);
        }
        if signaled {
            sent.signaled.add(1);
        }
        Some(signaled)
    }

    fn take_held(&mut self, context: *const bindings::rpcrdma_sendctx) -> Option<Slot> {
        let contexts = self.shared.ring.contexts();
        self.held.take_if(|slot| contexts.is_at(*slot, context))
    }
}

/// The end of a connection that learns which Sends have ended, in cache lines of its own.
#[repr(align(64))]
pub(crate) struct Completer {
    producer: Producer<SharedRef>,
    shared: Arc<Shared>,
}

impl Completer {
    /// The Send in `context` has ended, well or not, and all those before it: releases them.
    ///
    /// A completion of anything else is a fault of the device or its driver: what it has done with
    /// the memory of other Sends nobody knows. Nothing is released, and the connection is closed;
    /// that is said once.
    pub(crate) fn put(&mut self, transport: &Transport, context: *const bindings::rpcrdma_sendctx) {
        let completed = &self.shared.completed;
        let done = self.producer.put(
            |contexts, slot| contexts.is_at(slot, context),
            |ended| {
                let pages = ended.release();
                if pages > 0 {
                    completed.unmapped_pages.add(pages);
                }
            },
            transport,
        );
        match done {
            Ok(()) => completed.completions.add(1),
            Err(NotPosted) => {
                if completed.not_posted.get() == 0 {
                    pr_warn!(
                        "{}: completion of a Send that is not posted, closing the connection\n",
                        transport.address(),
                    );
                }
                completed.not_posted.add(1);
                transport.force_disconnect();
            }
        }
    }
}
