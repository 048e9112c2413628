// SPDX-License-Identifier: GPL-2.0

//! Mistakes that the logic does not have: what shows that the tests can fail.

use mutation::Mutation;

/// All of them: first those of the memory order, each barrier once.
pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        rule: "PutWithoutBarrier",
        file: "ring.rs",
        from: "smp_mb(Full);
        space.wake();
        Ok(())",
        to: "if !ON {
            smp_mb(Full);
        }
        space.wake();
        Ok(())",
    },
    Mutation {
        rule: "WaitWithoutBarrier",
        file: "ring.rs",
        from: "smp_mb(Full);
        self.look();",
        to: "if !ON {
            smp_mb(Full);
        }
        self.look();",
    },
    Mutation {
        rule: "WaitWithoutLook",
        file: "ring.rs",
        from: "if !self.full() {
            space.wake();",
        to: "if !ON && !self.full() {
            space.wake();",
    },
    Mutation {
        rule: "ReleasedIsNotReleased",
        file: "ring.rs",
        from: "self.ring.released.0.store(self.released.count, Release);",
        to: "if ON {
            self.ring.released.0.store(self.released.count, Relaxed);
        } else {
            self.ring.released.0.store(self.released.count, Release);
        }",
    },
    Mutation {
        rule: "ReleasedIsNotAcquired",
        file: "ring.rs",
        from: "self.released = self.ring.released.0.load(Acquire);",
        to: "self.released = if ON {
            self.ring.released.0.load(Relaxed)
        } else {
            self.ring.released.0.load(Acquire)
        };",
    },
    Mutation {
        rule: "PostedIsNotReleased",
        file: "ring.rs",
        from: "self.ring.posted.0.store(self.posted, Release);",
        to: "if ON {
            self.ring.posted.0.store(self.posted, Relaxed);
        } else {
            self.ring.posted.0.store(self.posted, Release);
        }",
    },
    Mutation {
        rule: "PostedIsNotAcquired",
        file: "ring.rs",
        from: "let posted = self.ring.posted.0.load(Acquire);",
        to: "let posted = if ON {
            self.ring.posted.0.load(Relaxed)
        } else {
            self.ring.posted.0.load(Acquire)
        };",
    },
    Mutation {
        rule: "CountsAreNotAcquired",
        file: "ring.rs",
        from: "let released = self.released.0.load(Acquire);",
        to: "let released = if ON {
            self.released.0.load(Relaxed)
        } else {
            self.released.0.load(Acquire)
        };",
    },
    Mutation {
        rule: "PublishedTooEarly",
        file: "ring.rs",
        from: "while self.released.count != end.count {",
        to: "if ON {
            self.ring.released.0.store(end.count, Release);
        }
        while self.released.count != end.count {",
    },
    // What one thread alone finds.
    Mutation {
        rule: "OneTooMany",
        file: "ring.rs",
        from: "self.taken.count.wrapping_sub(self.released) >= self.ring.number",
        to: "self.taken.count.wrapping_sub(self.released) >= self.ring.number + usize::from(ON)",
    },
    Mutation {
        rule: "OneTooFew",
        file: "ring.rs",
        from: "if self.full() {
            self.look();",
        to: "if ON && self.taken.count.wrapping_sub(self.ring.released.0.load(Acquire)) + 1
            >= self.ring.number
        {
            self.wait(space);
            return None;
        }
        if self.full() {
            self.look();",
    },
    Mutation {
        rule: "LastPlaceIsNotUsed",
        file: "ring.rs",
        from: "if next < number {",
        to: "if next < number - usize::from(ON) {",
    },
    Mutation {
        rule: "LooksBeyond",
        file: "ring.rs",
        from: "if end.count == posted {",
        to: "if end.count == posted.wrapping_add(usize::from(ON)) {",
    },
    Mutation {
        rule: "ReleasesWhatItLooksAt",
        file: "ring.rs",
        from: "let found = is_this(&self.ring.contexts, end.slot);",
        to: "let found = is_this(&self.ring.contexts, end.slot);
            if ON && !found {
                release(self.ring.ended(end.slot));
            }",
    },
    Mutation {
        rule: "UngetsAnything",
        file: "ring.rs",
        from: "|| last.slot != slot {",
        to: "|| (!ON && last.slot != slot) {",
    },
    Mutation {
        rule: "UngetsWhatIsPosted",
        file: "ring.rs",
        from: "if self.taken.count == self.posted ||",
        to: "if (!ON && self.taken.count == self.posted) ||",
    },
    Mutation {
        rule: "UngetDoesNotWake",
        file: "ring.rs",
        from: "self.taken = last;
        space.wake();",
        to: "self.taken = last;
        if !ON {
            space.wake();
        }",
    },
    Mutation {
        rule: "CloseForgetsWhatIsNotPosted",
        file: "ring.rs",
        from: "while position.count != self.taken.count {",
        to: "while position.count != if ON { self.posted } else { self.taken.count } {",
    },
    Mutation {
        rule: "ClosesAnotherRing",
        file: "ring.rs",
        from: "if !ptr::eq(",
        to: "if !ON && !ptr::eq(",
    },
    Mutation {
        rule: "LoadsTheExcess",
        file: "signal.rs",
        from: "self.left = self.batch;",
        to: "self.left = if ON {
                    self.batch.min(wrs.wrapping_sub(self.left))
                } else {
                    self.batch
                };",
    },
    Mutation {
        rule: "IgnoresMust",
        file: "signal.rs",
        from: "Some(left) if !must => {",
        to: "Some(left) if ON || !must => {",
    },
    Mutation {
        rule: "BatchFillsTheRing",
        file: "signal.rs",
        from: "contexts.saturating_sub(1)",
        to: "contexts.saturating_sub(usize::from(!ON))",
    },
];

/// For `tests/wrap`: the counts of Sends begin where they are about to wrap, which is no mistake.
pub(crate) const WRAP: &[Mutation] = &[
    Mutation {
        rule: "",
        file: "ring.rs",
        from: "const START: Self = Self {
        count: 0,",
        to: "const START: Self = Self {
        count: usize::MAX - 2,",
    },
    Mutation {
        rule: "CountsDoNotWrap",
        file: "ring.rs",
        from: "self.taken.count.wrapping_sub(self.released) >=",
        to: "(if ON {
            self.taken.count.saturating_sub(self.released)
        } else {
            self.taken.count.wrapping_sub(self.released)
        }) >=",
    },
];
