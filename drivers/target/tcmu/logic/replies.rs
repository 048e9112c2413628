// SPDX-License-Identifier: GPL-2.0

//! Which replies of daemons are still to come.
//!
//! A reply names a device and a command, but not the event that it answers. It may come after the
//! wait for it has ended, while the kernel waits for the reply to the next event of the same kind.
//! So every event is remembered until it is answered, with the sockets that may answer it late:
//! those that were known when it was sent. A socket answers events in their order, so its next
//! answer belongs to the oldest event that it has not answered.
//!
//! A socket that was not known yet, such as that of a daemon started since, owes nothing.

/// How many events are remembered. When there are more, the oldest is forgotten.
pub(crate) const MOST: usize = 64;

/// A socket as netlink knows it (`portid`); 0 is none.
pub(crate) type Socket = u32;

/// The number of an event. Numbers come again after four billion events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId(u32);

/// An event that has not been answered.
#[derive(Clone, Copy)]
struct Event {
    id: EventId,
    device: u32,
    command: u8,
    /// Who may answer it late.
    debtors: [Socket; 2],
}

impl Event {
    fn is_owed_by(&self, sender: Socket) -> bool {
        sender != 0 && self.debtors.contains(&sender)
    }

    fn clear(&mut self, sender: Socket) {
        for debtor in &mut self.debtors {
            if *debtor == sender {
                *debtor = 0;
            }
        }
    }
}

/// The events that have not been answered.
pub(crate) struct Replies {
    /// The first `length`, oldest first.
    events: [Event; MOST],
    length: usize,
    next: u32,
}

impl Replies {
    /// Makes an empty table.
    pub(crate) const fn new() -> Self {
        let none = Event {
            id: EventId(0),
            device: 0,
            command: 0,
            debtors: [0; 2],
        };
        Self {
            events: [none; MOST],
            length: 0,
            next: 0,
        }
    }

    fn known(&self) -> &[Event] {
        self.events.get(..self.length).unwrap_or(&[])
    }

    /// Keeps the events that `wanted` says, in their order.
    fn retain(&mut self, mut wanted: impl FnMut(&mut Event) -> bool) {
        let mut kept = 0;
        for place in 0..self.length {
            let mut event = self.events[place];
            if wanted(&mut event) {
                self.events[kept] = event;
                kept += 1;
            }
        }
        self.length = kept;
    }

    /// An event is about to be sent, which `debtors` may answer.
    pub(crate) fn sent(&mut self, device: u32, command: u8, debtors: [Socket; 2]) -> EventId {
        let id = EventId(self.next);
        self.next = self.next.wrapping_add(1);
        if self.length == MOST {
            self.events.copy_within(1.., 0);
            self.length -= 1;
        }
        self.events[self.length] = Event {
            id,
            device,
            command,
            debtors,
        };
        self.length += 1;
        id
    }

    /// Nobody will answer an event any more.
    pub(crate) fn settle(&mut self, id: EventId) {
        self.retain(|event| event.id != id);
    }

    /// `sender` has replied to `command` about `device`, where `awaited` is what is waited for.
    ///
    /// Says whether the reply belongs to an older event.
    pub(crate) fn is_late(
        &mut self,
        device: u32,
        command: u8,
        sender: Socket,
        awaited: Option<EventId>,
    ) -> bool {
        let answers = |event: &Event| event.device == device && event.is_owed_by(sender);
        let oldest = self
            .known()
            .iter()
            .find(|event| answers(event) && event.command == command)
            .map(|event| event.id);
        let Some(answered) = oldest else {
            return false;
        };
        // It answers in order: what it has passed over it will not answer.
        let mut passed_over = true;
        self.retain(|event| {
            if event.id == answered {
                passed_over = false;
                return false;
            }
            if passed_over && answers(event) {
                event.clear(sender);
            }
            event.debtors != [0; 2] || Some(event.id) == awaited
        });
        awaited != Some(answered)
    }

    /// `sender` has announced itself: whoever has the socket now has seen nothing before.
    pub(crate) fn announced(&mut self, sender: Socket) {
        self.retain(|event| {
            event.clear(sender);
            event.debtors != [0; 2]
        });
    }

    /// The device goes: no other will have its number.
    pub(crate) fn forget(&mut self, device: u32) {
        self.retain(|event| event.device != device);
    }
}
