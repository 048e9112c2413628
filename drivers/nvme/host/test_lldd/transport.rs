// SPDX-License-Identifier: GPL-2.0

//! The transport as an LLDD sees it.
//!
//! C header: `include/linux/nvme-fc-driver.h`

use core::{
    mem::ManuallyDrop,
    ptr::{
        self,
        NonNull, //
    }, //
};

use kernel::{
    error::to_result,
    module::this_module,
    prelude::*,
    types::Opaque, //
};

use crate::{
    bindings,
    order::TemplateKind,
    state::{
        Local,
        Remote,
        LOCALS,
        REMOTES, //
    },
    target::DISCONNECT_LENGTH,
    template,
    TestLldd, //
};

/// World wide names: of nodes, and of ports; the low bits are the numbers of the ports.
const NODE: u64 = 0x1000_0022_0000_0000;
const PORT: u64 = 0x2000_0022_0000_0000;
const LOCAL: u64 = 0xaa00_0000;
const REMOTE: u64 = 0xab00_0000;

/// Role of a remote port: a target with a discovery controller.
const TARGET: u32 = 0x60;

fn local_number(local: Local) -> u64 {
    LOCAL | local.0 as u64
}

fn remote_number(remote: Remote) -> u64 {
    REMOTE | (remote.local.0 as u64) << 8 | remote.number as u64
}

/// Which local port has this name.
fn local_of(port_name: u64) -> Option<Local> {
    (0..LOCALS)
        .map(Local)
        .find(|local| port_name == PORT | local_number(*local))
}

/// Which remote port has this name.
fn remote_of(port_name: u64) -> Option<Remote> {
    (0..LOCALS)
        .flat_map(|local| {
            (0..REMOTES).map(move |number| Remote {
                local: Local(local),
                number,
            })
        })
        .find(|remote| port_name == PORT | remote_number(*remote))
}

/// # Safety
///
/// `port` is valid.
pub(crate) unsafe fn local_of_port(port: *mut bindings::nvme_fc_local_port) -> Option<Local> {
    // SAFETY: By the contract of this function; names do not change.
    local_of(unsafe { (*port).port_name })
}

/// # Safety
///
/// `port` is valid.
pub(crate) unsafe fn remote_of_port(port: *mut bindings::nvme_fc_remote_port) -> Option<Remote> {
    // SAFETY: By the contract of this function; names do not change.
    remote_of(unsafe { (*port).port_name })
}

/// A reference to this module, which cannot be unloaded as long as there is one.
pub(crate) struct ModuleRef(());

impl ModuleRef {
    /// Takes one. `ENODEV`: the module is being unloaded.
    pub(crate) fn take() -> Result<Self> {
        // SAFETY: It is that of this very code.
        if unsafe { bindings::try_module_get(this_module::<TestLldd>().as_ptr()) } {
            Ok(Self(()))
        } else {
            Err(ENODEV)
        }
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: It was taken. Whoever drops it has another one, for he reads or writes a file.
        unsafe { bindings::module_put(this_module::<TestLldd>().as_ptr()) };
    }
}

fn port_info(number: u64, role: u32, dev_loss_tmo: u32) -> bindings::nvme_fc_port_info {
    bindings::nvme_fc_port_info {
        node_name: NODE | number,
        port_name: PORT | number,
        port_role: role,
        // CAST: An address of 24 bits.
        port_id: (number & 0xff_ffff) as u32,
        dev_loss_tmo,
    }
}

/// A local port that is registered.
///
/// # Invariants
///
/// It is, so that the pointer is valid.
pub(crate) struct LocalPort(NonNull<bindings::nvme_fc_local_port>);

// SAFETY: The transport does its own locking.
unsafe impl Send for LocalPort {}

impl LocalPort {
    /// Registers it. The driver may be called for it until the callback has returned: so long there
    /// has to be a reference to the module, which the result has. May sleep.
    pub(crate) fn register(local: Local, kind: TemplateKind) -> Result<(Self, ModuleRef)> {
        let module = ModuleRef::take()?;
        let mut info = port_info(local_number(local), 0, 0);
        let mut port = ptr::null_mut();
        // SAFETY: Information and result are read and written until this returns. The template is
        // a static of this module, which is not written.
        to_result(unsafe {
            bindings::nvme_fc_register_localport(
                &raw mut info,
                template::template(kind),
                ptr::null_mut(),
                &raw mut port,
            )
        })?;
        // INVARIANT: It was just registered.
        Ok((Self(NonNull::new(port).ok_or(EFAULT)?), module))
    }

    /// Unregisters it. May sleep.
    pub(crate) fn unregister(self) -> Result<(), (Self, Error)> {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::nvme_fc_unregister_localport(self.0.as_ptr()) })
            .map_err(|error| (self, error))
    }

    /// Unregisters no port.
    pub(crate) fn unregister_null() -> Result {
        // SAFETY: Null is refused.
        to_result(unsafe { bindings::nvme_fc_unregister_localport(ptr::null_mut()) })
    }
}

/// A remote port that is registered.
///
/// # Invariants
///
/// It is, so that the pointer is valid.
pub(crate) struct RemotePort(NonNull<bindings::nvme_fc_remote_port>);

// SAFETY: The transport does its own locking.
unsafe impl Send for RemotePort {}

impl RemotePort {
    /// Registers it. As [`LocalPort::register()`].
    pub(crate) fn register(
        local: &LocalPort,
        remote: Remote,
        dev_loss_tmo: u32,
    ) -> Result<(Self, ModuleRef)> {
        let module = ModuleRef::take()?;
        let mut info = port_info(remote_number(remote), TARGET, dev_loss_tmo);
        let mut port = ptr::null_mut();
        // SAFETY: By the type invariant of the local port; information and result are read and
        // written until this returns.
        to_result(unsafe {
            bindings::nvme_fc_register_remoteport(local.0.as_ptr(), &raw mut info, &raw mut port)
        })?;
        // INVARIANT: It was just registered.
        Ok((Self(NonNull::new(port).ok_or(EFAULT)?), module))
    }

    /// Unregisters it. May sleep.
    pub(crate) fn unregister(self) -> Result<(), (Self, Error)> {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::nvme_fc_unregister_remoteport(self.0.as_ptr()) })
            .map_err(|error| (self, error))
    }

    /// Unregisters no port.
    pub(crate) fn unregister_null() -> Result {
        // SAFETY: Null is refused.
        to_result(unsafe { bindings::nvme_fc_unregister_remoteport(ptr::null_mut()) })
    }

    /// Changes for how long controllers wait for it, in seconds.
    pub(crate) fn set_dev_loss(&self, seconds: u32) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::nvme_fc_set_remoteport_devloss(self.0.as_ptr(), seconds) })
    }

    /// The target sends an LS request. May sleep.
    pub(crate) fn receive(&self, mut request: [u8; DISCONNECT_LENGTH]) -> Result {
        let response = KBox::new(Opaque::<bindings::nvmefc_ls_rsp>::zeroed(), GFP_KERNEL)?;
        let response = ManuallyDrop::new(response);
        // SAFETY: By the type invariant. The request is copied. The response is the transport's
        // until it was sent, if this succeeds.
        let received = to_result(unsafe {
            bindings::nvme_fc_rcv_ls_req(
                self.0.as_ptr(),
                response.get(),
                request.as_mut_ptr().cast(),
                // CAST: It is small.
                DISCONNECT_LENGTH as u32,
            )
        });
        if received.is_err() {
            drop(ManuallyDrop::into_inner(response));
        }
        received
    }
}

/// A remote port whose callback is running.
pub(crate) struct DeletedRemote(NonNull<bindings::nvme_fc_remote_port>);

impl DeletedRemote {
    /// # Safety
    ///
    /// `port` is valid as long as the result is there.
    pub(crate) unsafe fn from_raw(port: NonNull<bindings::nvme_fc_remote_port>) -> Self {
        Self(port)
    }

    /// Unregisters it once more.
    pub(crate) fn unregister(&self) -> Result {
        // SAFETY: The port is valid, for its callback is running.
        to_result(unsafe { bindings::nvme_fc_unregister_remoteport(self.0.as_ptr()) })
    }
}

/// A local port whose callback is running.
pub(crate) struct DeletedLocal(NonNull<bindings::nvme_fc_local_port>);

impl DeletedLocal {
    /// # Safety
    ///
    /// `port` is valid as long as the result is there.
    pub(crate) unsafe fn from_raw(port: NonNull<bindings::nvme_fc_local_port>) -> Self {
        Self(port)
    }

    /// Unregisters it once more.
    pub(crate) fn unregister(&self) -> Result {
        // SAFETY: The port is valid, for its callback is running.
        to_result(unsafe { bindings::nvme_fc_unregister_localport(self.0.as_ptr()) })
    }
}

/// An LS request of the transport, which waits for it to end.
///
/// # Invariants
///
/// The pointer is valid, and nobody else ends the request.
pub(crate) struct Request(NonNull<bindings::nvmefc_ls_req>);

// SAFETY: Any thread may end it.
unsafe impl Send for Request {}

impl Request {
    /// # Safety
    ///
    /// It is valid until its `done` is called, which nobody else does.
    pub(crate) unsafe fn from_raw(request: NonNull<bindings::nvmefc_ls_req>) -> Self {
        // INVARIANT: By the contract of this function.
        Self(request)
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, request: *mut bindings::nvmefc_ls_req) -> bool {
        self.0.as_ptr() == request
    }

    /// Which LS it is.
    pub(crate) fn ls(&self) -> u8 {
        // SAFETY: By the type invariant; it begins with the command.
        unsafe { (*self.0.as_ptr()).rqstaddr.cast::<u8>().read() }
    }

    /// It ends with an answer.
    pub(crate) fn answer(self, bytes: &[u8]) {
        // SAFETY: By the type invariant; there is room for `rsplen` bytes.
        unsafe {
            let request = self.0.as_ptr();
            let length = bytes.len().min((*request).rsplen as usize);
            ptr::copy_nonoverlapping(bytes.as_ptr(), (*request).rspaddr.cast(), length);
        }
        self.done(0);
    }

    /// It ends without an answer.
    pub(crate) fn fail(self, error: Error) {
        self.done(error.to_errno());
    }

    fn done(self, status: c_int) {
        // SAFETY: By the type invariant.
        unsafe {
            if let Some(done) = (*self.0.as_ptr()).done {
                done(self.0.as_ptr(), status);
            }
        }
    }
}

/// A command of the transport.
///
/// # Invariants
///
/// The pointer is valid, and nobody else ends the command.
pub(crate) struct Command(NonNull<bindings::nvmefc_fcp_req>);

// SAFETY: Any thread may end it.
unsafe impl Send for Command {}

/// Where connection and command are in the command IU, and the length of a response with a result.
const CONNECTION: usize = 8;
const SQE: usize = 24;
const RESPONSE: usize = 32;

impl Command {
    /// # Safety
    ///
    /// It is valid until its `done` is called, which nobody else does.
    pub(crate) unsafe fn from_raw(command: NonNull<bindings::nvmefc_fcp_req>) -> Self {
        // INVARIANT: By the contract of this function.
        Self(command)
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, command: *mut bindings::nvmefc_fcp_req) -> bool {
        self.0.as_ptr() == command
    }

    /// The NVMe command.
    pub(crate) fn sqe(&self) -> [u8; 64] {
        // SAFETY: By the type invariant; a command IU has 96 bytes.
        unsafe {
            (*self.0.as_ptr())
                .cmdaddr
                .cast::<u8>()
                .add(SQE)
                .cast::<[u8; 64]>()
                .read()
        }
    }

    /// Number of its connection.
    pub(crate) fn connection(&self) -> u64 {
        // SAFETY: As above.
        let number = unsafe {
            let unit = (*self.0.as_ptr()).cmdaddr.cast::<u8>();
            unit.add(CONNECTION).cast::<[u8; 8]>().read()
        };
        u64::from_be_bytes(number)
    }

    /// It ends well, with `result` and `data`, or zeroes.
    pub(crate) fn complete(self, result: u64, data: Option<&[u8]>) {
        let sqe = self.sqe();
        let command = self.0.as_ptr();
        // SAFETY: By the type invariant; the table is of memory for `payload_length` bytes, the
        // response has `RESPONSE` bytes, and whoever began the command waits for both.
        unsafe {
            let length = (*command).payload_length;
            if let Some(data) = data {
                bindings::sg_copy_from_buffer(
                    (*command).sg_table.sgl,
                    // CAST: There are few.
                    (*command).sg_cnt as c_uint,
                    data.as_ptr().cast(),
                    data.len().min(length as usize),
                );
            }
            let mut response = [0_u8; RESPONSE];
            // Length in words, data transferred, result, number of the command.
            response[2..4].copy_from_slice(&8_u16.to_be_bytes());
            response[8..12].copy_from_slice(&length.to_be_bytes());
            response[16..24].copy_from_slice(&result.to_le_bytes());
            response[28..30].copy_from_slice(&sqe[2..4]);
            (*command).rspaddr.cast::<[u8; RESPONSE]>().write(response);
            // CAST: It is small.
            (*command).rcv_rsplen = RESPONSE as u16;
            (*command).transferred_length = length;
            (*command).status = 0;
        }
        self.done();
    }

    /// It fails.
    pub(crate) fn fail(self) {
        // SAFETY: By the type invariant.
        unsafe {
            (*self.0.as_ptr()).rcv_rsplen = 0;
            (*self.0.as_ptr()).transferred_length = 0;
            // CAST: Any other number than 0 will do.
            (*self.0.as_ptr()).status = ECANCELED.to_errno() as u32;
        }
        self.done();
    }

    fn done(self) {
        // SAFETY: By the type invariant.
        unsafe {
            if let Some(done) = (*self.0.as_ptr()).done {
                done(self.0.as_ptr());
            }
        }
    }
}

/// The transport's response to an LS request of the target, to be sent.
pub(crate) struct Response(KBox<Opaque<bindings::nvmefc_ls_rsp>>);

// SAFETY: Any thread may send it.
unsafe impl Send for Response {}

impl Response {
    /// # Safety
    ///
    /// It comes from [`RemotePort::receive()`], and the transport gives it back to be sent.
    pub(crate) unsafe fn from_raw(response: NonNull<bindings::nvmefc_ls_rsp>) -> Self {
        // SAFETY: By the contract of this function it was made of such a box.
        Self(unsafe { KBox::from_raw(response.as_ptr().cast()) })
    }

    /// It was sent.
    pub(crate) fn sent(self) {
        // SAFETY: The transport has filled it in, and waits for this.
        unsafe {
            if let Some(done) = (*self.0.get()).done {
                done(self.0.get());
            }
        }
    }
}
