// SPDX-License-Identifier: GPL-2.0

//! What happens to a connection.

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// `ep_connect` has created the CM id, and has the address resolved.
    Connect,
    /// `conn_bind`: an iSCSI connection is to use it.
    ConnBind,
    /// `ep_disconnect`: the endpoint gives it up.
    EpDisconnect,
    /// `conn_stop`, or the iSCSI connection is destroyed: the binding gives it up.
    ConnStop,
    /// The module goes.
    ModuleExit,
    /// The CM has the address (`ADDR_RESOLVED`).
    AddrResolved,
    /// The CM has the route (`ROUTE_RESOLVED`).
    RouteResolved,
    /// The CM: the peer has accepted (`ESTABLISHED`).
    Established,
    /// The CM: there is no connection (`ADDR_ERROR`, `ROUTE_ERROR`, `CONNECT_ERROR`, `REJECTED`);
    /// or what follows on an address or a route has failed here.
    ConnectError,
    /// The CM: the peer does not answer, or its hardware address has changed (`UNREACHABLE`).
    Unreachable,
    /// The CM: the local address has moved to another device (`ADDR_CHANGE`).
    AddrChange,
    /// The CM: the peer has disconnected, or has answered, or was asked often enough
    /// (`DISCONNECTED`).
    Disconnected,
    /// The CM: late packets of the connection are gone (`TIMEWAIT_EXIT`).
    TimewaitExit,
    /// The CM: the device goes (`DEVICE_REMOVAL`).
    DeviceRemoval,
    /// The connection's work item runs.
    Work,
    /// The work item has destroyed the CM id.
    Destroyed,
}
