// SPDX-License-Identifier: GPL-2.0

//! When two histories of a device have led to the same state.

use super::memory::{growths, refusal};
use super::model::Place;
use super::rig::Rig;
use std::hash::{DefaultHasher, Hash, Hasher};

impl Rig {
    /// A number that tells states apart, so far as anything outside of the engine can.
    ///
    /// It is made from what LIO, user space and the allocator have seen; time counts from now,
    /// commands that LIO has back do not count. Two states have the same number by accident once in
    /// 2^64 pairs.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let model = &self.model;
        let to = &mut hasher;
        model.space.hash(to);
        (model.blocked, model.starved).hash(to);
        format!("{:?}", model.broken).hash(to);
        for tmr in &model.pending {
            (tmr.kind, &tmr.ids).hash(to);
        }

        let ledger = self.host.ledger().borrow();
        let mut order = vec![usize::MAX; model.commands.len()];
        let mut count = 0;
        for (token, command) in model.commands.iter().enumerate() {
            if command.place == Place::Gone {
                continue;
            }
            order[token] = count;
            count += 1;
            command.place.hash(to);
            command.request.data_length.hash(to);
            command.blocks.hash(to);
            let left = command.deadline.map(|deadline| deadline - self.now);
            (left, ledger.is_aborted(token)).hash(to);
        }
        count.hash(to);
        for queue in [&model.waiting, &model.in_flight] {
            queue.len().hash(to);
            for &token in queue {
                order[token].hash(to);
            }
        }

        for held in &self.user.held {
            (held.id, order[held.token]).hash(to);
        }
        self.user.positions().hash(to);
        self.host.mailbox_tail().hash(to);
        for offset in model.space.given_back(self.host.mailbox_tail()) {
            self.host.bytes::<16>(offset).hash(to);
        }

        let next = self.next_deadline().map(|next| next.wrapping_sub(self.now));
        (next, refusal(), self.host.refused_populate()).hash(to);
        (growths() - self.growths).hash(to);
        hasher.finish()
    }
}
