// SPDX-License-Identifier: GPL-2.0

//! What an LLDD does with its ports: registers them again, and unregisters them.
//!
//! All of it is process context, without locks.

use kernel::prelude::*;

use crate::{
    bindings,
    logic::{
        gate::{
            Closed,
            NotResumed, //
        },
        ports::{
            self,
            Unregistered, //
        },
    },
    transport::{
        local_port::{
            LocalPort,
            Ports, //
        },
        reference::Ref,
        remote_port::RemotePort,
        template::{
            PortInfo,
            PortName,
            Template, //
        },
        wait::Patience,
    },
};

/// Why a port that was unregistered is not registered again.
enum NotAttached {
    /// Its callback is owed or running: to be tried again when that has returned.
    Deleting,
    /// There is no use in trying again.
    Failed(Error),
    /// The same, and a message says why.
    Refused(Error, &'static str),
}

impl NotAttached {
    /// Waits for the callback of port `name` with `wait`, if there is use in trying again. Without
    /// locks.
    fn wait(self, name: PortName, wait: impl FnOnce() -> Result) -> Result {
        match self {
            Self::Deleting => wait().inspect_err(|_| {
                pr_warn!(
                    "port {:#018x}: registered again, but its callback does not return\n",
                    name.port
                );
            }),
            Self::Failed(error) => Err(error),
            Self::Refused(error, why) => {
                pr_warn!("local port {:#018x}: {why}\n", name.port);
                Err(error)
            }
        }
    }
}

/// Registers a local port again that the transport still has. The result has the reference of the
/// registration; `None` if there is none: it has to be made.
///
/// Errors: `EXDEV` if it is that of another device, `EEXIST` if it is registered, `EINVAL` if the
/// template asks for more memory than its objects have, `EBUSY` if it is in use with another
/// template, or if a callback does not return.
pub(crate) fn attach_local(
    info: &PortInfo,
    template: &Template,
    device: *const bindings::device,
) -> Result<Option<Ref<LocalPort>>> {
    let mut patience = Patience::new();
    loop {
        let found = Ports::lock().local(info.name(), |port, ports| {
            if port.is_of(device) {
                resume_local(port, info, template, ports)
            } else {
                Err(NotAttached::Failed(EXDEV))
            }
        });
        let Some((port, attached)) = found else {
            return Ok(None);
        };
        match attached {
            Ok(()) => return Ok(Some(port)),
            Err(not) => not.wait(info.name(), || port.wait_deleted(&mut patience))?,
        }
    }
}

fn resume_local(
    port: &LocalPort,
    info: &PortInfo,
    template: &Template,
    ports: &Ports,
) -> Result<(), NotAttached> {
    if port.is_online(ports) {
        return Err(NotAttached::Failed(EEXIST));
    }
    let Some(sizes) = port.private_sizes(ports).replace(template.private_sizes()) else {
        return Err(NotAttached::Refused(
            EINVAL,
            "the LLDD asks for more memory than there is",
        ));
    };
    match port.resume(template, sizes, info, ports) {
        Ok(_) => Ok(()),
        Err(NotResumed::Registered) => Err(NotAttached::Failed(EEXIST)),
        Err(NotResumed::Deleting) => Err(NotAttached::Deleting),
        Err(NotResumed::InUse) => Err(NotAttached::Refused(
            EBUSY,
            "controllers still use another LLDD or template",
        )),
    }
}

/// Registers a remote port of `local` again that the transport still has. As [`attach_local()`].
///
/// Errors: `ESTALE` if it is registered, `EBUSY` if a callback does not return.
pub(crate) fn attach_remote(local: &LocalPort, info: &PortInfo) -> Result<Option<Ref<RemotePort>>> {
    let mut patience = Patience::new();
    loop {
        let Some(port) = Ports::lock().remote(local, info.name()) else {
            return Ok(None);
        };
        match resume_remote(&port, info) {
            Ok(()) => return Ok(Some(port)),
            Err(not) => not.wait(info.name(), || port.wait_deleted(&mut patience))?,
        }
    }
}

fn resume_remote(port: &RemotePort, info: &PortInfo) -> Result<(), NotAttached> {
    let locked = port.lock();
    match locked.resume(info) {
        Ok(_) => {
            for controller in locked.controllers().iter() {
                controller.resume();
            }
            Ok(())
        }
        Err(NotResumed::Deleting) => Err(NotAttached::Deleting),
        Err(NotResumed::Registered | NotResumed::InUse) => Err(NotAttached::Failed(ESTALE)),
    }
}

/// Unregisters a local port. The caller has the reference of the registration and gives it back if
/// this succeeds. `EINVAL`: it is not registered.
pub(crate) fn unregister_local(port: &LocalPort) -> Result {
    let lists = Ports::lock();
    let used = ports::unregister_local(port).map_err(not_unregistered)?;
    port.set_deleted(&lists);
    drop(lists);
    used.leave();
    Ok(())
}

/// Unregisters a remote port. As [`unregister_local()`].
pub(crate) fn unregister_remote(port: &RemotePort) -> Result {
    let locked = port.lock();
    // Before the controllers know: an association that enters clears what it has failed with, and
    // then does not enter.
    let unregistered = match ports::unregister_remote(port) {
        Ok(unregistered) => unregistered,
        Err(refused) => {
            drop(locked);
            return Err(not_unregistered(refused.leave()));
        }
    };
    let dev_loss_tmo = locked.set_lost();
    for controller in locked.controllers().iter() {
        if dev_loss_tmo == 0 {
            controller.lose_at_once();
        } else {
            controller.lose();
        }
    }
    drop(locked);
    if let Unregistered::InUse(used) = &unregistered {
        RemotePort::abort_ls_requests(used);
    }
    unregistered.leave();
    Ok(())
}

fn not_unregistered(why: Closed) -> Error {
    match why {
        Closed::NotRegistered => EINVAL,
        Closed::TooManyUses => EBUSY,
    }
}
