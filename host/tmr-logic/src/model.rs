// SPDX-License-Identifier: GPL-2.0

//! A model of the tasks that task management makes wait for each other.
//!
//! A step of the model is what the kernel does under one lock. Commands come in at any time, in
//! their order; submission queues execute what they have, one command after the other; resets and
//! an ABORT_TASK run beside them; the backend completes any plain command at any time, but for a
//! write whose data never come: the backend does not get that.

use crate::logic::{self, Cause, Found, Kind, Phase, Wait, ISID_LEN};

/// What the model lets a test change, to see that the rule is needed.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) wait_for_command: fn(Cause, Kind, bool) -> Wait,
    pub(crate) wait_for_request: fn(Cause, Phase) -> Wait,
    /// A PREEMPT AND ABORT waits for submission queues though it runs inside of one.
    pub(crate) flush_inside: bool,
    /// Submission queues are waited for after the reset mutex was taken.
    pub(crate) flush_with_mutex: bool,
    /// A reset looks at requests before it takes commands.
    pub(crate) requests_first: bool,
    /// An ABORT_TASK that was overtaken is answered at once when it finds nothing.
    pub(crate) overtaken_is_hasty: bool,
}

/// The rules of the driver.
pub(crate) const RULES: Rules = Rules {
    wait_for_command: logic::wait_for_command,
    wait_for_request: logic::wait_for_request,
    flush_inside: false,
    flush_with_mutex: false,
    requests_first: false,
    overtaken_is_hasty: false,
};

/// Number of a task in [`State::tasks`].
pub(crate) type Task = usize;

/// A SCSI command or a task management request.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TaskState {
    pub(crate) kind: Kind,
    pub(crate) nexus: u64,
    queue: usize,
    bits: u32,
    /// On a state list, or on the list of requests.
    listed: bool,
    entered: bool,
    pub(crate) done: bool,
    phase: Phase,
    /// A LUN_RESET, which no other reset aborts.
    reset: bool,
    /// It has been sent to the backend, or will be.
    sent: bool,
    /// It may never end: its initiator has fallen silent, or it waits for what has.
    excused: bool,
}

/// What an actor does next.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Step {
    Begin,
    Flush(usize),
    Lock,
    MeetRequests,
    MarkCommands(usize),
    CollectRequests,
    WaitNow,
    WaitLater,
    Search(usize),
    Wait(Task),
    WaitForMutex,
    Next,
    End,
}

/// A LUN_RESET, a PREEMPT AND ABORT in a submission queue, or an ABORT_TASK.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Run {
    task: Task,
    step: Step,
    inside: bool,
    locked: bool,
    preempts: Option<u64>,
    referenced: Option<Task>,
    now: Vec<Task>,
    later: Vec<Task>,
    /// Plain commands that must be gone when it ends.
    obliged: Vec<Task>,
}

/// A submission queue: what will come in, what has, and the PREEMPT AND ABORT that runs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Queue {
    incoming: Vec<Task>,
    batch: Vec<Task>,
    running: Option<Run>,
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(crate) tasks: Vec<TaskState>,
    queues: Vec<Queue>,
    runs: Vec<Run>,
    mutex: bool,
}

impl State {
    /// Nothing but empty submission queues.
    pub(crate) fn new(queues: usize) -> Self {
        let queue = Queue {
            incoming: Vec::new(),
            batch: Vec::new(),
            running: None,
        };
        Self {
            tasks: Vec::new(),
            queues: vec![queue; queues],
            runs: Vec::new(),
            mutex: false,
        }
    }

    fn add_task(&mut self, kind: Kind, nexus: u64, queue: usize) -> Task {
        self.tasks.push(TaskState {
            kind,
            nexus,
            queue,
            bits: 0,
            listed: false,
            entered: false,
            done: false,
            phase: Phase::Searching,
            reset: false,
            sent: true,
            excused: false,
        });
        self.tasks.len() - 1
    }

    /// Lets a command come in some time.
    pub(crate) fn submit(&mut self, kind: Kind, nexus: u64, queue: usize) -> Task {
        let task = self.add_task(kind, nexus, queue);
        self.queues[queue].incoming.push(task);
        task
    }

    /// Lets a write come in some time whose data never come.
    pub(crate) fn submit_without_data(&mut self, nexus: u64, queue: usize) -> Task {
        let task = self.submit(Kind::Plain, nexus, queue);
        self.tasks[task].sent = false;
        self.tasks[task].excused = true;
        task
    }

    /// Starts an ABORT_TASK.
    pub(crate) fn abort(&mut self, nexus: u64, referenced: Task) {
        self.request(nexus, Some(referenced));
    }

    /// Starts a LUN_RESET that waits for a write whose data never come.
    pub(crate) fn excused_reset(&mut self, nexus: u64) {
        self.reset(nexus);
        if let Some(task) = self.tasks.last_mut() {
            task.excused = true;
        }
    }

    /// Starts a LUN_RESET.
    pub(crate) fn reset(&mut self, nexus: u64) {
        self.request(nexus, None);
    }

    fn request(&mut self, nexus: u64, referenced: Option<Task>) {
        let task = self.add_task(Kind::TaskManagement, nexus, 0);
        self.tasks[task].excused = referenced.is_some_and(|other| self.tasks[other].excused);
        self.tasks[task].listed = true;
        self.tasks[task].reset = referenced.is_none();
        self.runs.push(Run::new(task, false, None, referenced));
    }

    /// Tells whether there is nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.tasks.iter().all(|task| task.done || task.excused)
    }

    /// All states that one step leads to.
    pub(crate) fn successors(&self, rules: &Rules) -> Vec<State> {
        let mut next = Vec::new();
        for task in 0..self.tasks.len() {
            let plain = &self.tasks[task];
            if plain.kind == Kind::Plain && plain.entered && plain.sent && !plain.done {
                let mut state = self.clone();
                state.end(task);
                next.push(state);
            }
        }
        for queue in 0..self.queues.len() {
            if !self.queues[queue].incoming.is_empty() {
                let mut state = self.clone();
                let task = state.queues[queue].incoming.remove(0);
                state.queues[queue].batch.push(task);
                next.push(state);
            }
            let mut state = self.clone();
            if state.step_queue(queue, rules) {
                next.push(state);
            }
        }
        for run in 0..self.runs.len() {
            let mut state = self.clone();
            let mut moved = state.runs[run].clone();
            if state.step(&mut moved, rules) {
                state.runs[run] = moved;
                next.push(state);
            }
        }
        next
    }

    fn end(&mut self, task: Task) {
        self.tasks[task].done = true;
        self.tasks[task].listed = false;
    }

    fn is_idle(&self, queue: usize) -> bool {
        self.queues[queue].batch.is_empty() && self.queues[queue].running.is_none()
    }

    fn step_queue(&mut self, queue: usize, rules: &Rules) -> bool {
        if let Some(mut run) = self.queues[queue].running.take() {
            let moved = self.step(&mut run, rules);
            self.queues[queue].running = (run.step != Step::Next).then_some(run);
            return moved;
        }
        if self.queues[queue].batch.is_empty() {
            return false;
        }
        let task = self.queues[queue].batch.remove(0);
        self.tasks[task].listed = true;
        self.tasks[task].entered = true;
        if self.tasks[task].kind == Kind::PreemptAndAbort {
            // The other of two nexuses.
            let preempts = 1 - self.tasks[task].nexus;
            self.queues[queue].running = Some(Run::new(task, true, Some(preempts), None));
        }
        true
    }

    /// Aborts a task. Returns whether it was not too late.
    fn mark(&mut self, task: Task) -> bool {
        let sent = if self.tasks[task].sent {
            logic::SENT
        } else {
            0
        };
        match logic::find(self.tasks[task].bits | sent, false, true) {
            Found::Abortable { state, .. } => self.tasks[task].bits = state,
            Found::Ending | Found::TooLate => return false,
        }
        true
    }

    fn reached(&self, run: &Run, task: Task) -> bool {
        let nexus = self.tasks[task].nexus;
        task != run.task
            && logic::reaches_nexus(run.cause(), nexus == self.tasks[run.task].nexus)
            && run.preempts.is_none_or(|preempted| {
                logic::registers(preempted == nexus, None, || [0; ISID_LEN])
            })
    }

    /// One step of a run; false if it has to wait.
    fn step(&mut self, run: &mut Run, rules: &Rules) -> bool {
        match run.step.clone() {
            Step::Begin => {
                let flush = rules.flush_inside || !run.inside;
                run.step = if run.referenced.is_some() || flush && !rules.flush_with_mutex {
                    Step::Flush(0)
                } else {
                    Step::Lock
                };
            }
            Step::Flush(queue) if queue == self.queues.len() => {
                run.step = match run.referenced {
                    Some(_) => Step::Search(0),
                    None if run.locked => Step::MeetRequests,
                    None => Step::Lock,
                };
            }
            Step::Flush(queue) => {
                if !self.is_idle(queue) {
                    return false;
                }
                run.step = Step::Flush(queue + 1);
            }
            Step::Lock => {
                if self.mutex {
                    return false;
                }
                self.mutex = true;
                run.locked = true;
                let flush = rules.flush_with_mutex && (rules.flush_inside || !run.inside);
                run.step = if flush {
                    Step::Flush(0)
                } else {
                    Step::MeetRequests
                };
            }
            Step::MeetRequests => {
                self.meet_requests(run);
                if rules.requests_first {
                    self.collect_requests(run, rules);
                }
                run.step = Step::MarkCommands(0);
            }
            Step::MarkCommands(queue) if queue == self.queues.len() => {
                run.step = Step::CollectRequests;
            }
            Step::CollectRequests => {
                if !rules.requests_first {
                    self.collect_requests(run, rules);
                }
                run.step = Step::WaitNow;
            }
            Step::MarkCommands(queue) => {
                self.mark_commands(run, queue, rules);
                run.step = Step::MarkCommands(queue + 1);
            }
            Step::WaitNow | Step::WaitLater => {
                let now = run.step == Step::WaitNow;
                let waiting = if now { &mut run.now } else { &mut run.later };
                match waiting.first() {
                    Some(&task) if !self.tasks[task].done => return false,
                    Some(_) => drop(waiting.remove(0)),
                    None if now => {
                        self.mutex = false;
                        run.step = Step::WaitLater;
                    }
                    None => run.step = Step::End,
                }
            }
            Step::Search(queue) if queue == self.queues.len() => {
                let overtaken = self.tasks[run.task].phase == Phase::Overtaken;
                run.step = if overtaken && !rules.overtaken_is_hasty {
                    Step::WaitForMutex
                } else {
                    Step::End
                };
            }
            Step::WaitForMutex => {
                if self.mutex {
                    return false;
                }
                run.step = Step::End;
            }
            Step::Search(queue) => run.step = self.search(run, queue),
            Step::Wait(task) => {
                if !self.tasks[task].done {
                    return false;
                }
                run.step = Step::End;
            }
            Step::End => {
                for &task in &run.obliged {
                    assert!(
                        self.tasks[task].done,
                        "task {} is answered while command {task} still runs",
                        run.task
                    );
                }
                self.end(run.task);
                run.step = Step::Next;
            }
            Step::Next => return false,
        }
        true
    }

    /// Whether a task is an ABORT_TASK that a reset reaches.
    fn meets(&self, run: &Run, task: Task) -> bool {
        let request = &self.tasks[task];
        request.kind == Kind::TaskManagement
            && !request.reset
            && request.listed
            && self.reached(run, task)
    }

    fn meet_requests(&mut self, run: &mut Run) {
        // Whatever plain command is in the task set now has to be gone when the run ends.
        for task in 0..self.tasks.len() {
            let state = &self.tasks[task];
            let there = state.kind == Kind::Plain && state.entered && !state.done;
            if there && state.sent && self.reached(run, task) {
                run.obliged.push(task);
            }
        }
        for task in 0..self.tasks.len() {
            if !self.meets(run, task) {
                continue;
            }
            if self.tasks[task].nexus == self.tasks[run.task].nexus {
                self.mark(task);
            } else if self.tasks[task].phase == Phase::Searching {
                self.tasks[task].phase = Phase::Overtaken;
            }
        }
    }

    fn collect_requests(&mut self, run: &mut Run, rules: &Rules) {
        for task in 0..self.tasks.len() {
            if !self.meets(run, task) {
                continue;
            }
            match (rules.wait_for_request)(run.cause(), self.tasks[task].phase) {
                Wait::WithMutex => run.now.push(task),
                Wait::AfterMutex => run.later.push(task),
                Wait::Never => {}
            }
        }
    }

    fn mark_commands(&mut self, run: &mut Run, queue: usize, rules: &Rules) {
        for task in 0..self.tasks.len() {
            let command = &self.tasks[task];
            let skip =
                command.kind == Kind::TaskManagement || command.queue != queue || !command.listed;
            if skip || !self.reached(run, task) || !self.mark(task) {
                continue;
            }
            let (kind, sent) = (self.tasks[task].kind, self.tasks[task].sent);
            let waiting = match (rules.wait_for_command)(run.cause(), kind, sent) {
                Wait::WithMutex => &mut run.now,
                Wait::AfterMutex => &mut run.later,
                Wait::Never => continue,
            };
            waiting.push(task);
            self.tasks[task].listed = false;
        }
    }

    fn search(&mut self, run: &mut Run, queue: usize) -> Step {
        let Some(task) = run.referenced else {
            return Step::End;
        };
        let found = &self.tasks[task];
        let taken = found.entered && !found.done && !found.listed;
        let overtaken = self.tasks[run.task].phase == Phase::Overtaken;
        let sent = found.kind == Kind::Plain && found.sent;
        if sent && found.queue == queue && taken && overtaken {
            // The answer will be FUNCTION COMPLETE, which says that the command is gone.
            run.obliged.push(task);
        }
        let same_nexus = found.nexus == self.tasks[run.task].nexus;
        let is_request = found.kind == Kind::TaskManagement;
        if found.queue != queue
            || !found.listed
            || !logic::abort_task_means(same_nexus, is_request, 1, 1)
        {
            return Step::Search(queue + 1);
        }
        if self.tasks[run.task].bits & logic::ABORTED != 0 {
            return Step::End;
        }
        self.tasks[run.task].phase = Phase::on(found.kind, found.sent);
        if !self.mark(task) {
            return Step::Search(queue + 1);
        }
        self.tasks[task].listed = false;
        Step::Wait(task)
    }
}

impl Run {
    fn new(task: Task, inside: bool, preempts: Option<u64>, referenced: Option<Task>) -> Self {
        Self {
            task,
            step: Step::Begin,
            inside,
            locked: false,
            preempts,
            referenced,
            now: Vec::new(),
            later: Vec::new(),
            obliged: Vec::new(),
        }
    }

    fn cause(&self) -> Cause {
        match self.preempts {
            Some(_) => Cause::PreemptAndAbort,
            None => Cause::LunReset,
        }
    }
}
