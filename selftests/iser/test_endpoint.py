#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Endpoints without a session: connected, refused, given up, and the module that goes."""

import errno
import time
from collections.abc import Callable

from isrlib.module import ISER
from isrlib.rig import SOON, Rig, endpoints
from isrlib.suite import Suite
from isrlib.target import Target
from isrlib.wire import ADDRESS, NOBODY
from ksftlib.ktap import PATIENCE, Context, diag, equal, raises_errno
from ksftlib.wait import until

suite = Suite()

#: Nobody listens there.
NO_PORT = 3999

#: Seconds in which who polls is to be told, which takes one at most by itself.
_TOLD = 2.0


def soon(what: str, function: Callable[[], object], seconds: float = SOON) -> None:
    """Calls `function`, which must not wait for the CM."""
    start = time.monotonic()
    function()
    took = time.monotonic() - start
    diag(f"{what}: {took * 1000:.1f} ms")
    assert took < seconds * PATIENCE, f"{what} took {took:.1f} s"


def failed(rig: Rig, endpoint: int, milliseconds: int = 0) -> bool:
    """Whether a poll says that there is no connection, nor will be. C says so with -1."""
    try:
        rig.netlink.ep_poll(endpoint, milliseconds)
    except OSError as error:
        assert error.errno in (errno.ENOTCONN, errno.EPERM), f"polling the endpoint: {error}"
        return True
    return False


def fails(rig: Rig, endpoint: int) -> None:
    """A connection that is not made: who waits for it is told at once."""

    longest = int(2 * _TOLD * PATIENCE * 1000)

    soon("polling", lambda: equal(failed(rig, endpoint, longest), True, "failed"), _TOLD)


@suite.test("connecting and disconnecting")
def connects(context: Context) -> None:
    rig = Rig(context)
    endpoint = rig.up()
    equal(rig.netlink.ep_poll(endpoint, 0), 1, "result of polling it again")
    soon("ep_disconnect", lambda: rig.disconnect(endpoint))
    equal(endpoints(), [], "endpoints")


@suite.test("a blocking connection", c_wedges=True)
def blocking(context: Context) -> None:
    rig = Rig(context)
    endpoint = rig.netlink.ep_connect(ADDRESS, 3260, non_blocking=False)
    equal(rig.netlink.ep_poll(endpoint, 0), 1, "result of polling the endpoint")
    rig.disconnect(endpoint)
    raises_errno(
        errno.EIO, lambda: rig.netlink.ep_connect(ADDRESS, NO_PORT, non_blocking=False),
        "connecting to nobody",
    )  # fmt: skip
    equal(endpoints(), [], "endpoints")


@suite.test("who polls an endpoint is told at once that it was refused")
def refused(context: Context) -> None:
    rig = Rig(context)
    endpoint = rig.connect(port=NO_PORT)
    fails(rig, endpoint)
    rig.disconnect(endpoint)


@suite.test("who polls an endpoint is told at once that there is nobody")
def nobody(context: Context) -> None:
    rig = Rig(context, target=False)
    endpoint = rig.connect(address=NOBODY)
    fails(rig, endpoint)
    rig.disconnect(endpoint)


@suite.test("ep_disconnect does not wait for a connection that is being made")
def pending(context: Context) -> None:
    rig = Rig(context, target=False)
    for address, port in ((NOBODY, 3260), (ADDRESS, NO_PORT)):
        endpoint = rig.connect(address, port)
        soon("ep_disconnect", lambda endpoint=endpoint: rig.disconnect(endpoint))
    soon("removal of the device", rig.wire.delete_device)


@suite.test("a target that goes")
def target_goes(context: Context) -> None:
    rig = Rig(context)
    endpoint = rig.up()
    rig.disable_target()
    until(lambda: failed(rig, endpoint), "the end of the connection")
    soon("ep_disconnect", lambda: rig.disconnect(endpoint))


@suite.test("a device that goes while it is used")
def device_goes(context: Context) -> None:
    rig = Rig(context)
    endpoint = rig.up()
    rig.wire.delete_device()
    equal(failed(rig, endpoint), True, "whether a poll says that it is gone")
    rig.disconnect(endpoint)
    # The target listens on the device no more.
    rig.target.remove()
    rig.wire.add_device()
    Target(context)
    rig.disconnect(rig.up())


@suite.test("a device that goes with connections in all states", limit=60)
def device_goes_from_all(context: Context) -> None:
    rig = Rig(context)
    refused = rig.connect(port=NO_PORT)
    until(lambda: failed(rig, refused), "the connection to be refused")
    up = rig.up()
    given_up = rig.up()
    pending = rig.connect(address=NOBODY)
    rig.disconnect(given_up)
    soon("removal of the device", rig.wire.delete_device)
    for endpoint in (refused, up, pending):
        equal(failed(rig, endpoint), True, "whether a poll says that it is gone")
        soon("ep_disconnect", lambda endpoint=endpoint: rig.disconnect(endpoint))
    equal(endpoints(), [], "endpoints")


def _unload(context: Context, rig: Rig) -> None:
    soon("unloading", lambda: equal(ISER.delete(), 0, "result of unloading the module"))
    context.defer(ISER.load)
    equal(endpoints(), [], "endpoints")


@suite.test("the module goes with a connection that is up")
def unload_up(context: Context) -> None:
    rig = Rig(context)
    rig.netlink.ep_poll(rig.up(), 0)
    _unload(context, rig)


@suite.test("the module goes with a connection that is being made")
def unload_pending(context: Context) -> None:
    rig = Rig(context, target=False)
    rig.connect(address=NOBODY)
    _unload(context, rig)


@suite.test("the module goes with a connection that was refused")
def unload_refused(context: Context) -> None:
    rig = Rig(context)
    fails(rig, rig.connect(port=NO_PORT))
    _unload(context, rig)


@suite.test("the module goes right after connections that were given up")
def unload_given_up(context: Context) -> None:
    rig = Rig(context)
    for _ in range(5):
        rig.disconnect(rig.up())
    rig.disconnect(rig.connect(port=NO_PORT))
    rig.disconnect(rig.connect(address=NOBODY))
    _unload(context, rig)


if __name__ == "__main__":
    suite.run()
