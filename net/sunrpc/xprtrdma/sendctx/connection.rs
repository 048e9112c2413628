// SPDX-License-Identifier: GPL-2.0

//! What there is for each connection: the ring of Send contexts, and its two ends.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::{
    bindings,
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
    statistics::STATISTICS,
    transport::{
        Context,
        Contexts,
        Endpoint,
        Serialized,
        Transport, //
    }, //
};

type SharedRing = Arc<Ring<Contexts>>;

/// What there is for one connection.
pub(crate) struct Connection {
    /// The end that posts Sends; used under the transport's send lock.
    pub(crate) sender: Serialized<Sender>,
    /// The end that learns what has become of them; used by the Send Queue's completion handler.
    pub(crate) completer: Serialized<Completer>,
}

impl Connection {
    /// Makes all contexts for the connection to `endpoint`. `ENOMEM`: nothing was made.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<KBox<Self>> {
        // No Send is posted without a context, so that the Send Queue must have room for this many
        // (S1): one for each request, and one for the backchannel. (In C one more, of which one is
        // always free.)
        let number = (endpoint.max_requests().get() + bindings::SENDCTX_BC_REQUESTS - 1) as usize;
        // Memory that is not there at once is not waited for, as in C: what is written to the
        // server may have to go out first.
        let flags = GFP_NOWAIT | __GFP_NOWARN;
        let contexts = Contexts::new(endpoint, number, flags)?;
        let (consumer, producer) =
            Ring::split(number, contexts, |ring| SharedRing::new(ring, flags))?;
        let sender = Sender {
            consumer,
            signaling: SendSignaling::new(endpoint.send_batch().get(), number),
            held: None,
            unsignaled: 0,
        };
        let completer = Completer {
            producer,
            warned: false,
        };
        Ok(KBox::new(
            Self {
                sender: Serialized::new(sender),
                completer: Serialized::new(completer),
            },
            flags,
        )?)
    }

    /// Releases the Sends whose end no signalled one has reported, now that the device has none
    /// any more (S8).
    pub(crate) fn close(self) {
        let sender = self.sender.into_inner();
        let producer = self.completer.into_inner().producer;
        STATISTICS.posted.add(sender.unsignaled);
        let (posted, released) = sender.consumer.ring().counts();
        let mut outstanding = posted.wrapping_sub(released);
        STATISTICS.released.add(outstanding);
        sender.consumer.close(producer, |ended| {
            let pages = ended.release();
            // The last one may not have been posted.
            if outstanding > 0 {
                outstanding -= 1;
                STATISTICS.mapped_pages.sub(pages);
            }
        });
    }
}

/// The end of a connection that posts Sends, in cache lines of its own.
#[repr(align(64))]
pub(crate) struct Sender {
    consumer: Consumer<SharedRing>,
    signaling: SendSignaling,
    /// The context that was taken last, if no Send was posted in it.
    held: Option<Slot>,
    /// Number of Sends since the last signalled one.
    unsignaled: usize,
}

impl Sender {
    /// Takes the context for the next Send. `None`: the sender has to wait until Sends have
    /// completed, and the RPC client knows.
    pub(crate) fn get(&mut self, transport: &Transport) -> Option<&Context> {
        self.held = self.consumer.get(transport);
        match self.held {
            Some(slot) => self.consumer.ring().contexts().at(slot),
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
    /// requests. Whether it is to be signalled; `must` says that it is in any case. `None`: the
    /// context is another one.
    pub(crate) fn post(
        &mut self,
        context: *const bindings::rpcrdma_sendctx,
        wrs: u32,
        must: bool,
    ) -> Option<bool> {
        let slot = self.take_held(context)?;
        let pages = self.consumer.ring().contexts().mapped_pages(slot);
        if pages > 0 {
            STATISTICS.mapped_pages.add(pages);
        }
        self.consumer.post();
        self.unsignaled += 1;
        // Pages that belong to someone else are not kept until the batch is full.
        let signaled = self.signaling.post(wrs, must || pages > 0);
        if signaled {
            STATISTICS.posted.add(self.unsignaled);
            STATISTICS.signaled.add(1);
            self.unsignaled = 0;
        }
        Some(signaled)
    }

    fn take_held(&mut self, context: *const bindings::rpcrdma_sendctx) -> Option<Slot> {
        let contexts = self.consumer.ring().contexts();
        self.held.take_if(|slot| contexts.is_at(*slot, context))
    }
}

/// A completion of no outstanding Send.
pub(crate) struct Unknown {
    /// It is the first one of the connection.
    pub(crate) first: bool,
}

/// The end of a connection that learns which Sends have completed, in cache lines of its own.
#[repr(align(64))]
pub(crate) struct Completer {
    producer: Producer<SharedRing>,
    warned: bool,
}

impl Completer {
    /// The Send in `context` has completed, well or not, and all those before it: releases them.
    ///
    /// A completion of anything else is a fault of the device or its driver: what it has done with
    /// the memory of other Sends nobody knows. Nothing is released.
    pub(crate) fn put(
        &mut self,
        transport: &Transport,
        context: *const bindings::rpcrdma_sendctx,
    ) -> Result<(), Unknown> {
        let mut released = 0;
        let done = self.producer.put(
            |contexts, slot| contexts.is_at(slot, context),
            |ended| {
                released += 1;
                let pages = ended.release();
                if pages > 0 {
                    STATISTICS.mapped_pages.sub(pages);
                }
            },
            transport,
        );
        match done {
            Ok(()) => {
                STATISTICS.completions.add(1);
                STATISTICS.released.add(released);
                Ok(())
            }
            Err(NotPosted) => {
                STATISTICS.completions_not_posted.add(1);
                let first = !core::mem::replace(&mut self.warned, true);
                Err(Unknown { first })
            }
        }
    }
}
