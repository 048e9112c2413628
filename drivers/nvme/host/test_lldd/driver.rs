// SPDX-License-Identifier: GPL-2.0

//! What the driver does: what a test orders, and what the transport calls it for.
//!
//! The state is locked by a spinlock, which is never held while the transport is called.

use core::mem;

use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
};

use crate::{
    order::{
        LocalOrder,
        Order,
        RemoteOrder,
        TemplateKind, //
    },
    state::{
        Inside,
        Local,
        Policy,
        Remote,
        Sleeper,
        State,
        LOCALS,
        REMOTES, //
    },
    target::{
        self,
        Done, //
    },
    transport::{
        Command,
        DeletedLocal,
        DeletedRemote,
        LocalPort,
        RemotePort,
        Request,
        Response, //
    },
    STATE, //
};

/// How long `reset` waits for callbacks, in steps.
const RESET_STEP_MS: u32 = 20;
const RESET_STEPS: u32 = 3_000;

fn sleep(ms: u32) {
    if ms > 0 {
        fsleep(Delta::from_millis(ms.into()));
    }
}

/// Does what was ordered, in the thread that has ordered it. May sleep.
pub(crate) fn carry_out(order: Order) -> Result {
    let result = match order {
        Order::Local(local, order) => local_order(local, order),
        Order::Remote(remote, order) => remote_order(remote, order),
        Order::Responses(policy) => {
            STATE.lock().responses = policy;
            if policy != Policy::Hold {
                send_responses();
            }
            Ok(())
        }
        Order::Sleep(sleeper, ms) => {
            *STATE.lock().sleep(sleeper) = ms;
            Ok(())
        }
        Order::Null => null(),
        Order::Reset => reset(),
    };
    reap();
    result
}

/// Gives references to the module back that are not needed any more. The caller has another one.
pub(crate) fn reap() {
    loop {
        let module = STATE.lock().reap();
        if module.is_none() {
            return;
        }
    }
}

fn local_order(local: Local, order: LocalOrder) -> Result {
    match order {
        LocalOrder::Register(kind) => register_local(local, kind),
        LocalOrder::Unregister => unregister_local(local),
        LocalOrder::Inside(inside) => {
            STATE.lock().local(local).port.set_inside(inside);
            Ok(())
        }
    }
}

fn remote_order(remote: Remote, order: RemoteOrder) -> Result {
    match order {
        RemoteOrder::Register(dev_loss_tmo) => register_remote(remote, dev_loss_tmo),
        RemoteOrder::Unregister => unregister_remote(remote),
        RemoteOrder::Inside(inside) => {
            STATE.lock().remote(remote).port.set_inside(inside);
            Ok(())
        }
        RemoteOrder::DevLoss(seconds) => with_remote(remote, |port| port.set_dev_loss(seconds)),
        RemoteOrder::Requests(policy) => {
            STATE.lock().remote(remote).requests = policy;
            Ok(())
        }
        RemoteOrder::Commands(policy) => {
            STATE.lock().remote(remote).commands = policy;
            Ok(())
        }
        RemoteOrder::Answer(policy) => answer_held(remote, policy),
        RemoteOrder::Receive(association) => receive(remote, association),
        RemoteOrder::Disconnect => {
            let association = STATE.lock().remote(remote).association;
            receive(remote, association)
        }
    }
}

fn receive(remote: Remote, association: u64) -> Result {
    with_remote(remote, |port| port.receive(target::disconnect(association)))
}

/// Does something with a port that is registered, which nobody else does anything with meanwhile.
fn with_remote(remote: Remote, action: impl FnOnce(&RemotePort) -> Result) -> Result {
    let port = STATE.lock().remote(remote).port.take()?;
    let result = action(&port);
    STATE.lock().remote(remote).port.put(port);
    result
}

fn register_local(local: Local, kind: TemplateKind) -> Result {
    STATE.lock().local(local).port.begin_register();
    let registered = LocalPort::register(local, kind);
    let spare = STATE.lock().local(local).port.end_register(registered)?;
    drop(spare);
    Ok(())
}

fn unregister_local(local: Local) -> Result {
    let port = STATE.lock().local(local).port.begin_unregister()?;
    let result = port.unregister();
    STATE.lock().local(local).port.end_unregister(result)
}

fn register_remote(remote: Remote, dev_loss_tmo: u32) -> Result {
    let local = {
        let mut state = STATE.lock();
        let local = state.local(remote.local).port.take()?;
        state.remote(remote).port.begin_register();
        local
    };
    let registered = RemotePort::register(&local, remote, dev_loss_tmo);
    let spare = {
        let mut state = STATE.lock();
        state.local(remote.local).port.put(local);
        state.remote(remote).port.end_register(registered)?
    };
    drop(spare);
    Ok(())
}

fn unregister_remote(remote: Remote) -> Result {
    let port = STATE.lock().remote(remote).port.begin_unregister()?;
    let result = port.unregister();
    STATE.lock().remote(remote).port.end_unregister(result)
}

/// `ENOMSG`: one of the two does not say `EINVAL`.
fn null() -> Result {
    for result in [LocalPort::unregister_null(), RemotePort::unregister_null()] {
        if result != Err(EINVAL) {
            return Err(ENOMSG);
        }
    }
    Ok(())
}

fn all_remotes() -> impl Iterator<Item = Remote> {
    (0..LOCALS).flat_map(|local| {
        (0..REMOTES).map(move |number| Remote {
            local: Local(local),
            number,
        })
    })
}

/// `ETIMEDOUT`: a callback does not come.
fn reset() -> Result {
    {
        let mut state = STATE.lock();
        state.responses = Policy::Accept;
        for sleeper in [
            Sleeper::LsAbort,
            Sleeper::XmtLsRsp,
            Sleeper::RemoteportDelete,
            Sleeper::LocalportDelete,
        ] {
            *state.sleep(sleeper) = 0;
        }
        for remote in all_remotes() {
            state.remote(remote).requests = Policy::Fail;
            state.remote(remote).commands = Policy::Fail;
        }
    }
    // What is not registered is not unregistered.
    for remote in all_remotes() {
        let _ = unregister_remote(remote);
    }
    for local in (0..LOCALS).map(Local) {
        let _ = unregister_local(local);
    }
    for _ in 0..RESET_STEPS {
        send_responses();
        for remote in all_remotes() {
            answer_held(remote, Policy::Fail)?;
            fail_commands(|of, _| of == remote);
        }
        if !STATE.lock().is_owed() {
            let mut state = STATE.lock();
            for remote in all_remotes() {
                state.remote(remote).requests = Policy::Accept;
                state.remote(remote).commands = Policy::Accept;
            }
            return Ok(());
        }
        sleep(RESET_STEP_MS);
    }
    Err(ETIMEDOUT)
}

/// Takes the first that fits off a list.
fn take<T>(
    list: impl FnOnce(&mut State) -> &mut KVec<(Remote, T)>,
    fits: impl Fn(Remote, &T) -> bool,
) -> Option<T> {
    let mut state = STATE.lock();
    let list = list(&mut state);
    let at = list.iter().position(|(of, held)| fits(*of, held))?;
    list.remove(at).ok().map(|(_, held)| held)
}

/// Gives back the memory of what was held: what is static is not dropped with the module.
pub(crate) fn forget() {
    let mut state = STATE.lock();
    let held = (
        mem::take(&mut state.held_requests),
        mem::take(&mut state.held_commands),
        mem::take(&mut state.held_responses),
    );
    drop(state);
    drop(held);
}

fn send_responses() {
    while let Some(response) = take(|state| &mut state.held_responses, |_, _| true) {
        response.sent();
    }
}

fn fail_commands(fits: impl Fn(Remote, &Command) -> bool) {
    while let Some(command) = take(|state| &mut state.held_commands, &fits) {
        command.fail();
    }
}

fn answer_held(remote: Remote, policy: Policy) -> Result {
    while let Some(request) = take(|state| &mut state.held_requests, |of, _| of == remote) {
        match policy {
            Policy::Accept => accept(remote, request),
            Policy::Reject => target::reject(request),
            Policy::Fail => request.fail(EPIPE),
            Policy::Hold => {
                // It stays as it was.
                return hold_request(remote, request);
            }
        }
    }
    Ok(())
}

fn accept(remote: Remote, request: Request) {
    let number = {
        let mut state = STATE.lock();
        let number = state.new_number();
        if target::creates_association(&request) {
            state.remote(remote).association = number;
        }
        number
    };
    target::accept(request, number);
}

fn hold_request(remote: Remote, request: Request) -> Result {
    let mut state = STATE.lock();
    Ok(state.held_requests.push((remote, request), GFP_ATOMIC)?)
}

/// A function of the driver that the transport is calling for a remote port.
struct Running(Remote);

impl Running {
    fn new(remote: Remote) -> Self {
        STATE.lock().enter_remote(remote);
        Self(remote)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        STATE.lock().leave_remote(self.0);
    }
}

/// `create_queue` and `delete_queue`.
pub(crate) fn queue(local: Local) {
    let mut state = STATE.lock();
    state.enter_local(local);
    state.leave_local(local);
}

/// `ls_req`: an error gives the request back.
pub(crate) fn ls_req(remote: Remote, request: Request) -> Result {
    let _running = Running::new(remote);
    let policy = STATE.lock().remote(remote).requests;
    match policy {
        Policy::Accept => accept(remote, request),
        Policy::Reject => target::reject(request),
        Policy::Hold => return hold_request(remote, request),
        Policy::Fail => return Err(EPIPE),
    }
    Ok(())
}

/// `ls_abort`
pub(crate) fn ls_abort(remote: Remote, is: impl Fn(&Request) -> bool) {
    let _running = Running::new(remote);
    let ms = {
        let mut state = STATE.lock();
        state.aborting(remote);
        *state.sleep(Sleeper::LsAbort)
    };
    // First it ends, so that others go on while this one takes its time.
    if let Some(request) = take(|state| &mut state.held_requests, |_, held| is(held)) {
        request.fail(ECANCELED);
    }
    sleep(ms);
}

/// `fcp_io`: an error gives the command back. Does not sleep.
pub(crate) fn fcp_io(remote: Remote, command: Command) -> Result {
    let _running = Running::new(remote);
    let policy = STATE.lock().remote(remote).commands;
    let waiting = match policy {
        Policy::Accept => match target::execute(command) {
            Done::Ended => return Ok(()),
            Done::Waits(command) => command,
        },
        Policy::Hold => command,
        Policy::Reject => {
            command.fail();
            return Ok(());
        }
        Policy::Fail => return Err(EIO),
    };
    let mut state = STATE.lock();
    Ok(state.held_commands.push((remote, waiting), GFP_ATOMIC)?)
}

/// `fcp_abort`: does not sleep.
pub(crate) fn fcp_abort(remote: Remote, is: impl Fn(&Command) -> bool) {
    let _running = Running::new(remote);
    fail_commands(|_, held| is(held));
}

/// `xmt_ls_rsp`
pub(crate) fn xmt_ls_rsp(remote: Remote, response: Response) {
    let _running = Running::new(remote);
    let ms = *STATE.lock().sleep(Sleeper::XmtLsRsp);
    sleep(ms);
    let mut state = STATE.lock();
    state.remote(remote).responses += 1;
    let holds = state.responses == Policy::Hold;
    if holds && state.held_responses.reserve(1, GFP_ATOMIC).is_ok() {
        // There is room for it.
        let _ = state
            .held_responses
            .push_within_capacity((remote, response));
        return;
    }
    drop(state);
    response.sent();
}

/// `localport_delete`
pub(crate) fn localport_delete(local: Local, port: &DeletedLocal) {
    let (inside, ms) = STATE.lock().begin_local_delete(local);
    let result = match inside {
        Inside::Nothing => None,
        Inside::Register => Some(register_local(local, TemplateKind::Usual)),
        Inside::Unregister => Some(port.unregister()),
    };
    sleep(ms);
    let mut state = STATE.lock();
    if let Some(result) = result {
        state.local(local).port.set_inside_result(result);
    }
    state.end_local_delete(local);
}

/// `remoteport_delete`
pub(crate) fn remoteport_delete(remote: Remote, port: &DeletedRemote) {
    let (inside, ms) = STATE.lock().begin_remote_delete(remote);
    let result = match inside {
        Inside::Nothing => None,
        Inside::Register => Some(register_remote(remote, 0)),
        Inside::Unregister => Some(port.unregister()),
    };
    sleep(ms);
    let mut state = STATE.lock();
    if let Some(result) = result {
        state.remote(remote).port.set_inside_result(result);
    }
    state.end_remote_delete(remote);
}
