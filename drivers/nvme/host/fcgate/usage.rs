// SPDX-License-Identifier: GPL-2.0

//! What the transport does with the ports of an LLDD: associations, responses, new controllers; and
//! what a controller does that has lost its port.

use kernel::{
    prelude::*,
    warn_on, //
};

use crate::{
    logic::{
        connectivity::{
            Jiffies,
            PortState,
            Reconnect, //
        },
        gate::Closed,
        holder::NotBegun,
        ports,
    },
    transport::{
        controller::Controller,
        ls_request::{
            LsRequest,
            LsResponse, //
        },
        reference::Ref,
        remote_port::{
            LockedPort,
            RemotePort, //
        },
        wait, //
    },
};

/// An association of the controller begins: the LLDD is used until [`end_association()`]. Process
/// context, without locks.
///
/// Errors: `ENODEV` if a port is not registered, `ENOTUNIQ` if the last one has not ended yet.
pub(crate) fn begin_association(controller: &Controller) -> Result {
    match controller.begin() {
        Ok(()) => Ok(()),
        Err(NotBegun::NotUnique) => Err(ENOTUNIQ),
        Err(NotBegun::Refused(refused)) => Err(not_entered(refused.leave())),
    }
}

/// It ends now; true before was the result of `ending()`. Process context, without locks.
pub(crate) fn end_association(controller: &Controller) {
    let ended = controller.end();
    warn_on!(!ended);
}

/// An LS request comes in: the LLDD is used until [`respond()`]. Process context, without locks.
///
/// Errors: `ENOTCONN` if a port is not registered.
pub(crate) fn receive(request: &LsRequest) -> Result {
    match request.begin() {
        Ok(()) => Ok(()),
        Err(NotBegun::NotUnique) => {
            warn_on!(true);
            Err(EALREADY)
        }
        Err(NotBegun::Refused(refused)) => {
            refused.leave();
            Err(ENOTCONN)
        }
    }
}

/// Gives the LLDD the response to an LS request. Process context, without locks.
pub(crate) fn respond(response: LsResponse) {
    // The request has a reference, and may be freed when it is responded to.
    let port = Ref::new(response.request().port());
    let used = port
        .as_deref()
        .and_then(|port| response.request().take(port));
    // Even so the LLDD waits for it.
    warn_on!(used.is_none());
    response.send();
    if let Some(used) = used {
        used.leave();
    }
}

/// Does something as a use of the LLDD. Process context, without locks.
///
/// Errors: `ENODEV` if a port is not registered.
pub(crate) fn using<T>(port: &RemotePort, action: impl FnOnce() -> T) -> Result<T> {
    // The controller that is made may be gone again by the end, and with it the caller's reference.
    let port = Ref::new(port).ok_or(ENODEV)?;
    match ports::enter_remote(&*port) {
        Ok(used) => {
            let result = action();
            used.leave();
            Ok(result)
        }
        Err(refused) => Err(not_entered(refused.leave())),
    }
}

fn not_entered(why: Closed) -> Error {
    match why {
        Closed::NotRegistered => ENODEV,
        Closed::TooManyUses => EBUSY,
    }
}

/// Whether the port is registered. Any context.
pub(crate) fn is_online(port: &RemotePort) -> bool {
    port.lock().state() == PortState::Online
}

/// What a controller of the port does that would try to connect again after `delay` jiffies.
pub(crate) fn reconnect(port: &LockedPort<'_>, delay: Jiffies) -> Reconnect {
    port.state().reconnect(wait::now(), delay)
}
