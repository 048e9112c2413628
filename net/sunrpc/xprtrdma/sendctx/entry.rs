// SPDX-License-Identifier: GPL-2.0

//! The functions that the C files of rpcrdma call.
//!
//! Two threads may be in here for a transport at the same time: one that holds the transport's
//! send lock (`XPRT_LOCKED`), and one that polls the Send completion queue.

use core::ptr;

use kernel::{
    ffi::{
        c_int,
        c_uint, //
    },
    prelude::*, //
};

use crate::{
    bindings,
    connection::{
        Connection,
        Sender,
        Unknown, //
    },
    ext::module::c_module,
    object::CObject,
    statistics,
    transport::Transport, //
};

/// Makes the Send contexts for the connection of `r_xprt`. Returns 0, or `-ENOMEM`, and nothing
/// was made.
///
/// # Safety
///
/// `r_xprt` must have an endpoint with the device's attributes and no Send contexts, and nobody
/// else uses either.
#[no_mangle]
unsafe extern "C" fn rpcrdma_sendctxs_create(r_xprt: *mut bindings::rpcrdma_xprt) -> c_int {
    // SAFETY: By the contract of this function.
    let (transport, endpoint) = unsafe {
        let transport = Transport::from_raw(r_xprt);
        (transport, transport.endpoint())
    };
    match Connection::new(endpoint) {
        Ok(connection) => {
            transport.begin(connection);
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// Releases the Sends of `r_xprt` whose end was not reported, and frees its Send contexts. Does
/// nothing if there are none.
///
/// # Safety
///
/// Nobody else may use the transport. Its Send Queue must have been drained, and no completion of
/// it may come any more.
#[no_mangle]
unsafe extern "C" fn rpcrdma_sendctxs_destroy(r_xprt: *mut bindings::rpcrdma_xprt) {
    // SAFETY: By the contract of this function.
    let transport = unsafe { Transport::from_raw(r_xprt) };
    // SAFETY: As above.
    if let Some(connection) = unsafe { transport.end() } {
        KBox::into_inner(connection).close();
    }
}

/// Uses the end of a connection that posts Sends. `None`: `r_xprt` is not connected.
///
/// # Safety
///
/// `r_xprt` must be valid, and the caller must have its send lock.
unsafe fn with_sender<R>(
    r_xprt: *mut bindings::rpcrdma_xprt,
    action: impl FnOnce(&mut Sender, &Transport) -> R,
) -> Option<R> {
    // SAFETY: By the contract of this function.
    let transport = unsafe { Transport::from_raw(r_xprt) };
    // SAFETY: As above: the connection ends under the send lock too.
    let connection = unsafe { transport.connection() }?;
    // SAFETY: As above: the send lock is for this end, and is held until `action` is done.
    Some(action(unsafe { connection.sender.get() }, transport))
}

/// Takes a Send context of `r_xprt`. Null: all of them are in use; the transport has been told
/// that the caller waits until there is room (`XPRT_WRITE_SPACE`), and the caller is to try again.
///
/// # Safety
///
/// `r_xprt` must be connected, and the caller must have its send lock.
#[no_mangle]
unsafe extern "C" fn rpcrdma_sendctx_get_locked(
    r_xprt: *mut bindings::rpcrdma_xprt,
) -> *mut bindings::rpcrdma_sendctx {
    // SAFETY: By the contract of this function.
    let context = unsafe {
        with_sender(r_xprt, |sender, transport| {
            sender.get(transport).map(CObject::as_raw)
        })
    };
    context.flatten().unwrap_or(ptr::null_mut())
}

/// Gives back `sc`, which the last `rpcrdma_sendctx_get_locked()` took and in which no Send was
/// posted.
///
/// # Safety
///
/// As for `rpcrdma_sendctx_get_locked()`.
#[no_mangle]
unsafe extern "C" fn rpcrdma_sendctx_unget_locked(
    r_xprt: *mut bindings::rpcrdma_xprt,
    sc: *mut bindings::rpcrdma_sendctx,
) {
    // SAFETY: By the contract of this function.
    let known = unsafe { with_sender(r_xprt, |sender, transport| sender.unget(transport, sc)) };
    if known != Some(true) {
        kernel::pr_err_once!("a Send context is given back that was not the last one taken\n");
    }
}

/// The Send in `sc`, which the last `rpcrdma_sendctx_get_locked()` took, is about to be posted,
/// the last of a chain of `num_wrs` work requests. Whether it is to be signalled.
///
/// # Safety
///
/// As for `rpcrdma_sendctx_get_locked()`.
#[no_mangle]
unsafe extern "C" fn rpcrdma_sendctx_post(
    r_xprt: *mut bindings::rpcrdma_xprt,
    sc: *mut bindings::rpcrdma_sendctx,
    num_wrs: c_uint,
    must_signal: bool,
) -> bool {
    // SAFETY: By the contract of this function.
    let signaled =
        unsafe { with_sender(r_xprt, |sender, _| sender.post(sc, num_wrs, must_signal)) };
    let signaled = signaled.flatten();
    if signaled.is_none() {
        // Its completion is of no outstanding Send, and closes the connection.
        kernel::pr_err_once!(
            "a Send is posted in a Send context that was not the last one taken\n"
        );
    }
    signaled.unwrap_or(true)
}

/// The Send in `sc` has completed, and all those before it. Releases them, and wakes a sender that
/// waits.
///
/// # Safety
///
/// `r_xprt` must be valid, and the caller must be the handler of its endpoint's Send completion
/// queue; those of earlier endpoints were drained. `sc` is only compared.
#[no_mangle]
unsafe extern "C" fn rpcrdma_sendctx_put_locked(
    r_xprt: *mut bindings::rpcrdma_xprt,
    sc: *mut bindings::rpcrdma_sendctx,
) {
    // SAFETY: By the contract of this function. The connection ends after the Send Queue was
    // drained.
    let transport = unsafe { Transport::from_raw(r_xprt) };
    // SAFETY: As above; a completion queue has one handler at a time, whose end this is.
    let completer = unsafe {
        transport
            .connection()
            .map(|connection| connection.completer.get())
    };
    let done = match completer {
        Some(completer) => completer.put(transport, sc),
        None => Err(Unknown { first: true }),
    };
    if let Err(Unknown { first }) = done {
        if first {
            transport.warn("completion of a Send that is not outstanding, closing the connection");
        }
        // SAFETY: By the contract of this function; C cancels the handler before it frees the
        // endpoint.
        unsafe { transport.force_disconnect() };
    }
}

c_module!(pub(crate) Rpcrdma, c"rpcrdma");

/// The module is loaded.
#[no_mangle]
extern "C" fn rpcrdma_sendctx_init() {
    statistics::show();
}

/// The module goes: there are no transports any more.
#[no_mangle]
extern "C" fn rpcrdma_sendctx_exit() {
    statistics::hide();
}

/// Does not compile unless the functions have the prototypes that the headers give them.
macro_rules! assert_prototypes {
    ($($name:ident),* $(,)?) => {
        const _: () = {
            $(let _ = [$name, bindings::$name];)*
        };
    };
}

assert_prototypes!(
    rpcrdma_sendctxs_create,
    rpcrdma_sendctxs_destroy,
    rpcrdma_sendctx_get_locked,
    rpcrdma_sendctx_unget_locked,
    rpcrdma_sendctx_post,
    rpcrdma_sendctx_put_locked,
    rpcrdma_sendctx_init,
    rpcrdma_sendctx_exit,
);
