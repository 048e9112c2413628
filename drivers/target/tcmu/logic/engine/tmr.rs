// SPDX-License-Identifier: GPL-2.0

//! Notifications of task management functions.

use super::super::alloc::Memory;
use super::super::ids::IdList;
use super::super::ops::{
    Completer,
    RingIo,
    SharedIo, //
};
use super::super::sam::SamStatus;
use super::super::slots::{
    SlotIndex,
    State, //
};
use super::super::tmr_queue::TmrKind;
use super::super::uapi::{
    header,
    quad,
    tmr_word,
    EntryKind,
    ALIGN,
    TMR_IDS_OFFSET,
    TMR_PAD_OFFSET,
    TMR_TYPE_OFFSET, //
};
use super::Engine;

impl<K: Completer, M: Memory> Engine<K, M> {
    /// Tells user space of a task management function that has aborted `aborted`.
    ///
    /// Commands in the qfull queue are completed at once, user space never sees them (P5). If
    /// `notify`, those in flight are listed in a notification (P6); commands that have timed out
    /// are not in flight any more. Then commands are started that waited for their space.
    ///
    /// Each of `aborted` is a command that has not been completed: the caller has held the device's
    /// lock since it found them.
    pub(crate) fn tmr_notify<S: SharedIo<K::Command>>(
        &mut self,
        shared: &mut S,
        kind: TmrKind,
        aborted: impl Iterator<Item = SlotIndex>,
        notify: bool,
    ) {
        let notify = notify && {
            self.counters.announced += 1;
            let broken = self.broken.is_some();
            self.counters.dropped += u64::from(broken);
            !broken
        };
        let mut ids = IdList::default();
        for slot in aborted {
            match self.slots.get(slot) {
                State::Qfull { .. } => self.complete_qfull(slot, SamStatus::TaskAborted),
                State::InFlight { ring, .. } => {
                    self.counters.aborted += 1;
                    if notify {
                        self.ids.list(&mut ids, ring.id);
                    }
                }
                _ => {}
            }
        }
        if notify {
            self.tmrs.push(kind, ids);
        }
        self.run_qfull(shared);
    }

    /// Puts waiting notifications on the ring while they fit; says whether all did.
    pub(super) fn run_tmrs<R: RingIo>(&mut self, ring: &mut R) -> bool {
        while let Some(tmr) = self.tmrs.front() {
            let size = (TMR_IDS_OFFSET + 2 * tmr.ids.len()).next_multiple_of(ALIGN);
            let Some(place) = self.ring.place(size) else {
                return false;
            };
            self.write_pad(ring, place);
            let at = place.offset;
            ring.write_word(at, header(EntryKind::Tmr, size, 0));
            ring.write_word(
                at + TMR_TYPE_OFFSET,
                tmr_word(tmr.kind as u8, tmr.ids.len()),
            );
            ring.write_word(at + TMR_PAD_OFFSET, 0);
            ring.write_word(at + TMR_PAD_OFFSET + 8, 0);
            let mut to = at + TMR_IDS_OFFSET;
            let mut word = [0; 4];
            let mut filled = 0;
            self.ids.unlist(tmr.ids, |id| {
                word[filled] = id;
                filled += 1;
                if filled == 4 {
                    ring.write_word(to, quad(word));
                    to += 8;
                    word = [0; 4];
                    filled = 0;
                }
            });
            if filled > 0 {
                ring.write_word(to, quad(word));
            }
            self.ring.commit(place, size, EntryKind::Tmr);
            ring.publish_head(self.ring.head());
            self.notify = true;
            self.counters.delivered += 1;
            self.tmrs.pop();
        }
        true
    }

    /// Discards waiting notifications.
    pub(super) fn discard_tmrs(&mut self) {
        self.counters.dropped += self.tmrs.waiting();
        while let Some(tmr) = self.tmrs.pop() {
            self.ids.unlist(tmr.ids, |_| {});
        }
    }
}
