// SPDX-License-Identifier: GPL-2.0
//! Tells the kernel of completions and looks at what it makes of them.

use std::time::Instant;

use rand::RngExt;

use tcmu::shm::SharedMemory;
use tcmu::uapi;

use crate::attack::Attack;
use crate::chaos::interesting;
use crate::class::Class;
use crate::node::Status;
use crate::report::Outcome;
use crate::view::Slot;

/// Why a ring is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The tail is no position.
    Tail(u32),
    /// The id is not on the ring.
    Unknown(u16),
    /// The id was completed with KEEP_BUF.
    Kept(u16),
}

impl Reason {
    /// Whether debugfs gives this reason.
    pub fn is_in(self, status: &Status) -> bool {
        let text = status.text("broken_reason");
        match self {
            Self::Tail(tail) => text.contains(&format!("cmd_tail {tail} ")),
            Self::Unknown(id) => {
                text.contains(&format!("cmd_id {id},")) && text.contains("not on it")
            }
            Self::Kept(id) => text.contains(&format!("cmd_id {id},")) && text.contains("KEEP_BUF"),
        }
    }
}

/// What must come of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The ring is broken, for this reason.
    Broken(Reason),
    /// That, or nothing: a command that comes just now decides.
    Any,
}

impl Attack {
    /// Writes the tail and tells the kernel; what it then says of itself, if it says anything.
    fn tell(&mut self, tail: u32) -> anyhow::Result<Option<Status>> {
        self.node.mem.store_release_u32(uapi::MB_CMD_TAIL, tail)?;
        self.told = self.view.tail;
        for _ in 0..if self.noise.random_bool(0.05) { 3 } else { 1 } {
            self.node.kick()?;
        }
        Ok(self.control.status())
    }

    fn count_pending(&mut self, outcome: Outcome) {
        let phase = self.phase.1;
        for class in std::mem::take(&mut self.pending) {
            self.report.count(phase, class, outcome);
        }
    }

    /// Says what is wrong and how to see it again.
    fn complain(&mut self, class: Class, status: &Status, what: &str) {
        let (number, phase) = self.phase;
        println!(
            "WRONG: {} in phase {number} ({}): {what}; {}; pending {:?}; replay with --seed {} \
             --first-phase {number} --phases 1",
            class.name(),
            phase.name(),
            status.summary(),
            self.pending,
            self.options.seed,
        );
        self.report.count(phase, class, Outcome::Wrong);
    }

    /// Whether the kernel has to be told of something.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty() || self.told != self.view.tail
    }

    /// Tells the kernel of completions that it has to take; false if the ring had to be reset.
    pub(super) fn flush(&mut self) -> anyhow::Result<bool> {
        let repair = self.pending.contains(&Class::MailboxFields);
        let head = self.pending.contains(&Class::Head);
        let tail = self.view.tail;
        let status = self.tell(tail)?;
        if repair {
            self.node.mem.write_bytes(0, &self.layout)?;
        }
        let Some(status) = status else {
            self.count_pending(Outcome::Unjudged);
            return Ok(true);
        };
        if head {
            self.repair_head()?;
        }
        let taken = !status.is_broken() && status.number("ring_cleaned") == u64::from(tail);
        if self.phase.1.scribbles() {
            let last = if status.is_broken() {
                self.pending.pop()
            } else {
                None
            };
            if let Some(class) = last {
                self.report.count(self.phase.1, class, Outcome::Broke);
            }
            self.count_pending(if taken {
                Outcome::Tolerated
            } else {
                Outcome::Unjudged
            });
            if !taken {
                self.after_break(&status)?;
            }
            return Ok(taken);
        }
        if taken {
            if let Some(since) = self.broken_since.take() {
                self.report.recovered(since.elapsed());
            }
            self.count_pending(Outcome::Tolerated);
            return Ok(true);
        }
        let class = self.pending.pop().unwrap_or(Class::Honest);
        self.complain(class, &status, &format!("tail {tail} was not taken"));
        self.count_pending(Outcome::Unjudged);
        self.reset()?;
        Ok(false)
    }

    /// Gives cmd_head the value that it had before we overwrote it.
    fn repair_head(&mut self) -> anyhow::Result<()> {
        // The kernel may have moved it while we wrote what it had been.
        loop {
            let Some(status) = self.control.status() else {
                return Ok(());
            };
            let head = status.number("ring_head") as u32;
            if self.node.mem.load_acquire_u32(uapi::MB_CMD_HEAD)? == head {
                return Ok(());
            }
            self.node.mem.store_release_u32(uapi::MB_CMD_HEAD, head)?;
            if self.phase.1.scribbles() {
                return Ok(());
            }
        }
    }

    /// A tail that must break the ring.
    pub(super) fn break_tail(
        &mut self,
        class: Class,
        tail: u32,
        expected: Expected,
    ) -> anyhow::Result<()> {
        let cleaned = self.view.tail;
        let status = self.tell(tail)?;
        self.judge_break(class, status, expected, cleaned, None)
    }

    /// An id, in the entry at `slot`, that must break the ring.
    pub(super) fn break_id(
        &mut self,
        class: Class,
        slot: Slot,
        id: u16,
        reason: Reason,
    ) -> anyhow::Result<()> {
        let status = self.tell(self.view.tail)?;
        if self.pending.contains(&Class::MailboxFields) {
            self.node.mem.write_bytes(0, &self.layout)?;
        }
        self.judge_break(
            class,
            status,
            Expected::Broken(reason),
            slot.offset,
            Some(id),
        )
    }

    fn judge_break(
        &mut self,
        class: Class,
        status: Option<Status>,
        expected: Expected,
        cleaned: u32,
        id: Option<u16>,
    ) -> anyhow::Result<()> {
        let phase = self.phase.1;
        let Some(status) = status else {
            self.count_pending(Outcome::Unjudged);
            self.report.count(phase, class, Outcome::Unjudged);
            return self.reset();
        };
        let broken = status.is_broken();
        if phase.scribbles() {
            self.count_pending(Outcome::Unjudged);
            let outcome = if broken {
                Outcome::Broke
            } else {
                Outcome::Unjudged
            };
            self.report.count(phase, class, outcome);
            return self.after_break(&status);
        }
        match expected {
            Expected::Broken(reason)
                if broken
                    && reason.is_in(&status)
                    && status.number("ring_cleaned") == u64::from(cleaned) =>
            {
                self.count_pending(Outcome::Tolerated);
                self.report.count(phase, class, Outcome::Broke);
            }
            Expected::Any => {
                self.count_pending(Outcome::Tolerated);
                let outcome = if broken {
                    Outcome::Broke
                } else {
                    Outcome::Tolerated
                };
                self.report.count(phase, class, outcome);
            }
            // The id was given to a new command between our look at the ring and the kernel's.
            Expected::Broken(_) if !broken && self.was_new(id) => {
                self.count_pending(Outcome::Tolerated);
                self.report.count(phase, class, Outcome::Unjudged);
            }
            Expected::Broken(reason) => {
                self.complain(
                    class,
                    &status,
                    &format!("expected {reason:?}, cleaned {cleaned}"),
                );
                self.count_pending(Outcome::Unjudged);
            }
        }
        self.after_break(&status)
    }

    /// Whether a command with this id has come by now.
    fn was_new(&mut self, id: Option<u16>) -> bool {
        let read = self.read_new(Instant::now());
        read.is_ok() && id.is_some_and(|id| self.view.is_outstanding(id))
    }

    /// A broken ring stays broken whatever the tail says; then it is reset.
    fn after_break(&mut self, status: &Status) -> anyhow::Result<()> {
        if status.is_broken() {
            // Scribblers break it again and again: that says nothing of the time to recover.
            self.broken_since = match self.phase.1.scribbles() {
                true => None,
                false => self.broken_since.or_else(|| Some(Instant::now())),
            };
            if self.noise.random_bool(0.5) {
                let tail = match self.noise.random_range(0..3) {
                    0 => self.view.next(),
                    1 => 0,
                    _ => interesting(&mut self.noise),
                };
                if let Some(after) = self.tell(tail)? {
                    if !after.is_broken() {
                        self.complain(Class::RandomTail, &after, "the ring repaired itself");
                    }
                }
            }
        }
        self.reset()
    }

    /// The ring contradicts the uapi.
    pub(super) fn lost_track(&mut self, why: &str) -> anyhow::Result<()> {
        if !self.phase.1.scribbles() {
            // Nobody but the kernel and we write now.
            if let Some(status) = self.control.status() {
                self.complain(
                    Class::Honest,
                    &status,
                    &format!("the ring makes no sense: {why}"),
                );
            }
        }
        self.report.lost += 1;
        self.reset()
    }

    /// Empties the ring and starts over.
    pub(super) fn reset(&mut self) -> anyhow::Result<()> {
        self.count_pending(Outcome::Unjudged);
        let level = if self.noise.random_bool(0.25) { 2 } else { 1 };
        let blocked = self.noise.random_bool(0.25);
        self.control.reset(level, blocked)?;
        self.report.resets += 1;
        self.view.reset();
        self.told = 0;
        // The scribblers may have broken it again.
        if !self.phase.1.scribbles() {
            if let Some(status) = self.control.status().filter(Status::is_broken) {
                self.complain(Class::Honest, &status, "reset_ring did not repair the ring");
            }
        }
        Ok(())
    }

    /// Checks what the kernel said to free_kept_buf.
    pub(super) fn judge_freed(&mut self, id: u16, freed: bool, kept: bool) -> anyhow::Result<()> {
        // Among scribblers the id may have been another one when the kernel read it.
        if freed != kept && !self.phase.1.scribbles() {
            if let Some(status) = self.control.status() {
                let what = format!("free_kept_buf of {id} said {freed}, expected {kept}");
                self.complain(Class::KeepBuf, &status, &what);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart() {
        let status = |text: &str| Status::from(format!("broken_reason {text}").as_str());
        let tail = status("cmd_tail 12 is not the start of an entry on it");
        let unknown = status("completion of cmd_id 12, which is not on it");
        let kept = status("second completion of cmd_id 12, kept with KEEP_BUF");
        for (reason, index) in [
            (Reason::Tail(12), 0),
            (Reason::Unknown(12), 1),
            (Reason::Kept(12), 2),
        ] {
            let found = [&tail, &unknown, &kept].map(|status| reason.is_in(status));
            assert!(
                (0..3).all(|n| found[n] == (n == index)),
                "{reason:?}: {found:?}"
            );
        }
        assert!(!Reason::Tail(1).is_in(&tail) && !Reason::Unknown(1).is_in(&unknown));
    }
}
