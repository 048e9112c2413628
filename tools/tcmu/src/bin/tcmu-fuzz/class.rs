// SPDX-License-Identifier: GPL-2.0
//! What can be wrong with a completion.

use clap::ValueEnum;

/// What the kernel has to do about a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The commands complete, and the ring stays in order.
    Tolerate,
    /// The ring is broken, with a reason, until it is reset.
    Break,
    /// One or the other, as follows from the numbers that were written.
    Depends,
}

/// A way to complete a command, from an honest one to noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Class {
    /// As a daemon should, in any order
    Honest,
    /// The entry claims to be padding, of any length
    PadLength,
    /// The entry claims to be a notification, of any length
    TmrLength,
    /// The entry is a command with a length that is not its own
    CmdLength,
    /// The entry has any operation, 0 to 7
    OpValue,
    /// Flags and reserved fields that belong to the kernel
    KernelFlags,
    /// iov_cnt, iovs, cdb_off, CDB and all the rest of the entry
    RequestFields,
    /// Version, flags, place and size of the ring in the mailbox
    MailboxFields,
    /// cmd_head in the mailbox
    Head,
    /// The unused part of the ring, where the kernel will write
    FreeSpace,
    /// A notification or padding overwritten before it is given back (happens as such entries come)
    PassedEntry,
    /// READ_LEN with lengths beyond the buffer
    ReadLength,
    /// Any uflags but KEEP_BUF
    Uflags,
    /// Any status, any sense data
    Status,
    /// KEEP_BUF, and free_kept_buf with right and wrong ids later
    KeepBuf,
    /// The answer comes after cmd_time_out (happens to commands that are held)
    LateId,
    /// An id that nobody ever had
    UnknownId,
    /// Id 0
    ZeroId,
    /// An id that was completed before
    StaleId,
    /// One id in two entries
    RepeatedId,
    /// A second completion of what was kept with KEEP_BUF
    KeptTwice,
    /// The id that a command in the qfull queue will be given
    WaitingId,
    /// A tail that is no multiple of 8
    TailUnaligned,
    /// A tail in the middle of an entry
    TailInside,
    /// A tail behind the end of the ring
    TailBeyond,
    /// A tail of 2^31 and more
    TailHuge,
    /// A tail that was given before
    TailBackward,
    /// A tail that the kernel has not reached
    TailAhead,
    /// Any 32 bits as tail
    RandomTail,
    /// The whole entry is noise
    RandomWords,
}

impl Class {
    /// Its name on the command line and in reports.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().replace('-', "_"))
    }

    /// What the kernel has to do about it, as long as nobody else writes to the shared memory.
    pub fn rule(self) -> Rule {
        use Class::*;
        match self {
            Honest | PadLength | TmrLength | CmdLength | OpValue | KernelFlags | RequestFields
            | MailboxFields | Head | FreeSpace | PassedEntry | ReadLength | Uflags | Status
            | KeepBuf | LateId => Rule::Tolerate,
            UnknownId | ZeroId | StaleId | RepeatedId | KeptTwice | WaitingId | TailUnaligned
            | TailInside | TailBeyond | TailHuge | TailBackward | TailAhead => Rule::Break,
            RandomTail | RandomWords => Rule::Depends,
        }
    }

    /// How often it is chosen, among all others. 0: circumstances choose it.
    ///
    /// A broken ring costs the commands on it and the time until they are sent again, so what breaks
    /// is rare: one completion in 200.
    pub fn weight(self) -> u32 {
        use Class::*;
        match self {
            PassedEntry | LateId => 0,
            Honest => 300,
            PadLength | TmrLength => 360,
            CmdLength | OpValue => 240,
            KernelFlags | RequestFields => 240,
            ReadLength | Uflags | Status => 240,
            KeepBuf => 90,
            FreeSpace => 120,
            MailboxFields => 60,
            Head => 30,
            UnknownId | ZeroId | StaleId | RepeatedId | KeptTwice | WaitingId => 1,
            TailUnaligned | TailInside | TailBeyond | TailHuge | TailBackward | TailAhead => 1,
            RandomTail | RandomWords => 1,
        }
    }

    /// Whether it is a tail that is wrong.
    pub fn is_tail(self) -> bool {
        use Class::*;
        matches!(
            self,
            TailUnaligned
                | TailInside
                | TailBeyond
                | TailHuge
                | TailBackward
                | TailAhead
                | RandomTail
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_few_classes_have_no_weight() {
        let classes = Class::value_variants();
        let names: std::collections::HashSet<_> = classes.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), classes.len());
        assert!(names.contains("tail_ahead") && !names.contains(""));
        let chance: Vec<_> = classes.iter().filter(|c| c.weight() == 0).collect();
        assert_eq!(chance, [&Class::PassedEntry, &Class::LateId]);
    }

    #[test]
    fn what_breaks_the_ring_is_rare() {
        let classes = Class::value_variants();
        let all: u32 = classes.iter().map(|c| c.weight()).sum();
        let breaking = classes.iter().filter(|c| c.rule() != Rule::Tolerate);
        let breaking: u32 = breaking.map(|c| c.weight()).sum();
        assert!(
            breaking * 200 < all && breaking * 300 > all,
            "{breaking} of {all}"
        );
    }
}
