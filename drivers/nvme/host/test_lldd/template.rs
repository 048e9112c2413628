// SPDX-License-Identifier: GPL-2.0

//! What ports are registered with, and the functions that the transport calls.

use core::ptr::NonNull;

use kernel::{
    ffi::{
        c_int,
        c_uint,
        c_void, //
    },
    prelude::*, //
};

use crate::{
    bindings, driver,
    order::TemplateKind,
    transport::{
        local_of_port,
        remote_of_port,
        Command,
        DeletedLocal,
        DeletedRemote,
        Request,
        Response, //
    },
};

/// Bytes behind each object, usually.
const BYTES: u32 = 64;

/// The same for a template that asks for more, or less.
const MORE: u32 = 256;
const LESS: u32 = 32;

/// A template that the transport keeps.
#[repr(transparent)]
struct Template(bindings::nvme_fc_port_template);

// SAFETY: Nobody writes it.
unsafe impl Sync for Template {}

/// A template with this memory behind local ports, remote ports and commands.
const fn with(local: u32, remote: u32, command: u32) -> Template {
    Template(bindings::nvme_fc_port_template {
        localport_delete: Some(localport_delete),
        remoteport_delete: Some(remoteport_delete),
        create_queue: Some(create_queue),
        delete_queue: Some(delete_queue),
        ls_req: Some(ls_req),
        fcp_io: Some(fcp_io),
        ls_abort: Some(ls_abort),
        fcp_abort: Some(fcp_abort),
        xmt_ls_rsp: Some(xmt_ls_rsp),
        max_hw_queues: 1,
        max_sgl_segments: 256,
        max_dif_sgl_segments: 256,
        dma_boundary: 0xffff_ffff,
        local_priv_sz: local,
        remote_priv_sz: remote,
        lsrqst_priv_sz: BYTES,
        fcprqst_priv_sz: command,
        ..pin_init::zeroed()
    })
}

static USUAL: Template = with(BYTES, BYTES, BYTES);
static TWIN: Template = with(BYTES, BYTES, BYTES);
static MORE_LOCAL: Template = with(MORE, BYTES, BYTES);
static MORE_REMOTE: Template = with(BYTES, MORE, BYTES);
static MORE_COMMAND: Template = with(BYTES, BYTES, MORE);
static LESS_MEMORY: Template = with(LESS, LESS, LESS);
static MORE_QUEUES: Template = {
    let mut template = with(BYTES, BYTES, BYTES);
    template.0.max_hw_queues = 64;
    template
};
static NO_ABORT: Template = {
    let mut template = with(BYTES, BYTES, BYTES);
    template.0.ls_abort = None;
    template
};
static NO_DELETE: Template = {
    let mut template = with(BYTES, BYTES, BYTES);
    template.0.remoteport_delete = None;
    template
};
static NO_QUEUES: Template = {
    let mut template = with(BYTES, BYTES, BYTES);
    template.0.max_hw_queues = 0;
    template
};

/// The template of this kind, which lives as long as the module, and is only read.
pub(crate) fn template(kind: TemplateKind) -> *mut bindings::nvme_fc_port_template {
    let template = match kind {
        TemplateKind::Usual => &USUAL,
        TemplateKind::Twin => &TWIN,
        TemplateKind::MoreLocal => &MORE_LOCAL,
        TemplateKind::MoreRemote => &MORE_REMOTE,
        TemplateKind::MoreCommand => &MORE_COMMAND,
        TemplateKind::Less => &LESS_MEMORY,
        TemplateKind::MoreQueues => &MORE_QUEUES,
        TemplateKind::NoAbort => &NO_ABORT,
        TemplateKind::NoDelete => &NO_DELETE,
        TemplateKind::NoQueues => &NO_QUEUES,
    };
    (&raw const template.0).cast_mut()
}

// The functions below are those of `struct nvme_fc_port_template`. The transport calls them with
// valid ports, which this driver has registered.

/// # Safety
///
/// See above.
unsafe extern "C" fn localport_delete(port: *mut bindings::nvme_fc_local_port) {
    // SAFETY: The port is valid until this returns.
    unsafe {
        if let (Some(local), Some(port)) = (local_of_port(port), NonNull::new(port)) {
            driver::localport_delete(local, &DeletedLocal::from_raw(port));
        }
    }
}

/// # Safety
///
/// See above.
unsafe extern "C" fn remoteport_delete(port: *mut bindings::nvme_fc_remote_port) {
    // SAFETY: The port is valid until this returns.
    unsafe {
        if let (Some(remote), Some(port)) = (remote_of_port(port), NonNull::new(port)) {
            driver::remoteport_delete(remote, &DeletedRemote::from_raw(port));
        }
    }
}

/// # Safety
///
/// See above; `handle` is the transport's to be filled in.
unsafe extern "C" fn create_queue(
    port: *mut bindings::nvme_fc_local_port,
    _qidx: c_uint,
    _qsize: u16,
    handle: *mut *mut c_void,
) -> c_int {
    // SAFETY: By the contract of this function.
    unsafe {
        *handle = port.cast();
        if let Some(local) = local_of_port(port) {
            driver::queue(local);
        }
    }
    0
}

/// # Safety
///
/// See above.
unsafe extern "C" fn delete_queue(
    port: *mut bindings::nvme_fc_local_port,
    _qidx: c_uint,
    _handle: *mut c_void,
) {
    // SAFETY: By the contract of this function.
    if let Some(local) = unsafe { local_of_port(port) } {
        driver::queue(local);
    }
}

/// # Safety
///
/// See above; if this returns 0 the request is the driver's until it ends it.
unsafe extern "C" fn ls_req(
    _local: *mut bindings::nvme_fc_local_port,
    port: *mut bindings::nvme_fc_remote_port,
    request: *mut bindings::nvmefc_ls_req,
) -> c_int {
    // SAFETY: By the contract of this function.
    let (remote, request) = unsafe {
        let request = NonNull::new(request).map(|request| Request::from_raw(request));
        (remote_of_port(port), request)
    };
    let (Some(remote), Some(request)) = (remote, request) else {
        return ENODEV.to_errno();
    };
    driver::ls_req(remote, request).map_or_else(Error::to_errno, |()| 0)
}

/// # Safety
///
/// See above. The request may have ended.
unsafe extern "C" fn ls_abort(
    _local: *mut bindings::nvme_fc_local_port,
    port: *mut bindings::nvme_fc_remote_port,
    request: *mut bindings::nvmefc_ls_req,
) {
    // SAFETY: By the contract of this function.
    if let Some(remote) = unsafe { remote_of_port(port) } {
        driver::ls_abort(remote, |held| held.is(request));
    }
}

/// # Safety
///
/// See above; if this returns 0 the command is the driver's until it ends it.
unsafe extern "C" fn fcp_io(
    _local: *mut bindings::nvme_fc_local_port,
    port: *mut bindings::nvme_fc_remote_port,
    _handle: *mut c_void,
    command: *mut bindings::nvmefc_fcp_req,
) -> c_int {
    // SAFETY: By the contract of this function.
    let (remote, command) = unsafe {
        let command = NonNull::new(command).map(|command| Command::from_raw(command));
        (remote_of_port(port), command)
    };
    let (Some(remote), Some(command)) = (remote, command) else {
        return ENODEV.to_errno();
    };
    driver::fcp_io(remote, command).map_or_else(Error::to_errno, |()| 0)
}

/// # Safety
///
/// See above. The command may have ended.
unsafe extern "C" fn fcp_abort(
    _local: *mut bindings::nvme_fc_local_port,
    port: *mut bindings::nvme_fc_remote_port,
    _handle: *mut c_void,
    command: *mut bindings::nvmefc_fcp_req,
) {
    // SAFETY: By the contract of this function.
    if let Some(remote) = unsafe { remote_of_port(port) } {
        driver::fcp_abort(remote, |held| held.is(command));
    }
}

/// # Safety
///
/// See above; the response comes from `RemotePort::receive()`, and if this returns 0 it is the
/// driver's until it was sent.
unsafe extern "C" fn xmt_ls_rsp(
    _local: *mut bindings::nvme_fc_local_port,
    port: *mut bindings::nvme_fc_remote_port,
    response: *mut bindings::nvmefc_ls_rsp,
) -> c_int {
    // SAFETY: By the contract of this function.
    let (remote, response) = unsafe {
        let response = NonNull::new(response).map(|response| Response::from_raw(response));
        (remote_of_port(port), response)
    };
    if let (Some(remote), Some(response)) = (remote, response) {
        driver::xmt_ls_rsp(remote, response);
    }
    0
}
