// SPDX-License-Identifier: GPL-2.0

//! What is done when something happens to a connection.
//!
//! What waits for handlers, or destroys what they use, is done after the connection's mutex was
//! unlocked: handlers lock it.

use kernel::{
    prelude::*,
    time::Msecs, //
};

use crate::{
    logic::{
        action::{
            Action,
            Actions, //
        },
        event::Event,
        state::{
            Id,
            Link, //
        },
    },
    transport::{
        cm::CmEvent,
        connection::{
            CmId,
            Connection,
            Locked, //
        },
        connections::Connections,
        iscsi::{
            IscsiConn,
            StopRequest,
            TakenEndpoint, //
        },
        work::Work, //
    },
};

/// How long the CM may take to say its last word. It asks the peer 16 times to disconnect, every
/// four seconds; if it cannot ask, it says nothing.
const DEADLINE_MS: Msecs = 180_000;

/// What an event comes with.
enum With<'a> {
    Nothing,
    Told(&'a CmEvent<'a>),
    Conn(&'a IscsiConn),
    Stop(&'a StopRequest<'a>),
}

/// What is left to do when the mutex is unlocked.
#[must_use = "the rest is to be done"]
struct Rest {
    actions: Actions,
    /// The CM id, if it is given up.
    id: Option<CmId>,
}

/// An event has happened: does what has to be done with the mutex held, in order.
fn handle(locked: &mut Locked<'_>, event: Event, with: &With<'_>) -> Rest {
    let actions = locked.step(event);
    let mut id = None;
    for action in actions.iter() {
        match action {
            Action::Suspend => locked.suspend(),
            Action::Report => locked.report(),
            Action::Publish => locked.publish(),
            Action::Wake => locked.wake(),
            Action::ResolveRoute | Action::SendRequest => {
                if go_on(locked, action, with).is_err() {
                    return handle(locked, Event::ConnectError, with);
                }
            }
            Action::Attach => {
                if let With::Conn(conn) = with {
                    locked.attach(conn);
                }
            }
            Action::Disconnect => locked.disconnect(),
            Action::Drain => locked.drain(),
            Action::Unmap => locked.unmap(),
            Action::StopIscsi => {
                if let With::Stop(request) = with {
                    locked.stop_iscsi(request);
                }
            }
            Action::Deadline => Work::queue(locked.connection(), DEADLINE_MS),
            Action::QueueWork => Work::queue(locked.connection(), 0),
            Action::DestroyId => id = locked.take_id(),
            Action::Free => {
                let state = locked.state();
                let owned = state.has_endpoint() || state.is_bound();
                kernel::warn_on!(owned || state.id() != Id::None);
            }
            // When the mutex is unlocked.
            Action::Refuse | Action::Release | Action::DestroyEndpoint => {}
        }
    }
    Rest { actions, id }
}

/// Goes on with a connection that is being made.
fn go_on(locked: &Locked<'_>, action: Action, with: &With<'_>) -> Result {
    match (action, with) {
        (Action::ResolveRoute, With::Told(told)) => locked.resolve_route(told),
        (Action::SendRequest, With::Told(told)) => locked.send_request(told),
        _ => Err(EINVAL),
    }
}

/// An event has happened: does all but what has to do with the CM id.
fn happen(connection: &Connection, event: Event, with: &With<'_>) -> Rest {
    let mut locked = connection.lock();
    let rest = handle(&mut locked, event, with);
    drop(locked);
    finish(connection, rest.actions);
    rest
}

/// The mutex was unlocked.
fn finish(connection: &Connection, actions: Actions) {
    if actions.has(Action::Free) {
        Work::cancel(connection);
        Connections::remove(connection);
    }
}

/// An event that has nothing to do with the CM id has happened. Returns what was to be done.
fn call(connection: &Connection, event: Event, with: &With<'_>) -> Actions {
    let Rest { actions, id } = happen(connection, event, with);
    // Only the work gives it up.
    warn_on_id(id);
    actions
}

fn warn_on_id(id: Option<CmId>) {
    kernel::warn_on!(id.is_some());
}

/// Whether a new connection is there, fails, or is still being made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is there.
    Up,
    /// It is being made.
    Pending,
    /// It was not made, or is not there any more.
    Failed,
}

/// How far a connection has come. Does not wait for the mutex, which a handler has for as long as
/// some devices take to connect.
pub(crate) fn progress(connection: &Connection) -> Progress {
    match connection.seen() {
        Link::Up => Progress::Up,
        Link::Idle | Link::Pending => Progress::Pending,
        Link::Terminating | Link::Down => Progress::Failed,
    }
}

/// The CM id is made by `connect`, which says whether there is one, and if it is of use. Process
/// context.
pub(crate) fn connect(
    connection: &Connection,
    connect: impl FnOnce(&mut Locked<'_>) -> (bool, Result),
) -> Result {
    // Its handler waits until this is over.
    let mut locked = connection.lock();
    let (made, result) = connect(&mut locked);
    if made {
        let rest = handle(&mut locked, Event::Connect, &With::Nothing);
        warn_on_id(rest.id);
    }
    result
}

/// Waits for a new connection without end.
///
/// Errors: `EIO` if there is none, or there was a signal before.
pub(crate) fn wait_up(connection: &Connection) -> Result {
    // What it has come to says more than how the wait has ended.
    let _ = connection.wait_up(None);
    match progress(connection) {
        Progress::Up => Ok(()),
        Progress::Pending | Progress::Failed => Err(EIO),
    }
}

/// Binds `conn` to the connection. `EINVAL`: it is not up, or one of them is bound.
pub(crate) fn bind(connection: &Connection, conn: &IscsiConn) -> Result {
    let mut locked = connection.lock();
    locked
        .alloc_buffers(conn)
        .inspect_err(|_| pr_err!("can't bind: in use, not up, or no memory\n"))?;
    let rest = handle(&mut locked, Event::ConnBind, &With::Conn(conn));
    warn_on_id(rest.id);
    Ok(())
}

/// The endpoint gives the connection up, and is destroyed. Process context; waits for the
/// connection's mutex, and no more (D1).
pub(crate) fn ep_disconnect(endpoint: TakenEndpoint) {
    let actions = call(endpoint.connection(), Event::EpDisconnect, &With::Nothing);
    if actions.has(Action::DestroyEndpoint) {
        endpoint.destroy();
    }
}

/// The binding gives the connection up, if there is one, and iSCSI is stopped. Process context.
pub(crate) fn stop(request: &StopRequest<'_>) {
    match request.connection() {
        Some(connection) => {
            let _ = call(&connection, Event::ConnStop, &With::Stop(request));
        }
        None => request.stop_unbound(),
    }
}

/// `request` comes before what it stops is bound again, if it was not stopped. `EINVAL`: it may
/// still be used.
pub(crate) fn stop_ended(request: &StopRequest<'_>) -> Result {
    if let Some(connection) = request.connection() {
        if !connection.lock().state().is_only_to_be_stopped() {
            return Err(EINVAL);
        }
        // It will not be up again.
        stop(request);
    }
    Ok(())
}

/// The module goes.
pub(crate) fn end_all() {
    Connections::end_all(|connection| {
        let endpoint = connection.take_endpoint();
        let _ = call(connection, Event::ModuleExit, &With::Nothing);
        if let Some(endpoint) = endpoint {
            endpoint.destroy();
        }
    });
}

/// The CM tells its handler something.
pub(crate) fn cm_event(connection: &Connection, told: &CmEvent<'_>) {
    let Some(event) = told.event() else { return };
    let mut locked = connection.lock();
    if event == Event::Established {
        locked.accepted(told);
    }
    let Rest { actions, id } = handle(&mut locked, event, &With::Told(told));
    drop(locked);
    warn_on_id(id);
    finish(connection, actions);
}

/// The work item runs: the time is over, or the CM id is to be destroyed. If it is given up, the
/// caller destroys it, and what there is of the device.
pub(crate) fn work(connection: &Connection) -> Option<CmId> {
    happen(connection, Event::Work, &With::Nothing).id
}

/// The caller has destroyed the CM id.
pub(crate) fn destroyed(connection: &Connection) {
    let _ = call(connection, Event::Destroyed, &With::Nothing);
}
