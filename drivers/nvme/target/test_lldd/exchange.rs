// SPDX-License-Identifier: GPL-2.0

//! A command of an initiator, with its exchange.

use core::{
    mem::size_of,
    ptr, //
};

use kernel::{
    error::to_result,
    fmt,
    prelude::*,
    sync::{
        new_spinlock_irq,
        Arc,
        SpinLockIrq, //
    },
    types::Opaque, //
};

use crate::{
    bindings,
    lldd,
    order::{
        Bad,
        Command,
        Kind, //
    },
    port::Port,
    record::{
        Asked,
        Record,
        Response, //
    },
    wire, //
};

/// What is in the buffer of a command IU when the LLDD has reused it.
const REUSED: u8 = 0xa5;

/// What the operations of an exchange end with that is aborted (`NVME_SC_HOST_ABORTED_CMD`).
const ABORTED: i32 = 0x371;

/// A command, with its exchange. The transport may still use it when it must not: it stays until
/// all ports are deleted.
#[pin_data]
pub(crate) struct Exchange {
    #[pin]
    request: Opaque<bindings::nvmefc_tgt_fcp_req>,
    /// The buffer that the command IU was received in.
    #[pin]
    buffer: Opaque<bindings::nvme_fc_cmd_iu>,
    id: u32,
    /// What the host sends as data.
    data: KVec<u8>,
    #[pin]
    record: SpinLockIrq<Record>,
}

// SAFETY: The request and the buffer are the transport's, or the LLDD's: the transport says so by
// what it returns and calls. The LLDD uses them only when they are its own. The rest is locked.
unsafe impl Send for Exchange {}
// SAFETY: As above.
unsafe impl Sync for Exchange {}

impl Exchange {
    /// The command `number` of an order, which was not handed over yet.
    pub(crate) fn new(order: &Command<'_>, number: u32) -> Result<Arc<Self>> {
        let id = order.id.checked_add(number).ok_or(EINVAL)?;
        let iu = command_iu(order, id)?;
        let mut data = KVec::with_capacity(order.data.len(), GFP_KERNEL)?;
        for byte in order.data.bytes() {
            data.push(byte, GFP_KERNEL)?;
        }
        let record = Record::new(id as u16, order.hold, order.late, order.refuse);
        Arc::pin_init(
            pin_init!(Self {
                // SAFETY: Zeroes are valid for all fields.
                request <- Opaque::ffi_init(|request: *mut bindings::nvmefc_tgt_fcp_req| unsafe {
                    request.write_bytes(0, 1);
                }),
                buffer: Opaque::new(iu),
                id,
                data,
                record <- new_spinlock_irq!(record, "nvmet_fc_test_lldd"),
            }),
            GFP_KERNEL,
        )
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Hands it over, once. The caller keeps `this` until all ports are deleted.
    pub(crate) fn receive(this: &Arc<Self>, port: &Port, bad: Bad) -> Result {
        let right = size_of::<bindings::nvme_fc_cmd_iu>() as u32;
        let length = if bad == Bad::Length { right - 4 } else { right };
        // SAFETY: The port is registered. The exchange is used for the first time, and stays; the
        // buffer is not changed before the transport says that it may be.
        let returned = unsafe {
            bindings::nvmet_fc_rcv_fcp_req(
                port.as_ptr(),
                this.request.get(),
                this.buffer.get().cast(),
                length,
            )
        };
        if this.record.lock().returned(returned) {
            this.reuse_buffer();
        }
        to_result(returned)
    }

    /// An ABTS for the exchange is received.
    pub(crate) fn abort(&self, port: &Port) {
        // SAFETY: The port is registered; the request stays, and it was handed over, or zeroed.
        unsafe { bindings::nvmet_fc_rcv_fcp_abort(port.as_ptr(), self.request.get()) };
    }

    /// The one with this request.
    ///
    /// # Safety
    ///
    /// It is one of [`Self::receive()`], which stays for `'a`.
    pub(crate) unsafe fn from_request<'a>(request: *mut bindings::nvmefc_tgt_fcp_req) -> &'a Self {
        let request = request.cast::<Opaque<bindings::nvmefc_tgt_fcp_req>>();
        // SAFETY: By the contract of this function.
        unsafe { &*kernel::container_of!(request, Self, request) }
    }

    /// Whatever is in the buffer, the transport must not see it any more.
    fn reuse_buffer(&self) {
        // SAFETY: The transport has said that the buffer is the LLDD's. Only bytes are written.
        unsafe { self.buffer.get().write_bytes(REUSED, 1) };
    }

    /// The transport wants something to be done.
    pub(crate) fn ask(&self) -> Result {
        let request = self.request.get();
        // SAFETY: The request is the LLDD's during this call.
        let kind = match c_uint::from(unsafe { (*request).op }) {
            bindings::NVMET_FCOP_READDATA => Kind::Read,
            bindings::NVMET_FCOP_WRITEDATA => Kind::Write,
            bindings::NVMET_FCOP_READDATA_RSP => Kind::ReadAndRespond,
            bindings::NVMET_FCOP_RSP => Kind::Respond,
            _ => return Err(EINVAL),
        };
        let response = matches!(kind, Kind::Respond | Kind::ReadAndRespond).then(|| {
            // SAFETY: As above; the transport has set the response.
            unsafe { response(request) }
        });
        match self.record.lock().ask(kind, response, lldd::flows()) {
            Asked::Refuse => return Err(EIO),
            Asked::Now | Asked::Later => {}
        }
        wire::kick(0);
        Ok(())
    }

    /// The transport has aborted the exchange.
    pub(crate) fn aborted(&self) {
        if self.record.lock().abort(lldd::is_silent()) {
            wire::kick(0);
        }
    }

    /// The transport has given the exchange back.
    pub(crate) fn released(&self) {
        self.record.lock().release();
    }

    /// The transport does not need the buffer any more.
    pub(crate) fn defer_rcv(&self) {
        if self.record.lock().defer_rcv() {
            self.reuse_buffer();
        }
    }

    /// Completes what the transport has asked for, with this error, or that of an exchange that was
    /// aborted. `EAGAIN`: there is nothing to complete, or nothing that is due.
    pub(crate) fn complete(&self, only_due: bool, error: i32) -> Result {
        let (kind, aborted) = self.record.lock().take(only_due).ok_or(EAGAIN)?;
        let error = if aborted && error == 0 {
            ABORTED
        } else {
            error
        };
        let request = self.request.get();
        // SAFETY: The transport has asked for it, and it was not completed, for it was just taken.
        // So the request is the LLDD's, until `done()` is called, once.
        let done = unsafe {
            if kind == Kind::Write && error == 0 {
                self.fill(request);
            }
            (*request).fcp_error = error;
            (*request).transferred_length = match (kind, error) {
                (Kind::Respond, _) => 0,
                (_, 0) => (*request).transfer_length,
                _ => 0,
            };
            (*request).done
        };
        if let Some(done) = done {
            // SAFETY: As above.
            unsafe { done(request) };
        }
        Ok(())
    }

    /// The host has sent its data.
    ///
    /// # Safety
    ///
    /// The transport waits for them with this request.
    unsafe fn fill(&self, request: *mut bindings::nvmefc_tgt_fcp_req) {
        // SAFETY: By the contract of this function.
        let (list, entries, offset) =
            unsafe { ((*request).sg, (*request).sg_cnt, (*request).offset) };
        let data = self.data.get(offset as usize..).unwrap_or(&[]);
        if let (Ok(entries), false) = (c_uint::try_from(entries), data.is_empty()) {
            // SAFETY: The list has so many entries, whose pages the transport has allocated. No
            // more is copied than they have room for.
            unsafe {
                bindings::sg_pcopy_from_buffer(list, entries, data.as_ptr().cast(), data.len(), 0)
            };
        }
    }

    /// Milliseconds until something is to be completed.
    pub(crate) fn wait(&self) -> Option<u32> {
        self.record.lock().wait()
    }

    /// Nothing of it is held any more.
    pub(crate) fn flow(&self) {
        if self.record.lock().flow() {
            wire::kick(0);
        }
    }

    /// Whether the transport has it.
    pub(crate) fn is_out(&self) -> bool {
        self.record.lock().is_out()
    }

    /// Whether the transport waits for the LLDD.
    pub(crate) fn is_asked(&self) -> bool {
        self.record.lock().is_asked()
    }

    /// A line about it.
    pub(crate) fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ", self.id)?;
        self.record.lock().show(out)?;
        writeln!(out)
    }

    /// How often the transport has done what it must not.
    pub(crate) fn faults(&self) -> u32 {
        self.record.lock().faults()
    }
}

/// The command IU of a command.
fn command_iu(order: &Command<'_>, id: u32) -> Result<bindings::nvme_fc_cmd_iu> {
    /// Where the number of a command is in it.
    const NUMBER: usize = 2;

    let words = (size_of::<bindings::nvme_fc_cmd_iu>() / 4) as u16;
    let wrong = |kind| u8::from(order.bad == kind);
    let mut iu = bindings::nvme_fc_cmd_iu {
        format_id: bindings::NVME_CMD_FORMAT_ID as u8 ^ wrong(Bad::Format),
        fc_id: bindings::LLDD_CMD_FC_ID ^ wrong(Bad::FcId),
        iu_len: (words + u16::from(wrong(Bad::IuLength))).to_be(),
        flags: order.flags,
        connection_id: order.connection.to_be(),
        data_len: order.size.to_be(),
        ..pin_init::zeroed()
    };
    let size = size_of::<bindings::nvme_command>();
    if order.sqe.len() != size {
        return Err(EINVAL);
    }
    let number = (id as u16).to_le_bytes();
    let sqe = (&raw mut iu.sqe).cast::<u8>();
    for (at, byte) in order.sqe.bytes().enumerate() {
        let byte = match at {
            NUMBER => number[0],
            at if at == NUMBER + 1 => number[1],
            _ => byte,
        };
        // SAFETY: There are as many bytes as the command has.
        unsafe { sqe.add(at).write(byte) };
    }
    Ok(iu)
}

/// What a response says.
///
/// # Safety
///
/// The transport has set the response of `request`.
unsafe fn response(request: *mut bindings::nvmefc_tgt_fcp_req) -> Response {
    // SAFETY: By the contract of this function.
    let (buffer, length) = unsafe { ((*request).rspaddr, (*request).rsplen) };
    if usize::from(length) < size_of::<bindings::nvme_fc_ersp_iu>() {
        // The short form: nothing went wrong, and there is no result.
        return Response::default();
    }
    // SAFETY: As above, and it is long enough.
    let entry = unsafe {
        let extended = ptr::read_unaligned(buffer.cast::<bindings::nvme_fc_ersp_iu>());
        extended.cqe
    };
    // SAFETY: All bytes of the result are initialised.
    let result = unsafe { *entry.result.u64_.as_ref() };
    Response {
        status: u16::from_le(entry.status) >> 1,
        result: u64::from_le(result),
        command: Some(u16::from_le(entry.command_id)),
    }
}
