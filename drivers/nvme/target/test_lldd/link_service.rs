// SPDX-License-Identifier: GPL-2.0

//! Link services that an initiator requests, and their responses.

use core::{
    ptr,
    slice, //
};

use kernel::{
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
    port::Port, //
};

/// Bytes of a response that are kept: all of those that there are.
const KEPT: usize = 64;

/// What is known of a request.
struct Record {
    returned: Option<i32>,
    answers: u32,
    length: u16,
    response: [u8; KEPT],
}

/// A link service request, with its exchange.
#[pin_data]
pub(crate) struct LinkService {
    #[pin]
    exchange: Opaque<bindings::nvmefc_ls_rsp>,
    id: u32,
    #[pin]
    record: SpinLockIrq<Record>,
}

// SAFETY: The exchange is the transport's from the request to the response; who has it is told by
// that. The rest is locked.
unsafe impl Send for LinkService {}
// SAFETY: As above.
unsafe impl Sync for LinkService {}

/// The host that all requests come from.
static HOST: u8 = 0;

impl LinkService {
    /// One that was not handed over yet.
    pub(crate) fn new(id: u32) -> Result<Arc<Self>> {
        let record = Record {
            returned: None,
            answers: 0,
            length: 0,
            response: [0; KEPT],
        };
        Arc::pin_init(
            pin_init!(Self {
                // SAFETY: Zeroes are valid for all fields.
                exchange <- Opaque::ffi_init(|exchange: *mut bindings::nvmefc_ls_rsp| unsafe {
                    exchange.write_bytes(0, 1);
                }),
                id,
                record <- new_spinlock_irq!(record, "nvmet_fc_test_ls"),
            }),
            GFP_KERNEL,
        )
    }

    /// Hands it over, once, with this content. The caller keeps `this` until all ports are deleted.
    pub(crate) fn receive(this: &Arc<Self>, port: &Port, content: &mut [u8]) -> Result {
        let length = u32::try_from(content.len())?;
        // SAFETY: The port is registered. The exchange is used for the first time, and stays. The
        // content is copied before this returns. The host is an address only.
        let returned = unsafe {
            bindings::nvmet_fc_rcv_ls_req(
                port.as_ptr(),
                ptr::from_ref(&HOST).cast_mut().cast(),
                this.exchange.get(),
                content.as_mut_ptr().cast(),
                length,
            )
        };
        this.record.lock().returned = Some(returned);
        kernel::error::to_result(returned)
    }

    /// The one with this exchange.
    ///
    /// # Safety
    ///
    /// It is one of [`Self::receive()`], which stays for `'a`.
    pub(crate) unsafe fn from_response<'a>(exchange: *mut bindings::nvmefc_ls_rsp) -> &'a Self {
        let exchange = exchange.cast::<Opaque<bindings::nvmefc_ls_rsp>>();
        // SAFETY: By the contract of this function.
        unsafe { &*kernel::container_of!(exchange, Self, exchange) }
    }

    /// The transport has the response sent.
    pub(crate) fn answer(&self) {
        let exchange = self.exchange.get();
        // SAFETY: The exchange is the LLDD's from now on, until `done()`, and the response is
        // there.
        let (response, done) = unsafe {
            let length = usize::from((*exchange).rsplen).min(KEPT);
            let from = (*exchange).rspbuf.cast::<u8>();
            (slice::from_raw_parts(from, length), (*exchange).done)
        };
        {
            let mut record = self.record.lock();
            record.answers += 1;
            record.length = response.len() as u16;
            record.response[..response.len()].copy_from_slice(response);
        }
        if let Some(done) = done {
            // SAFETY: It is what the transport wants to have called when the response was sent.
            unsafe { done(exchange) };
        }
    }

    /// Whether a response is owed.
    pub(crate) fn is_out(&self) -> bool {
        let record = self.record.lock();
        record.returned == Some(0) && record.answers == 0
    }

    /// How often there was a response too many.
    pub(crate) fn faults(&self) -> u32 {
        let record = self.record.lock();
        let owed = u32::from(record.returned.is_none_or(|returned| returned == 0));
        record.answers.saturating_sub(owed)
    }

    /// A line about it.
    pub(crate) fn show(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (returned, answers, length, response) = {
            let record = self.record.lock();
            (
                record.returned,
                record.answers,
                record.length,
                record.response,
            )
        };
        write!(out, "{} rcv=", self.id)?;
        match returned {
            None => write!(out, "?")?,
            Some(value) => write!(out, "{value}")?,
        }
        write!(out, " answers={answers} rsp=")?;
        for byte in response.iter().take(length.into()) {
            write!(out, "{byte:02x}")?;
        }
        writeln!(out)
    }
}
