// SPDX-License-Identifier: GPL-2.0

//! The functions that the C files of ib_iser call, the iSCSI transport class, and the CM.
//!
//! They are called in process context, unless they say otherwise.

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    ffi::{
        c_char,
        c_int, //
    },
    prelude::*,
    sync::Arc, //
};

use crate::{
    bindings,
    connection::{
        self,
        Progress, //
    },
    object::CObject,
    transport::{
        cm::CmEvent,
        connection::Connection,
        iscsi::{
            Endpoint,
            IscsiConn,
            StopRequest, //
        },
    },
};

/// 0, or what went wrong.
fn to_errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Makes a connection to `dst_addr`. Returns its endpoint, or an error pointer; with
/// `non_blocking`, `ep_poll` says whether it is there.
///
/// # Safety
///
/// `dst_addr` is a socket address of the size that its family has.
#[no_mangle]
unsafe extern "C" fn iser_ep_connect(
    dst_addr: *mut bindings::sockaddr,
    non_blocking: c_int,
) -> *mut bindings::iscsi_endpoint {
    let (raw, connection) = match Endpoint::create() {
        Ok(made) => made,
        Err(error) => return error.to_ptr(),
    };
    // SAFETY: By the contract of this function; the connection is new.
    let connected = connection::connect(&connection, |locked| unsafe { locked.connect(dst_addr) });
    let connected = connected.and_then(|()| match non_blocking {
        0 => connection::wait_up(&connection),
        _ => Ok(()),
    });
    match connected {
        Ok(()) => raw.as_ptr(),
        Err(error) => {
            // Nobody else knows the endpoint, unless user space has guessed.
            if let Some(endpoint) = connection.take_endpoint() {
                connection::ep_disconnect(endpoint);
            }
            error.to_ptr()
        }
    }
}

/// Waits for the connection of `ep`, `timeout_ms` at most. Returns 1 if it is there, 0 if it is
/// still being made, or an error: `-ENOTCONN` if there is none.
///
/// # Safety
///
/// `ep` is an endpoint that is valid until this returns, or is destroyed here.
#[no_mangle]
unsafe extern "C" fn iscsi_iser_ep_poll(
    ep: *mut bindings::iscsi_endpoint,
    timeout_ms: c_int,
) -> c_int {
    // SAFETY: By the contract of this function.
    let Some(connection) = unsafe { Endpoint::from_raw(ep) }.connection() else {
        return ENOTCONN.to_errno();
    };
    if let Err(error) = connection.wait_up(Some(timeout_ms)) {
        return error.to_errno();
    }
    match connection::progress(&connection) {
        Progress::Up => 1,
        Progress::Pending => 0,
        Progress::Failed => ENOTCONN.to_errno(),
    }
}

/// Ends the connection of `ep`, and destroys `ep`. Waits for nobody.
///
/// # Safety
///
/// As for `iscsi_iser_ep_poll()`.
#[no_mangle]
unsafe extern "C" fn iscsi_iser_ep_disconnect(ep: *mut bindings::iscsi_endpoint) {
    // SAFETY: By the contract of this function.
    let taken = unsafe { Endpoint::from_raw(ep) }.take_owner();
    if let Some(endpoint) = taken {
        connection::ep_disconnect(endpoint);
    }
}

/// Binds `cls_conn` to the connection of the endpoint with number `transport_eph`. Returns 0 or an
/// error: `-EINVAL` if there is none, or it is not up, or one of them is bound. What was bound
/// before is stopped, if its endpoint is gone and it has ended.
///
/// # Safety
///
/// `cls_session` and `cls_conn` are valid, and nobody else binds, stops or destroys the latter.
#[no_mangle]
unsafe extern "C" fn iscsi_iser_conn_bind(
    cls_session: *mut bindings::iscsi_cls_session,
    cls_conn: *mut bindings::iscsi_cls_conn,
    transport_eph: u64,
    is_leading: c_int,
) -> c_int {
    let recover = bindings::STOP_CONN_RECOVER as c_int;
    // SAFETY: By the contract of this function.
    let of_class =
        unsafe { IscsiConn::of_class(cls_conn).zip(StopRequest::new(cls_conn, recover)) };
    let Some((conn, request)) = of_class else {
        return EINVAL.to_errno();
    };
    // Otherwise libiscsi would go on giving tasks.
    if let Err(error) = connection::stop_ended(&request) {
        return error.to_errno();
    }
    // SAFETY: By the contract of this function.
    let error = unsafe { bindings::iscsi_conn_bind(cls_session, cls_conn, is_leading) };
    if error != 0 {
        return error;
    }
    // SAFETY: It may be called at any time.
    let ep = unsafe { bindings::iscsi_lookup_endpoint(transport_eph) };
    if ep.is_null() {
        pr_err!("can't bind eph {:x}\n", transport_eph);
        return EINVAL.to_errno();
    }
    // SAFETY: It has a reference now.
    let connection = unsafe { Endpoint::from_raw(ep) }.connection();
    // SAFETY: That of the lookup is not used any more.
    unsafe { bindings::iscsi_put_endpoint(ep) };
    match connection {
        Some(connection) => to_errno(connection::bind(&connection, conn)),
        None => EINVAL.to_errno(),
    }
}

/// Starts `cls_conn`. Returns 0 or an error: `-ENOTCONN` if it is not bound, `-EINVAL` if it is of
/// another transport.
///
/// # Safety
///
/// As for `iscsi_iser_conn_bind()`.
#[no_mangle]
unsafe extern "C" fn iscsi_iser_conn_start(cls_conn: *mut bindings::iscsi_cls_conn) -> c_int {
    // SAFETY: By the contract of this function.
    unsafe {
        match IscsiConn::of_class(cls_conn) {
            Some(conn) if conn.is_bound() => bindings::iscsi_conn_start(cls_conn),
            Some(_) => ENOTCONN.to_errno(),
            None => EINVAL.to_errno(),
        }
    }
}

/// `cls_conn` is going to lose its endpoint: it takes no more commands, whoever ends it, until it
/// is bound again. If libiscsi believed that it goes on (`_is_active`), its error handler would
/// have it take commands again, which fail.
///
/// # Safety
///
/// `cls_conn` is null or valid, and its endpoint is locked.
#[no_mangle]
unsafe extern "C" fn iscsi_iser_conn_unbind(
    cls_conn: *mut bindings::iscsi_cls_conn,
    _is_active: bool,
) {
    // SAFETY: By the contract of this function.
    unsafe { bindings::iscsi_conn_unbind(cls_conn, false) };
}

/// Stops `cls_conn`, which is not bound any more.
///
/// # Safety
///
/// As for `iscsi_iser_conn_bind()`.
#[no_mangle]
unsafe extern "C" fn iscsi_iser_conn_stop(cls_conn: *mut bindings::iscsi_cls_conn, flag: c_int) {
    // SAFETY: By the contract of this function.
    if let Some(request) = unsafe { StopRequest::new(cls_conn, flag) } {
        connection::stop(&request);
    }
}

/// Destroys `cls_conn`; ends what it is bound to before, with its endpoint, if user space did not.
/// One of another transport stays.
///
/// # Safety
///
/// `cls_conn` is valid, and used by nobody but the work item that the class has for it.
#[no_mangle]
unsafe extern "C" fn iscsi_iser_conn_destroy(cls_conn: *mut bindings::iscsi_cls_conn) {
    // SAFETY: By the contract of this function.
    unsafe {
        if IscsiConn::of_class(cls_conn).is_none() {
            return;
        }
        StopRequest::before_destruction(cls_conn, connection::ep_disconnect, connection::stop);
        bindings::iscsi_conn_teardown(cls_conn);
    }
}

/// Says to whom `ep` is connected, as `get_ep_param` has it.
///
/// # Safety
///
/// As for `iscsi_iser_ep_poll()`. `buf` has a page.
#[no_mangle]
unsafe extern "C" fn iser_get_ep_param(
    ep: *mut bindings::iscsi_endpoint,
    param: bindings::iscsi_param,
    buf: *mut c_char,
) -> c_int {
    // SAFETY: By the contract of this function.
    let Some(connection) = (unsafe { Endpoint::from_raw(ep) }).connection() else {
        return ENOTCONN.to_errno();
    };
    // The CM id stays as long as that is locked.
    let _locked = connection.lock();
    // SAFETY: By the contract of this function. It has that connection, or meanwhile none, so that
    // it refuses.
    unsafe { bindings::iscsi_iser_get_ep_param(ep, param, buf) }
}

/// The connection of `ep`, with a reference; null if there is none.
///
/// # Safety
///
/// As for `iscsi_iser_ep_poll()`.
#[no_mangle]
unsafe extern "C" fn iser_conn_get(ep: *mut bindings::iscsi_endpoint) -> *mut bindings::iser_conn {
    // SAFETY: By the contract of this function.
    match unsafe { Endpoint::from_raw(ep) }.connection() {
        Some(connection) => Arc::into_raw(connection).cast_mut().cast(),
        None => ptr::null_mut(),
    }
}

/// Gives the reference of `iser_conn_get()` back.
///
/// # Safety
///
/// `iser_conn` comes from there, and is not used any more.
#[no_mangle]
unsafe extern "C" fn iser_conn_put(iser_conn: *mut bindings::iser_conn) {
    // SAFETY: By the contract of this function.
    drop(unsafe { Arc::<Connection>::from_raw(iser_conn.cast()) });
}

/// The handler of the CM ids. Returns 0: the id is destroyed elsewhere.
///
/// # Safety
///
/// Called by the CM for an id of a connection, one event after the other.
#[no_mangle]
unsafe extern "C" fn iser_cma_handler(
    cma_id: *mut bindings::rdma_cm_id,
    event: *mut bindings::rdma_cm_event,
) -> c_int {
    // SAFETY: By the contract of this function. The context owns the connection until the id is
    // destroyed.
    let (connection, event) = unsafe {
        let context = (*cma_id).context.cast();
        (Connection::from_raw(context), CmEvent::new(event, cma_id))
    };
    event.log(ptr::from_ref(connection).cast());
    connection::cm_event(connection, &event);
    0
}

/// A completion says that the connection does not work: iSCSI is told, once, if it has not ended
/// the connection itself. Any context.
///
/// # Safety
///
/// `iser_conn` is null or valid, and the caller handles a completion of its queue pair.
#[no_mangle]
unsafe extern "C" fn iser_conn_failed(
    iser_conn: *mut bindings::iser_conn,
    err: bindings::iscsi_err,
) {
    if let Some(raw) = NonNull::new(iser_conn) {
        // SAFETY: By the contract of this function.
        unsafe { Connection::from_raw(raw.as_ptr()).completed_with(err) };
    }
}

/// The module goes: ends all connections, and waits for that. There are no sessions, and nobody
/// calls the transport any more.
#[no_mangle]
extern "C" fn iser_conns_exit() {
    connection::end_all();
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
    iser_ep_connect,
    iscsi_iser_ep_poll,
    iscsi_iser_ep_disconnect,
    iscsi_iser_conn_bind,
    iscsi_iser_conn_start,
    iscsi_iser_conn_unbind,
    iscsi_iser_conn_stop,
    iscsi_iser_conn_destroy,
    iser_get_ep_param,
    iser_conn_get,
    iser_conn_put,
    iser_cma_handler,
    iser_conn_failed,
    iser_conns_exit,
);
