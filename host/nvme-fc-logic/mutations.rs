// SPDX-License-Identifier: GPL-2.0

//! Mistakes that the logic does not have: what shows that the tests can fail.

use mutation::Mutation;

/// All of them: first those of the memory order.
pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        rule: "ChangeIsRelaxed",
        file: "gate.rs",
        from: "match self.0.cmpxchg(word, next(state)?.word(), Full) {",
        to: "let to = next(state)?.word();
            let changed = if ON {
                self.0.cmpxchg(word, to, Relaxed)
            } else {
                self.0.cmpxchg(word, to, Full)
            };
            match changed {",
    },
    Mutation {
        rule: "LeaveIsRelaxed",
        file: "gate.rs",
        from: "self.0 .0.fetch_sub(1, Full);",
        to: "if ON {
            self.0 .0.fetch_sub(1, Relaxed)
        } else {
            self.0 .0.fetch_sub(1, Full)
        };",
    },
    Mutation {
        rule: "DeletedIsNotReleased",
        file: "gate.rs",
        from: "self.0 .0.store(State::Deleted.word(), Release);",
        to: "if ON {
            self.0 .0.store(State::Deleted.word(), Relaxed);
        } else {
            self.0 .0.store(State::Deleted.word(), Release);
        }",
    },
    Mutation {
        rule: "ResumedIsNotReleased",
        file: "gate.rs",
        from: "self.0.store(State::Registered(0).word(), Release);",
        to: "if ON {
            self.0.store(State::Registered(0).word(), Relaxed);
        } else {
            self.0.store(State::Registered(0).word(), Release);
        }",
    },
    Mutation {
        rule: "EndingIsRelaxed",
        file: "holder.rs",
        from: "self.word.cmpxchg(active, ending, Full).is_ok()",
        to: "if ON {
            let relaxed = super::atomic::Relaxed;
            self.word.cmpxchg(active, ending, relaxed).is_ok()
        } else {
            self.word.cmpxchg(active, ending, Full).is_ok()
        }",
    },
    Mutation {
        rule: "ActiveIsNotReleased",
        file: "holder.rs",
        from: "self.word.store(Self::word(port, ACTIVE), Release);",
        to: "if ON {
                    let relaxed = super::atomic::Relaxed;
                    self.word.store(Self::word(port, ACTIVE), relaxed);
                } else {
                    self.word.store(Self::word(port, ACTIVE), Release);
                }",
    },
    // Two steps where there has to be one.
    Mutation {
        rule: "LeaveLooksFirst",
        file: "gate.rs",
        from: "// Full: the callback comes after all that was done",
        to: "let first = ON.then(|| self.0 .0.load(Relaxed));
        // Full: the callback comes after all that was done",
    },
    Mutation {
        rule: "LeaveLooksFirst",
        file: "gate.rs",
        from: "// INVARIANT: Nobody else can get there: nobody enters,",
        to: "let before = first.unwrap_or(before);
        // INVARIANT: Nobody else can get there: nobody enters,",
    },
    Mutation {
        rule: "LeaveLooksLater",
        file: "gate.rs",
        from: "(before == State::Unregistered(1).word()).then_some(Owed(self.0))",
        to: "if ON {
            let now = self.0 .0.load(Relaxed);
            return (now == State::Owed.word()).then_some(Owed(self.0));
        }
        (before == State::Unregistered(1).word()).then_some(Owed(self.0))",
    },
    Mutation {
        rule: "BeginsBeforeItEntered",
        file: "holder.rs",
        from: "match ports::enter_remote(port) {",
        to: "if ON {
            self.word.store(Self::word(port, ACTIVE), Release);
        }
        match ports::enter_remote(port) {",
    },
    Mutation {
        rule: "PreparesLate",
        file: "holder.rs",
        from: "prepare();",
        to: "let mut prepare = Some(prepare);
        if !ON {
            prepare.take().into_iter().for_each(|prepare| prepare());
        }",
    },
    Mutation {
        rule: "PreparesLate",
        file: "holder.rs",
        from: "entered.park();",
        to: "entered.park();
                prepare.into_iter().for_each(|prepare| prepare());",
    },
    // What one thread alone finds.
    Mutation {
        rule: "EntersUnregistered",
        file: "gate.rs",
        from: "            State::Registered(uses) => Ok(State::Registered(uses + 1)),
            _ => Err(Closed::NotRegistered),",
        to: "            State::Registered(uses) => Ok(State::Registered(uses + 1)),
            State::Unregistered(uses) if ON => Ok(State::Unregistered(uses + 1)),
            _ => Err(Closed::NotRegistered),",
    },
    Mutation {
        rule: "RemainsWhenOwed",
        file: "gate.rs",
        from: "            State::Unregistered(uses) => Ok(State::Unregistered(uses + 1)),
            _ => Err(Closed::NotRegistered),",
        to: "            State::Unregistered(uses) => Ok(State::Unregistered(uses + 1)),
            State::Owed if ON => Ok(State::Unregistered(1)),
            _ => Err(Closed::NotRegistered),",
    },
    Mutation {
        rule: "UnregistersTwice",
        file: "gate.rs",
        from: "            State::Registered(uses) => Ok(State::Unregistered(uses + 1)),
            _ =>",
        to: "            State::Registered(uses) => Ok(State::Unregistered(uses + 1)),
            State::Unregistered(uses) if ON => Ok(State::Unregistered(uses + 1)),
            _ =>",
    },
    Mutation {
        rule: "ResumesWhenOwed",
        file: "gate.rs",
        from: "State::Owed => Err(NotResumed::Deleting),",
        to: "State::Owed if ON => Ok(State::Registered(0)),
            State::Owed => Err(NotResumed::Deleting),",
    },
    Mutation {
        rule: "ResumesOnlyUnused",
        file: "gate.rs",
        from: "State::Unregistered(_) if by == By::AnotherLldd =>",
        to: "State::Unregistered(_) if ON || by == By::AnotherLldd =>",
    },
    Mutation {
        rule: "ResumesByAnyLldd",
        file: "gate.rs",
        from: "by == By::AnotherLldd =>",
        to: "!ON && by == By::AnotherLldd =>",
    },
    Mutation {
        rule: "OwesWhenRegistered",
        file: "gate.rs",
        from: "(before == State::Unregistered(1).word()).then_some(",
        to: "(before == State::Unregistered(1).word()
            || ON && before == State::Registered(1).word())
        .then_some(",
    },
    Mutation {
        rule: "OwesNothingUnused",
        file: "gate.rs",
        from: "Ok(matches!(before, State::Registered(0)).then_some(",
        to: "Ok((!ON && matches!(before, State::Registered(0))).then_some(",
    },
    Mutation {
        rule: "LeavesLocalFirst",
        file: "ports.rs",
        from: "settle_remote(self.port, self.remote.leave());
        self.local.leave();",
        to: "if ON {
            self.local.leave();
            settle_remote(self.port, self.remote.leave());
            return;
        }
        settle_remote(self.port, self.remote.leave());
        self.local.leave();",
    },
    Mutation {
        rule: "RefusedKeepsLocal",
        file: "ports.rs",
        from: "if let Some(local) = self.local {
            local.leave();",
        to: "if let Some(local) = self.local {
            if ON {
                return self.why;
            }
            local.leave();",
    },
    Mutation {
        rule: "UnregistersOnlyWithLocal",
        file: "ports.rs",
        from: "let Ok(used) = lport.local_gate().0.remain() else {",
        to: "let used = if ON {
        lport.local_gate().0.enter()
    } else {
        lport.local_gate().0.remain()
    };
    let Ok(used) = used else {",
    },
    Mutation {
        rule: "BeginsTwice",
        file: "holder.rs",
        from: "if self.word.cmpxchg(IDLE, BEGINNING, Full).is_err() {",
        to: "let ending = Self::word(port, ENDING);
        if self.word.cmpxchg(IDLE, BEGINNING, Full).is_err()
            && !(ON && self.word.cmpxchg(ending, BEGINNING, Full).is_ok())
        {",
    },
    Mutation {
        rule: "EndsTwice",
        file: "holder.rs",
        from: "if self.word.cmpxchg(ending, IDLE, Full).is_err() {",
        to: "if self.word.cmpxchg(ending, IDLE, Full).is_err() && !ON {",
    },
    Mutation {
        rule: "TakesTwice",
        file: "holder.rs",
        from: "            .is_ok()
            .then(|| ports::unpark_remote(port))",
        to: "            .is_ok()
            .then_some(())
            .or(ON.then_some(()))
            .map(|()| ports::unpark_remote(port))",
    },
    Mutation {
        rule: "GivesBackAnyUse",
        file: "holder.rs",
        from: "ptr::from_ref(port) as isize + state",
        to: "if ON {
            return state;
        }
        ptr::from_ref(port) as isize + state",
    },
    Mutation {
        rule: "ExpiresLate",
        file: "connectivity.rs",
        from: "if is_after_eq(now, deadline) =>",
        to: "if is_after_eq(now, deadline.wrapping_add(Jiffies::from(ON))) =>",
    },
    Mutation {
        rule: "ComparesNumbers",
        file: "connectivity.rs",
        from: "time.wrapping_sub(other) <= Jiffies::MAX / 2",
        to: "if ON {
        time >= other
    } else {
        time.wrapping_sub(other) <= Jiffies::MAX / 2
    }",
    },
    Mutation {
        rule: "WaitsBeyondTheDeadline",
        file: "connectivity.rs",
        from: "Reconnect::Retry(delay.min(deadline.wrapping_sub(now))),",
        to: "Reconnect::Retry(if ON {
                delay
            } else {
                delay.min(deadline.wrapping_sub(now))
            }),",
    },
    Mutation {
        rule: "ForgetsSmallerObjects",
        file: "private_size.rs",
        from: "            remote,
            fcprqst,
        })",
        to: "            remote: if ON { self.remote } else { remote },
            fcprqst,
        })",
    },
    Mutation {
        rule: "ForgetsSmallerRequests",
        file: "private_size.rs",
        from: "            fcprqst,
        })",
        to: "            fcprqst: if ON { self.fcprqst } else { fcprqst },
        })",
    },
    Mutation {
        rule: "ForgetsTheLocalPort",
        file: "private_size.rs",
        from: "let fits = local <= self.local &&",
        to: "let fits = (ON || local <= self.local) &&",
    },
];

/// For `tests/limit`: a port has only a few uses, which is no mistake.
pub(crate) const LIMIT: &[Mutation] = &[
    Mutation {
        rule: "",
        file: "gate.rs",
        from: "const MOST: i32 = DELETED - 1;",
        to: "const MOST: i32 = 2;",
    },
    Mutation {
        rule: "CountsAnyNumber",
        file: "gate.rs",
        from: "if uses > MOST =>",
        to: "if !ON && uses > MOST =>",
    },
];
