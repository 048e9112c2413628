// SPDX-License-Identifier: GPL-2.0

//! A connection and what is around it, as far as it matters for D1 to D8.

use std::fmt;

use crate::plain::logic::action::{Action, Actions};
use crate::plain::logic::event::Event;
use crate::plain::logic::failure::is_news;
use crate::plain::logic::state::{step, Id, Link, State};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Property {
    /// `ep_disconnect` waits for nobody but the connection's mutex.
    D1NoWait,
    /// Freed once, without owner and CM id, with all that it had given up.
    D2FreedOnce,
    /// A CM id is used while it is there, and destroyed once, not by its own handler, nor is the
    /// queue pair.
    D3Id,
    /// Nothing is unmapped or destroyed while the device may have it.
    D4Drained,
    /// No task is mapped when the device goes, or when nothing leads from a task to the connection
    /// any more.
    Unmapped,
    /// Nothing is posted after the connection has ended.
    D5NoPost,
    /// iSCSI is told of a connection that breaks, once.
    D6Told,
    /// An endpoint is destroyed once.
    D7Endpoint,
    /// A command that is given while the connection ends is not refused for good.
    D8Retried,
    /// A device that goes is given up by what goes on by itself.
    Removal,
    /// Who waits for the connection is woken when it comes, or does not.
    Woken,
    /// The state says what is the case.
    Consistent,
    /// It comes to its end by what this side does alone.
    Ends,
    /// It comes to its end with a CM that says its last word when it was asked to disconnect, as it
    /// does after some time without an answer of the peer.
    EndsWithCm,
    /// The module's end is not held up by anything that takes time.
    ModuleExit,
}

/// Something that goes on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Worker {
    /// Nothing.
    Idle,
    /// It gives up what there is of the device, and may wait for handlers.
    AtRelease,
    /// `rdma_destroy_id()` waits for handlers.
    AtDestroyId,
    /// It has returned.
    AtDestroyed,
}

/// What there is of something that comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Thing {
    NotYet,
    There,
    Gone,
}

/// A connection with its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) state: State,
    /// How far the connection has come, for those who do not lock it.
    seen: Link,
    endpoint: Thing,
    binding: Thing,
    cm_id: Thing,
    /// Queue pair, buffers, device.
    resources: Thing,
    /// The device may have what was posted.
    posted: bool,
    /// A task is mapped. Somebody else may have a reference to it, so that it outlives the binding.
    mapped: bool,
    /// Somebody has a reference to a task that was given to this connection.
    held: bool,
    /// iSCSI has been told to give no more tasks.
    suspended: bool,
    /// It was this side that ended the connection.
    ours: bool,
    /// The CM was asked to disconnect.
    disconnecting: bool,
    told: bool,
    queued: bool,
    deadline: bool,
    worker: Worker,
    exiting: bool,
    freed: bool,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// An event that somebody else causes.
    Event(Event),
    /// iSCSI gives a task.
    Post,
    /// The last reference to a task is given back, perhaps when the session has another connection.
    Put,
    /// A completion says that something has gone wrong.
    BadCompletion,
    /// The work item runs because it was queued.
    Queued,
    /// The work item runs because the time is over.
    TimeOver,
    /// What there is of the device is given up.
    Released,
    /// `rdma_destroy_id()` returns.
    IdDestroyed,
    /// The work item goes on after that.
    Destroyed,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "{event:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Whether a connection has come to its end.
pub(crate) fn is_free(state: State) -> bool {
    let owned = state.has_endpoint() || state.is_bound() || state.has_cm();
    !owned && state.link() == Link::Down && state.id() == Id::None
}

/// Events of the CM.
const CM: [Event; 9] = [
    Event::AddrResolved,
    Event::RouteResolved,
    Event::Established,
    Event::ConnectError,
    Event::Unreachable,
    Event::AddrChange,
    Event::Disconnected,
    Event::TimewaitExit,
    Event::DeviceRemoval,
];

impl World {
    /// A connection that was just made.
    pub(crate) fn new() -> Self {
        Self {
            state: State::NEW,
            seen: State::NEW.link(),
            endpoint: Thing::There,
            binding: Thing::NotYet,
            cm_id: Thing::NotYet,
            resources: Thing::NotYet,
            posted: false,
            mapped: false,
            held: false,
            suspended: false,
            ours: false,
            disconnecting: false,
            told: false,
            queued: false,
            deadline: false,
            worker: Worker::Idle,
            exiting: false,
            freed: false,
        }
    }

    /// Whether the connection is no more.
    pub(crate) fn is_freed(&self) -> bool {
        self.freed
    }

    /// Whether the module's end may come, or has: iSCSI sessions keep the module.
    pub(crate) fn may_exit(&self) -> bool {
        self.binding != Thing::There
    }

    /// All that can happen next. The CM is hostile: it says anything at any time, as long as its id
    /// is there.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.exiting {
            if self.endpoint == Thing::There {
                steps.push(Step::Event(Event::EpDisconnect));
                if self.cm_id == Thing::NotYet {
                    steps.push(Step::Event(Event::Connect));
                } else if self.binding != Thing::Gone {
                    // Another one, or the same again, too.
                    steps.push(Step::Event(Event::ConnBind));
                }
            }
            if self.binding == Thing::There {
                steps.push(Step::Event(Event::ConnStop));
                if self.may_post() {
                    steps.push(Step::Post);
                }
            }
            if self.may_exit() && !self.freed {
                steps.push(Step::Event(Event::ModuleExit));
            }
        }
        if self.posted {
            steps.push(Step::BadCompletion);
        }
        if self.held {
            steps.push(Step::Put);
        }
        // A handler runs to its end before the id is destroyed.
        if self.cm_id == Thing::There {
            steps.extend(CM.map(Step::Event));
        }
        steps.extend(self.own_steps());
        if self.deadline && self.worker == Worker::Idle {
            steps.push(Step::TimeOver);
        }
        steps
    }

    /// What goes on by itself, at once.
    pub(crate) fn own_steps(&self) -> Vec<Step> {
        match self.worker {
            Worker::Idle if self.queued => vec![Step::Queued],
            Worker::Idle => Vec::new(),
            Worker::AtRelease => vec![Step::Released],
            Worker::AtDestroyId => vec![Step::IdDestroyed],
            Worker::AtDestroyed => vec![Step::Destroyed],
        }
    }

    /// What this side does to be rid of the connection, with what goes on by itself.
    pub(crate) fn local_steps(&self) -> Vec<Step> {
        let mut steps = self.own_steps();
        if !self.exiting && self.endpoint == Thing::There {
            steps.push(Step::Event(Event::EpDisconnect));
        }
        if self.binding == Thing::There {
            steps.push(Step::Event(Event::ConnStop));
        }
        if self.deadline && self.worker == Worker::Idle {
            steps.push(Step::TimeOver);
        }
        steps
    }

    /// The same, and what the CM does when it was asked to disconnect.
    pub(crate) fn local_steps_and_cm(&self) -> Vec<Step> {
        let mut steps = self.local_steps();
        if self.disconnecting && self.cm_id == Thing::There {
            steps.push(Step::Event(Event::Disconnected));
        }
        steps
    }

    /// What `init_task` looks at. (Requests of the error handler do not stop at `Suspend`.)
    fn may_post(&self) -> bool {
        self.seen == Link::Up
    }

    /// Does a step. What it breaks is added to `broken`.
    pub(crate) fn take(&mut self, step: Step, broken: &mut Vec<Property>) {
        match step {
            Step::Event(event) => self.handle(event, broken),
            Step::Post => {
                self.posted = true;
                self.mapped = true;
                self.held = true;
            }
            Step::Put => {
                self.held = false;
                if self.binding == Thing::There {
                    self.mapped = false;
                }
                check(!self.mapped, Property::Unmapped, broken);
            }
            Step::BadCompletion => self.tell(broken),
            Step::Queued => {
                self.queued = false;
                self.handle(Event::Work, broken);
            }
            Step::TimeOver => {
                self.deadline = false;
                self.handle(Event::Work, broken);
            }
            Step::Released => {
                check(!self.posted, Property::D4Drained, broken);
                check(!self.mapped, Property::Unmapped, broken);
                let there = self.resources == Thing::There;
                check(there, Property::D2FreedOnce, broken);
                self.resources = Thing::Gone;
                self.worker = Worker::AtDestroyId;
            }
            Step::IdDestroyed => {
                let released = self.resources == Thing::Gone;
                let there = self.cm_id == Thing::There;
                check(released && there, Property::D3Id, broken);
                self.cm_id = Thing::Gone;
                self.worker = Worker::AtDestroyed;
            }
            Step::Destroyed => {
                self.worker = Worker::Idle;
                self.handle(Event::Destroyed, broken);
            }
        }
    }

    fn handle(&mut self, event: Event, broken: &mut Vec<Property>) {
        let before = self.state;
        let (after, actions) = step(before, event);
        self.state = after;
        match event {
            Event::Connect => {
                self.cm_id = Thing::There;
                self.resources = Thing::There;
            }
            Event::EpDisconnect => {
                self.ours = true;
                check(!actions.iter().any(waits), Property::D1NoWait, broken);
                let once = actions.has(Action::DestroyEndpoint);
                check(once, Property::D7Endpoint, broken);
            }
            Event::ConnStop => {
                self.ours = true;
                let stops = actions.has(Action::StopIscsi);
                check(stops, Property::Consistent, broken);
            }
            Event::ModuleExit => self.exiting = true,
            _ => {}
        }
        self.check_given(broken);
        for action in actions.iter() {
            self.act(action, event, broken);
            self.check_given(broken);
        }
        self.check_change(before, actions, event, broken);
        self.check_state(broken);
    }

    fn act(&mut self, action: Action, event: Event, broken: &mut Vec<Property>) {
        let has_id = self.cm_id == Thing::There;
        match action {
            Action::Publish => self.seen = self.state.link(),
            // Who waits looks how far it has come.
            Action::Wake => {
                let knows = self.seen == self.state.link();
                check(knows, Property::Woken, broken);
            }
            Action::Refuse => {}
            Action::ResolveRoute | Action::SendRequest => {
                check(has_id, Property::D3Id, broken);
            }
            Action::Disconnect => {
                check(has_id, Property::D3Id, broken);
                check(!self.may_post(), Property::D5NoPost, broken);
                self.disconnecting = true;
            }
            Action::Attach => {
                let free = self.binding == Thing::NotYet;
                check(free, Property::Consistent, broken);
                self.binding = Thing::There;
            }
            Action::Suspend => {
                let bound = self.binding == Thing::There;
                check(bound, Property::Consistent, broken);
                self.suspended = true;
            }
            Action::Drain => {
                let there = self.resources == Thing::There;
                check(there, Property::Consistent, broken);
                check(!self.may_post(), Property::D5NoPost, broken);
                self.posted = false;
            }
            Action::Unmap => {
                check(!self.posted, Property::D4Drained, broken);
                let there = self.resources == Thing::There;
                check(there, Property::Unmapped, broken);
                self.mapped = false;
            }
            Action::StopIscsi => {
                check(!self.posted, Property::D4Drained, broken);
                check(!self.mapped, Property::Unmapped, broken);
                self.binding = Thing::Gone;
            }
            Action::Report => {
                let bound = self.binding == Thing::There;
                check(bound, Property::D6Told, broken);
                self.told = true;
            }
            Action::Deadline => self.deadline = true,
            Action::QueueWork => {
                check(!self.queued, Property::Consistent, broken);
                self.queued = true;
                // It is one work item.
                self.deadline = false;
            }
            Action::Release => {
                let alone = self.worker == Worker::Idle;
                let in_work = event == Event::Work;
                check(in_work && alone && has_id, Property::D3Id, broken);
                self.worker = Worker::AtRelease;
            }
            // Behind that.
            Action::DestroyId => {
                let behind = self.worker == Worker::AtRelease;
                check(behind, Property::D3Id, broken);
            }
            Action::DestroyEndpoint => {
                let there = self.endpoint == Thing::There;
                check(there, Property::D7Endpoint, broken);
                self.endpoint = Thing::Gone;
            }
            Action::Free => {
                let owned = self.endpoint == Thing::There || self.binding == Thing::There;
                let all_gone = !owned && !has_id && self.resources != Thing::There;
                check(all_gone && !self.freed, Property::D2FreedOnce, broken);
                self.freed = true;
                // Cancelled; a run that has begun finds nothing to do.
                self.deadline = false;
            }
        }
    }

    /// A completion finds that the connection does not work.
    fn tell(&mut self, broken: &mut Vec<Property>) {
        if is_news(self.seen) {
            let bound = self.binding == Thing::There;
            check(bound && !self.ours, Property::D6Told, broken);
            self.told = true;
            // So it does when it is told.
            self.suspended = true;
        }
    }

    /// What becomes of a command that is given between two actions.
    fn check_given(&self, broken: &mut Vec<Property>) {
        // The error handler ends a suspension when it has aborted a command. What iSCSI ends it has
        // failed itself before.
        let comes_again = self.told || (self.ours && self.suspended);
        let given = self.binding == Thing::There && !comes_again;
        check(!given || self.seen == Link::Up, Property::D8Retried, broken);
    }

    fn check_change(
        &self,
        before: State,
        actions: Actions,
        event: Event,
        broken: &mut Vec<Property>,
    ) {
        let leaves = |link| before.link() == link && self.state.link() != link;
        if leaves(Link::Pending) {
            check(actions.has(Action::Wake), Property::Woken, broken);
        }
        if leaves(Link::Up) {
            let stopped = actions.has(Action::Disconnect);
            let suspended = !before.is_bound() || actions.has(Action::Suspend);
            check(stopped && suspended, Property::D5NoPost, broken);
            if CM.contains(&event) && before.is_bound() {
                check(actions.has(Action::Report), Property::D6Told, broken);
            }
        }
        if event == Event::DeviceRemoval {
            let goes = self.state.id() != Id::Live;
            check(goes, Property::Removal, broken);
        }
        // Not when this side has ended it.
        if actions.has(Action::Report) {
            check(!self.ours, Property::D6Told, broken);
        }
    }

    fn check_state(&self, broken: &mut Vec<Property>) {
        let state = self.state;
        let destroyed = self.worker == Worker::AtDestroyed;
        let consistent = state.link() == self.seen
            && state.has_endpoint() == (self.endpoint == Thing::There)
            && state.is_bound() == (self.binding == Thing::There)
            && is_free(state) == self.freed
            && (state.id() != Id::None) == (self.cm_id == Thing::There || destroyed)
            && (state.id() != Id::Queued || self.queued)
            && (state.id() != Id::Destroying || self.worker != Worker::Idle);
        check(consistent, Property::Consistent, broken);
        if state.is_bound() && state.link() != Link::Up {
            check(self.told || self.ours, Property::D6Told, broken);
            check(!self.may_post(), Property::D5NoPost, broken);
        }
        if state.link() == Link::Terminating {
            check(self.deadline, Property::Ends, broken);
        }
    }
}

/// Whether an action waits for something, or may.
fn waits(action: Action) -> bool {
    match action {
        Action::Drain | Action::Unmap | Action::StopIscsi | Action::Release | Action::DestroyId => {
            true
        }
        Action::Suspend
        | Action::Publish
        | Action::Wake
        | Action::ResolveRoute
        | Action::SendRequest
        | Action::Attach
        | Action::Refuse
        | Action::Disconnect
        | Action::Report
        | Action::Deadline
        | Action::QueueWork
        | Action::DestroyEndpoint
        | Action::Free => false,
    }
}

fn check(holds: bool, property: Property, broken: &mut Vec<Property>) {
    if !holds {
        broken.push(property);
    }
}
