// SPDX-License-Identifier: GPL-2.0

//! Engine, user space and reference side by side; each step is checked.

use super::command::{Reply, Request, Token};
use super::host::TestHost;
use super::memory::{growths, refuse, take_refused, was_refused, TestMemory};
use super::model::{Known, Model, Observed, Place};
use super::properties::Properties;
use super::space::Plan;
use super::user::{Completion, User};
use super::TestEngine;
use crate::logic::engine::submit::Submitted;
use crate::logic::engine::{Config, Engine, Refusal, ResetStatus};
use crate::logic::ops::Direction;
use crate::logic::timeouts::{QfullTimeout, Timeouts};
use crate::logic::tmr_queue::TmrKind;

/// Something that happens. Numbers choose among what there is, modulo its count.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// LIO submits a command.
    Submit {
        direction: Direction,
        data_length: u32,
        bidi_length: Option<u32>,
        cdb_length: usize,
        aborted: bool,
        may_wait: bool,
    },
    /// LIO submits as many of the smallest commands.
    Fill(u32),
    /// User space completes a command.
    Complete(usize, Completion),
    /// User space gives back padding and notifications.
    Skip,
    /// User space calls the kernel.
    Kick,
    /// User space writes any `cmd_tail`.
    Jump(u32),
    /// User space moves `cmd_tail` to the start of an entry without completing what is before.
    JumpToEntry(usize),
    /// User space completes a command that has never been, or any command.
    CompleteId(u16),
    /// User space completes a command that it kept.
    CompleteKept(usize),
    /// User space overwrites entries.
    Scribble(u64),
    /// User space overwrites eight bytes of the ring, anywhere.
    Overwrite(u32, u64),
    /// LIO sets `CMD_T_ABORTED`, for each command whose bit is set.
    Abort(u64),
    /// LIO tells the backend about the aborted commands; `repeat` names each twice.
    TaskManagement {
        kind: usize,
        notify: bool,
        repeat: bool,
    },
    /// So many seconds pass and the timer runs.
    Elapse(u64),
    Block,
    Unblock,
    Reset(ResetStatus),
    FreeKept(usize),
    FreeId(u16),
    FreeAllKept,
    /// The worker takes back the memory of free blocks.
    Reclaim,
    /// The nth allocation of book-keeping from now on fails.
    RefuseGrowth(u32),
    /// The nth allocation of data pages from now on fails.
    RefusePopulate(u32),
}

/// All kinds of notifications with their numbers in the uapi header.
pub(crate) const KINDS: [(TmrKind, u8); 9] = [
    (TmrKind::Unknown, 0),
    (TmrKind::AbortTask, 1),
    (TmrKind::AbortTaskSet, 2),
    (TmrKind::ClearAca, 3),
    (TmrKind::ClearTaskSet, 4),
    (TmrKind::LunReset, 5),
    (TmrKind::TargetWarmReset, 6),
    (TmrKind::TargetColdReset, 7),
    (TmrKind::LunResetPro, 128),
];

/// Status GOOD, nothing else.
pub(crate) const GOOD: Completion = Completion {
    status: 0,
    keep_buf: false,
    read_len: None,
    unknown_op: false,
};

/// Engine and what surrounds it.
pub(crate) struct Rig {
    pub(crate) engine: TestEngine,
    pub(crate) host: TestHost,
    pub(crate) user: User,
    pub(crate) model: Model,
    properties: Properties,
    /// The time in seconds: the engine counts milliseconds, and its deadlines are full seconds.
    pub(crate) now: u64,
    /// `cmd_time_out` in seconds.
    pub(crate) command_time: Option<u64>,
    /// `qfull_time_out` in seconds.
    pub(crate) qfull_time: u64,
    /// Number of growths granted before the engine was made.
    pub(crate) growths: u64,
    /// All answers.
    pub(crate) answers: Vec<(Token, Reply)>,
}

impl Rig {
    pub(crate) fn new(config: &Config, command_time: Option<u64>) -> Self {
        refuse(0);
        take_refused();
        let growths = growths();
        let host = TestHost::new(config);
        let engine = match Engine::<_, TestMemory>::new(config, host.completer()) {
            Ok(engine) => engine,
            Err(error) => panic!("{error:?}"),
        };
        Self {
            engine,
            host,
            user: User::default(),
            model: Model::new(config),
            properties: Properties::default(),
            now: 1000,
            command_time,
            qfull_time: 50,
            growths,
            answers: Vec::new(),
        }
    }

    fn deadline(&self) -> Option<u64> {
        self.command_time.map(|time| self.now + time)
    }

    /// Tells the engine the time, as each access to a device begins.
    fn set_clock(&mut self, may_wait: bool) {
        let timeouts = Timeouts {
            command_ms: self.command_time.map_or(0, |time| time as u32 * 1000),
            qfull: if may_wait {
                QfullTimeout::Ms(self.qfull_time as u32 * 1000)
            } else {
                QfullTimeout::Never
            },
        };
        self.engine.set_clock(self.now * 1000, timeouts);
    }

    /// When the engine wants to be called next, in seconds.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let deadline = self.engine.next_deadline()?;
        assert_eq!(deadline % 1000, 0);
        Some(deadline / 1000)
    }

    /// Does `action`; says whether there was anything to do.
    pub(crate) fn step(&mut self, action: &Action) -> bool {
        let enabled = self.act(action);
        if enabled {
            self.check();
        }
        enabled
    }

    fn act(&mut self, action: &Action) -> bool {
        self.set_clock(true);
        match *action {
            Action::Submit {
                direction,
                data_length,
                bidi_length,
                cdb_length,
                aborted,
                may_wait,
            } => {
                let token = self.model.commands.len();
                let request = Request::new(token, cdb_length, direction, data_length, bidi_length);
                self.submit(request, aborted, may_wait);
            }
            Action::Fill(count) => {
                for _ in 0..count {
                    let token = self.model.commands.len();
                    self.submit(
                        Request::new(token, 6, Direction::None, 0, None),
                        false,
                        true,
                    );
                }
            }
            Action::Complete(nth, ref completion) => {
                let count = self.user.held.len();
                if count == 0 || !self.user.has_command_entry() {
                    return false;
                }
                self.user.complete(&mut self.host, nth % count, completion);
            }
            Action::Skip => self.user.skip(&mut self.host),
            Action::Kick => self.kick(),
            Action::Jump(tail) => self.user.jump(&mut self.host, tail),
            Action::JumpToEntry(nth) => {
                let Some(tail) = self.user.entry(nth) else {
                    return false;
                };
                self.user.jump(&mut self.host, tail);
            }
            Action::CompleteId(id) => self.user.respond(&mut self.host, id, &GOOD),
            Action::CompleteKept(nth) => {
                let kept = self.model.kept();
                if kept.is_empty() {
                    return false;
                }
                let id = kept[nth % kept.len()];
                self.user.respond(&mut self.host, id, &GOOD);
            }
            Action::Overwrite(offset, value) => {
                let offset = offset % (self.host.size() - 7);
                self.host.set_bytes(offset, &value.to_ne_bytes());
            }
            Action::Scribble(seed) => self.user.scribble(&mut self.host, seed),
            Action::Abort(mask) => return self.abort(mask),
            Action::TaskManagement {
                kind,
                notify,
                repeat,
            } => self.task_management(KINDS[kind % KINDS.len()], notify, repeat),
            Action::Elapse(seconds) => {
                self.now += seconds;
                self.set_clock(true);
                self.check_timeouts();
            }
            Action::Block => self.block(),
            Action::Unblock => {
                self.engine.unblock();
                self.model.blocked = false;
            }
            Action::Reset(status) => self.reset(status),
            Action::FreeKept(nth) => {
                let kept = self.model.kept();
                if kept.is_empty() {
                    return false;
                }
                self.free_kept(kept[nth % kept.len()]);
            }
            Action::FreeId(id) => self.free_kept(id),
            Action::FreeAllKept => self.free_all_kept(),
            Action::Reclaim => self.reclaim(),
            Action::RefuseGrowth(nth) => refuse(nth),
            Action::RefusePopulate(nth) => self.host.refuse_populate(nth),
        }
        true
    }

    /// What the engine has done since the last call.
    fn observe(&mut self) -> Observed {
        let populate_refused = self.host.take_populate_refused();
        let observed = Observed {
            entries: self.user.poll(&self.host).into(),
            answers: self.host.ledger().borrow_mut().take_answers(),
            refused: take_refused() || populate_refused,
        };
        self.properties.observed(
            &observed.entries,
            &observed.answers,
            &self.engine.counters(),
        );
        observed
    }

    /// The engine has done what the reference says, and nothing else.
    fn settle(&mut self, observed: Observed) {
        assert!(observed.entries.is_empty(), "{:?}", observed.entries);
        assert_eq!(
            observed.answers,
            self.model.take_answers(),
            "P7: LIO does not get the answers that it must get"
        );
        self.answers.extend(observed.answers);
    }

    fn submit(&mut self, request: Request, aborted: bool, may_wait: bool) {
        let token = self.model.commands.len();
        let deadline = self.deadline();
        let qfull_deadline = may_wait.then_some(self.now + self.qfull_time);
        self.model.add(request.clone());
        self.properties.submitted(aborted);
        let command = self.host.command(request, aborted);
        self.set_clock(may_wait);
        let result = self.engine.submit(&mut self.host, command);
        let result = result.map_err(|(command, refusal)| {
            assert_eq!(command.token, token);
            command.take_back();
            refusal
        });

        let mut observed = self.observe();
        if result.is_err() {
            self.properties.refused(token);
        }
        let model = &mut self.model;
        let wait = qfull_deadline
            .map(|_| Submitted::Qfull)
            .ok_or(Refusal::NoResources);
        let expected = if aborted {
            Err(Refusal::Aborted)
        } else if model.blocked {
            Err(Refusal::Blocked)
        } else if model.broken.is_some() {
            Err(Refusal::Broken)
        } else {
            if model.in_flight.is_empty() && !model.waiting.is_empty() {
                model.run_qfull(&self.host, deadline, &mut observed);
            }
            if !model.pending.is_empty() || !model.waiting.is_empty() {
                wait
            } else {
                match model.plan(token) {
                    Plan::Fits(_) => Ok(Submitted::OnRing),
                    Plan::TooBig => Err(Refusal::TooBig),
                    Plan::NoSpace => wait,
                }
            }
        };
        if observed.refused && result != expected {
            assert!(result == Err(Refusal::NoResources) || result == wait);
            model.starved = true;
        } else {
            assert_eq!(result, expected);
        }
        match (result, qfull_deadline) {
            (Ok(Submitted::OnRing), _) => {
                model.start(&self.host, token, deadline, aborted, &mut observed);
            }
            (Ok(Submitted::Qfull), Some(deadline)) => model.wait(token, deadline),
            _ => {}
        }
        self.settle(observed);
    }

    fn kick(&mut self) {
        let deadline = self.deadline();
        // The reference looks first: what is freed may be overwritten at once.
        let expected = if self.model.broken.is_some() {
            Ok(())
        } else {
            self.model.reap(&self.host)
        };
        let result = self.engine.handle_completions(&mut self.host);
        assert_eq!(result, expected);
        let mut observed = self.observe();
        self.model.run_qfull(&self.host, deadline, &mut observed);
        self.settle(observed);
    }

    /// Exactly the free blocks lose their memory.
    fn reclaim(&mut self) {
        let mut expected = self.host.populated().to_vec();
        for (bytes, taken) in expected.iter_mut().zip(self.model.space.taken()) {
            *bytes *= u32::from(*taken);
        }
        self.engine.reclaim(&mut self.host);
        assert_eq!(self.host.populated(), expected);
        let observed = self.observe();
        self.settle(observed);
    }

    fn abort(&mut self, mask: u64) -> bool {
        let mut any = false;
        for (nth, token) in self.model.unanswered().into_iter().enumerate() {
            let mut ledger = self.host.ledger().borrow_mut();
            if mask >> (nth % 64) & 1 != 0 && !ledger.is_aborted(token) {
                ledger.abort(token);
                self.properties.aborted(token);
                any = true;
            }
        }
        any
    }

    fn task_management(&mut self, kind: (TmrKind, u8), notify: bool, repeat: bool) {
        let ledger = self.host.ledger().clone();
        let mut aborted = self.model.unanswered();
        aborted.retain(|&token| ledger.borrow().is_aborted(token));
        if repeat {
            aborted.extend_from_within(..);
        }
        let slots: Vec<_> = aborted
            .iter()
            .filter_map(|&token| ledger.borrow().slot(token))
            .collect();
        assert_eq!(slots.len(), aborted.len());

        let deadline = self.deadline();
        let idle = self.model.waiting.is_empty();
        let before = growths();
        self.engine
            .tmr_notify(&mut self.host, kind.0, slots.into_iter(), notify);
        assert!(
            !idle || growths() == before,
            "a notification takes memory (P8)"
        );
        let broken = self.model.broken.is_some();
        self.properties.announced(kind.1, &aborted, notify, broken);
        if was_refused() {
            self.properties.starved();
        }
        self.model.task_management(kind.1, &aborted, notify);
        let mut observed = self.observe();
        self.model.run_qfull(&self.host, deadline, &mut observed);
        self.settle(observed);
    }

    fn check_timeouts(&mut self) {
        let deadline = self.deadline();
        self.engine.check_timeouts(&mut self.host);
        self.model.check_timeouts(self.now);
        let mut observed = self.observe();
        self.model.run_qfull(&self.host, deadline, &mut observed);
        self.settle(observed);
    }

    fn block(&mut self) {
        let was_blocked = std::mem::replace(&mut self.model.blocked, true);
        let expected = if was_blocked || self.model.broken.is_some() {
            Ok(())
        } else {
            self.model.reap(&self.host)
        };
        let result = self.engine.block(&mut self.host);
        assert_eq!(result, expected);
        let mut observed = self.observe();
        if !was_blocked {
            if self.model.broken.is_none() {
                self.model.run_tmrs(&mut observed);
            }
            self.model.fail_waiting();
        }
        self.settle(observed);
    }

    fn reset(&mut self, status: ResetStatus) {
        let deadline = self.deadline();
        self.user.reset();
        self.properties.reset();
        self.engine.reset_ring(&mut self.host, status);
        let reply = match status {
            ResetStatus::Busy => Reply::Busy,
            ResetStatus::CheckCondition => Reply::CheckCondition,
        };
        self.model.reset(&reply);
        let mut observed = self.observe();
        self.model.run_qfull(&self.host, deadline, &mut observed);
        self.settle(observed);
    }

    fn free_kept(&mut self, id: u16) {
        let deadline = self.deadline();
        let result = self.engine.free_kept(&mut self.host, id);
        assert_eq!(result, self.model.free_kept(id));
        let mut observed = self.observe();
        if result {
            self.model.run_qfull(&self.host, deadline, &mut observed);
        }
        self.settle(observed);
    }

    fn free_all_kept(&mut self) {
        let deadline = self.deadline();
        self.engine.free_all_kept(&mut self.host);
        let kept = self.model.kept();
        for &id in &kept {
            self.model.free_kept(id);
        }
        let mut observed = self.observe();
        if !kept.is_empty() {
            self.model.run_qfull(&self.host, deadline, &mut observed);
        }
        self.settle(observed);
    }

    /// What holds after each step.
    fn check(&mut self) {
        let model = &self.model;
        self.user.held.retain(|held| {
            matches!(
                model.commands[held.token].place,
                Place::InFlight(_) | Place::TimedOut(_)
            )
        });
        self.user.drop_released(model.space.released);
        assert_eq!(
            self.engine.wants_notify(),
            self.host.take_published(),
            "user space is woken for what is published, and for nothing else"
        );
        self.engine.set_notified();

        let seen = self.engine.snapshot();
        let counters = self.engine.counters();
        let waiting = model.pending.len() as u64;
        assert_eq!(
            (counters.announced, counters.delivered, counters.dropped),
            (model.announced, model.on_ring, model.dropped)
        );
        assert_eq!(
            counters.announced,
            counters.delivered + counters.dropped + waiting,
            "P2: a notification is lost"
        );

        let count = |wanted: fn(&Place) -> bool| {
            model
                .commands
                .iter()
                .filter(|known| wanted(&known.place))
                .count() as u32
        };
        assert_eq!(
            (seen.in_flight, seen.timed_out, seen.kept, seen.qfull),
            (
                count(|place| matches!(place, Place::InFlight(_))),
                count(|place| matches!(place, Place::TimedOut(_))),
                count(|place| matches!(place, Place::Kept(_))),
                count(|place| matches!(place, Place::Qfull)),
            ),
            "what debugfs shows"
        );
        assert_eq!(
            counters.queued,
            counters.completed
                + counters.timed_out
                + counters.aborted_qfull
                + counters.failed
                + u64::from(seen.in_flight + seen.qfull),
            "P7: a command is lost, or counted twice"
        );

        let unanswered = model.unanswered();
        assert_eq!(self.engine.has_outstanding(), !unanswered.is_empty());
        assert_eq!(self.engine.is_blocked(), model.blocked);
        let earliest = unanswered
            .iter()
            .filter_map(|&token| model.commands[token].deadline)
            .min();
        if let Some(earliest) = earliest {
            let next = self.next_deadline();
            assert!(
                next.is_some_and(|next| next <= earliest),
                "{next:?} is later than {earliest}"
            );
        }

        // P9: what could start is not left waiting for an event that cannot come.
        if let (Some(&token), None, false) = (
            model.waiting.front(),
            model.broken,
            model.starved || !model.in_flight.is_empty() || !model.pending.is_empty(),
        ) {
            assert!(
                matches!(model.plan(token), Plan::NoSpace),
                "command {token} is forgotten"
            );
        }
    }

    /// User space completes everything and LIO submits nothing more: nothing may be left.
    pub(crate) fn drain(&mut self) {
        refuse(0);
        self.host.refuse_populate(0);
        self.user.publish(&mut self.host);
        self.step(&Action::Unblock);
        self.step(&Action::Kick);
        if self.model.broken.is_some() {
            self.step(&Action::Reset(ResetStatus::Busy));
        }
        let mut rounds = self.model.unanswered().len() + self.model.pending.len() + 2;
        while rounds > 0 && !self.is_idle() {
            while self.step(&Action::Complete(0, GOOD)) {}
            self.step(&Action::Skip);
            self.step(&Action::Kick);
            assert_eq!(self.model.broken, None);
            self.step(&Action::FreeAllKept);
            rounds -= 1;
        }
        self.properties.finish();
        assert!(self.is_idle(), "something waits for ever");
        let gone = |known: &Known| known.place == Place::Gone;
        assert!(self.model.commands.iter().all(gone));
        assert!(!self.engine.has_outstanding());

        // One command gets the whole data area: no block is lost.
        let all = self.model.space.blocks() as u32 * self.model.space.block_size;
        let token = self.model.commands.len();
        let request = Request::new(token, 6, Direction::FromDevice, all, None);
        self.submit(request, false, false);
        assert!(matches!(
            self.model.commands[token].place,
            Place::InFlight(_)
        ));
        self.step(&Action::Complete(0, GOOD));
        self.step(&Action::Kick);
        assert!(self.is_idle());
        self.answers.pop();
    }

    /// Whether nothing is on the ring, waits for it or is kept.
    fn is_idle(&self) -> bool {
        self.model.space.is_empty()
            && self.model.pending.is_empty()
            && self.model.unanswered().is_empty()
            && self.model.kept().is_empty()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.host.ledger().borrow_mut().close();
    }
}
