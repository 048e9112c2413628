// SPDX-License-Identifier: GPL-2.0

//! Other rules for the logic: what shows that the model check can fail.

use mutation::Mutation;

/// All of them. The first three rules are those of the C module (`target_core_user.c`).
pub(crate) const MUTATIONS: &[Mutation] = &[
    // queue_cmd_ring() looks at qfull_queue, and not at tmr_queue.
    Mutation {
        rule: "LookOnlyAtQfull",
        file: "engine/submit.rs",
        from: "if self.tmrs.is_empty() && self.qfull.is_empty() {",
        to: "if (ON || self.tmrs.is_empty()) && self.qfull.is_empty() {",
    },
    // xa_alloc() gives the lowest id that no command has, whether or not a TMR lists it.
    Mutation {
        rule: "LowestFreeId",
        file: "ids.rs",
        from: "let id = self.free_first;
",
        to: "let mut all = (1..).zip(&self.ids[1..]);
        let lowest = all.find_map(|(id, entry)| entry.command.is_none().then_some(id));
        if let (true, Some(id)) = (ON, lowest) {
            self.ids[usize::from(id)].command = Some(slot);
            self.taken += 1;
            return id;
        }
        let id = self.free_first;
",
    },
    Mutation {
        rule: "LowestFreeId",
        file: "ids.rs",
        from: "if !entry.listed {
            self.put_free(id);",
        to: "if ON {
            self.taken -= 1;
        } else if !entry.listed {
            self.put_free(id);",
    },
    Mutation {
        rule: "LowestFreeId",
        file: "ids.rs",
        from: "if entry.command.is_none() {
                self.put_free(id);",
        to: "if entry.command.is_none() && !ON {
                self.put_free(id);",
    },
    // tcmu_tmr_notify() allocates the TMR, and drops it if that fails.
    Mutation {
        rule: "AllocateWhenAnnounced",
        file: "engine/tmr.rs",
        from: "if notify {
            self.tmrs.push(kind, ids);",
        to: "let lost = ON && self.tmrs.reserve(usize::from(u16::MAX)).is_err();
        if notify && !lost {
            self.tmrs.push(kind, ids);",
    },
    // The rest are plain mistakes, one for each property that is left.
    Mutation {
        rule: "TimeOutNotification",
        file: "engine/timeout.rs",
        from: "self.next_deadline = next;
",
        to: "self.next_deadline = next;
        if ON {
            self.tmrs.pop();
        }
",
    },
    Mutation {
        rule: "StartAborted",
        file: "engine/submit.rs",
        from: "    if command.is_aborted() {
                // P5",
        to: "    if command.is_aborted() && !ON {
                // P5",
    },
    Mutation {
        rule: "ListOnlyTheFirst",
        file: "engine/tmr.rs",
        from: "if notify {
                        self.ids.list",
        to: "if notify && (ids.is_empty() || !ON) {
                        self.ids.list",
    },
    Mutation {
        rule: "ForgetTimedOut",
        file: "engine/timeout.rs",
        from: "self.completer.complete(command, status);",
        to: "if ON {
                    core::mem::forget(command);
                } else {
                    self.completer.complete(command, status);
                }",
    },
];
