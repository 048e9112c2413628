// SPDX-License-Identifier: GPL-2.0

//! A user space that does what the input says, and an LIO that goes on meanwhile.

use crate::harness::rig::{Action, Rig};
use crate::harness::user::Completion;
use crate::logic::engine::{Config, ResetStatus};
use crate::logic::ops::Direction;

/// The rest of the input; behind its end are zeros.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    fn choose<T: Clone, const N: usize>(&mut self, from: [T; N]) -> T {
        from[usize::from(self.byte()) % N].clone()
    }

    fn config(&mut self) -> Config {
        Config {
            ring_size: self.choose([512, 520, 1000, 2048, 8000]),
            blocks: self.choose([6, 24, 70]),
            block_size: self.choose([16, 64]),
        }
    }

    fn submit(&mut self) -> Action {
        let flags = self.byte();
        let direction = match flags & 3 {
            0 => Direction::None,
            1 => Direction::ToDevice,
            _ => Direction::FromDevice,
        };
        let has_data = direction != Direction::None;
        let mut length = || u32::from(self.u16()) % 1500 + 1;
        Action::Submit {
            direction,
            data_length: if has_data { length() } else { 0 },
            bidi_length: (has_data && flags & 0x1c == 0x1c).then(length),
            cdb_length: self.choose([6, 10, 12, 16, 32]),
            aborted: flags & 0xe0 == 0xe0,
            may_wait: flags & 0xe0 != 0x20,
        }
    }

    fn completion(&mut self) -> Completion {
        let flags = self.byte();
        Completion {
            status: self.choose([0, 2, 8, 0x40, 0xff]),
            keep_buf: flags & 3 == 3,
            read_len: (flags & 4 != 0).then(|| self.choose([0, 1, 100, 4096, u32::MAX])),
            unknown_op: flags & 0x38 == 0x38,
        }
    }

    /// The next thing that happens.
    fn action(&mut self) -> Action {
        match self.byte() % 32 {
            0..=5 => self.submit(),
            6 => Action::Fill(u32::from(self.byte() % 70)),
            7..=10 => Action::Complete(self.byte().into(), self.completion()),
            11..=14 => Action::Kick,
            15 => Action::Skip,
            16 => Action::Jump(self.u32()),
            17 => Action::Jump(u32::from(self.u16()) * 8 % 8000),
            18 => Action::JumpToEntry(self.byte().into()),
            19 => Action::CompleteId(self.u16()),
            20 => Action::CompleteKept(self.byte().into()),
            21 => Action::Overwrite(self.u32(), self.u64()),
            22 => Action::Scribble(self.u64()),
            23 => Action::Abort(self.u64()),
            24 | 25 => Action::TaskManagement {
                kind: self.byte().into(),
                notify: self.byte() & 7 != 0,
                repeat: self.byte() & 7 == 0,
            },
            26 => Action::Elapse(u64::from(self.byte()) % 60),
            27 => self.choose([Action::Block, Action::Unblock]),
            28 => Action::Reset(self.choose([ResetStatus::Busy, ResetStatus::CheckCondition])),
            29 => {
                let nth = self.u16();
                self.choose([
                    Action::FreeKept(nth.into()),
                    Action::FreeId(nth),
                    Action::FreeAllKept,
                ])
            }
            30 => Action::Reclaim,
            _ => {
                let nth = u32::from(self.byte()) % 20 + 1;
                self.choose([Action::RefuseGrowth(nth), Action::RefusePopulate(nth)])
            }
        }
    }
}

/// Plays `data` against the engine, the reference and the properties P2 to P8: tails, command ids,
/// user flags and responses of any value, entries overwritten at any time.
///
/// At the end user space behaves, and nothing may be left over.
pub fn ring_consumer(data: &[u8]) {
    let mut input = Input(data);
    let config = input.config();
    let command_time = input.choose([None, Some(20), Some(50)]);
    let mut rig = Rig::new(&config, command_time);
    while !input.0.is_empty() {
        rig.step(&input.action());
    }
    rig.drain();
}
