#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connections that are bound to one of iSCSI, and how iSCSI is told that they fail."""

import errno
from functools import partial

from isrlib.module import ISER
from isrlib.netlink import STOP_RECOVER, Netlink
from isrlib.rig import Bound, Rig, endpoints
from isrlib.suite import Suite
from ksftlib.ktap import Context, Skip, equal, raises_errno
from ksftlib.module import modprobe
from ksftlib.wait import until

suite = Suite()


def told_once(rig: Rig, bound: Bound) -> None:
    """iSCSI is told that the connection has failed, and then no more."""
    errors = rig.netlink.conn_errors(20)
    bound.end()
    errors += rig.netlink.conn_errors()
    equal(errors, [bound.session], "sessions with a connection that failed")


@suite.test("logging out tells of no failure")
def quiet(context: Context) -> None:
    rig = Rig(context)
    for start in (False, True):
        bound = Bound(context, rig, start)
        bound.end()
    equal(rig.netlink.conn_errors(), [], "connections that failed")


@suite.test("iSCSI is told once of a target that goes")
def target_goes(context: Context) -> None:
    rig = Rig(context)
    bound = Bound(context, rig, start=True)
    rig.disable_target()
    told_once(rig, bound)


@suite.test("iSCSI is told once of a device that goes")
def device_goes(context: Context) -> None:
    rig = Rig(context)
    bound = Bound(context, rig, start=True)
    rig.wire.delete_device()
    told_once(rig, bound)


@suite.test("one of each is bound, and only once", c_wedges=True)
def one(context: Context) -> None:
    rig = Rig(context)
    bound = Bound(context, rig)
    bind = partial(rig.netlink.bind_conn, bound.session)
    raises_errno(errno.EINVAL, partial(bind, bound.endpoint), "binding it again")
    other = rig.up()
    raises_errno(errno.EINVAL, partial(bind, other), "binding it to another endpoint")
    rig.disconnect(other)
    bound.end()


@suite.test("what was not stopped is bound again when its endpoint is gone", c_wedges=True)
def again(context: Context) -> None:
    rig = Rig(context)
    bound = Bound(context, rig)
    for _ in range(2):
        rig.disconnect(bound.endpoint)
        bound.endpoint = rig.up()
        rig.netlink.bind_conn(bound.session, bound.endpoint)
    rig.netlink.start_conn(bound.session)
    bound.end()
    equal(rig.netlink.conn_errors(), [], "connections that failed")
    until(lambda: ISER.references() == 0, "the end of the session")


@suite.test("what is stopped with its endpoint there is bound again")
def stopped(context: Context) -> None:
    rig = Rig(context)
    bound = Bound(context, rig, start=True)
    # As when iscsid was restarted, and knows of no endpoint.
    rig.netlink.stop_conn(bound.session, STOP_RECOVER)
    equal(endpoints(), [], "endpoints")
    bound.endpoint = rig.up()
    rig.netlink.bind_conn(bound.session, bound.endpoint)
    rig.netlink.start_conn(bound.session)
    bound.end()
    equal(rig.netlink.conn_errors(), [], "connections that failed")
    until(lambda: ISER.references() == 0, "the end of the session")


@suite.test("what is destroyed is stopped before, and its endpoint goes", c_wedges=True)
def destroyed(context: Context) -> None:
    rig = Rig(context)
    endpoint = rig.up()
    session = rig.netlink.create_session(endpoint)
    for start in (False, True):
        rig.netlink.create_conn(session)
        rig.netlink.bind_conn(session, endpoint)
        if start:
            rig.netlink.start_conn(session)
        rig.netlink.destroy_conn(session)
        equal(endpoints(), [], "endpoints")
        disconnect = partial(rig.netlink.ep_disconnect, endpoint)
        raises_errno(errno.EINVAL, disconnect, "disconnecting the endpoint")
        endpoint = rig.up()
    rig.netlink.destroy_session(session)
    rig.disconnect(endpoint)
    until(lambda: ISER.references() == 0, "the end of the session")


@suite.test("a connection of another transport is refused", c_wedges=True)
def foreign(context: Context) -> None:
    rig = Rig(context)
    if modprobe("iscsi_tcp").returncode:
        raise Skip("the kernel has no iscsi_tcp")
    endpoint = rig.up()
    tcp = Netlink(context, "tcp")
    session = tcp.create_unbound_session()
    tcp.create_conn(session)
    raises_errno(errno.EINVAL, partial(rig.netlink.bind_conn, session, endpoint), "binding it")
    raises_errno(errno.EINVAL, partial(rig.netlink.start_conn, session), "starting it")
    rig.netlink.destroy_conn(session)
    # It is still there.
    tcp.destroy_conn(session)
    tcp.destroy_session(session)
    rig.disconnect(endpoint)


@suite.test("a connection that is not bound does not start", c_wedges=True)
def unbound(context: Context) -> None:
    rig = Rig(context)
    endpoint = rig.up()
    session = rig.netlink.create_session(endpoint)
    rig.netlink.create_conn(session)
    raises_errno(errno.ENOTCONN, partial(rig.netlink.start_conn, session), "starting it")
    rig.netlink.destroy_conn(session)
    rig.netlink.destroy_session(session)
    rig.disconnect(endpoint)


@suite.test("the module is busy with a session, and goes after it")
def busy(context: Context) -> None:
    rig = Rig(context)
    bound = Bound(context, rig)
    equal(ISER.delete(), errno.EWOULDBLOCK, "result of unloading the module")
    bound.end()
    until(lambda: ISER.references() == 0, "the end of the session")
    equal(ISER.delete(), 0, "result of unloading the module")
    context.defer(ISER.load)


if __name__ == "__main__":
    suite.run()
