# SPDX-License-Identifier: GPL-2.0
"""Device, target and the kernel's side of iSCSI at once."""

import os
from pathlib import Path

from ksftlib.ktap import Context, equal
from ksftlib.stacks import until_waiting

from .netlink import STOP_TERM, Netlink
from .target import PORT, Target
from .wire import ADDRESS, Wire

#: More than anything takes that nobody waits for, and less than the CM waits for a peer.
SOON = 8.0


def endpoints() -> list[str]:
    """Those that the kernel has."""
    folder = Path("/sys/class/iscsi_endpoint")
    return sorted(os.listdir(folder)) if folder.is_dir() else []


class Rig:
    """What most tests work on."""

    def __init__(self, context: Context, target: bool = True) -> None:
        self.wire = Wire(context)
        if target:
            self.target = Target(context)
        self.netlink = Netlink(context)
        self._context = context

    def connect(self, address: str = ADDRESS, port: int = PORT) -> int:
        """An endpoint that is being connected; disconnected in the end, unless the test does."""
        endpoint = self.netlink.ep_connect(address, port)
        self._context.defer(lambda: self.disconnect(endpoint))
        return endpoint

    def disconnect(self, endpoint: int) -> float:
        """Seconds that it takes to disconnect it, if it is still there."""
        if f"ep-{endpoint}" not in endpoints():
            return 0.0
        return self.netlink.ep_disconnect(endpoint)

    def up(self) -> int:
        """An endpoint that is connected."""
        endpoint = self.connect()
        equal(self.netlink.ep_poll(endpoint, 20000), 1, "result of polling the endpoint")
        return endpoint

    def disable_target(self) -> None:
        """The target ends a connection that it has taken. (It forgets one that it has not.)"""
        until_waiting("isert_get_login_rx", "the target to wait for a login")
        self.target.disable()


class Bound:
    """A session whose connection is bound to a new endpoint."""

    def __init__(self, context: Context, rig: Rig, start: bool = False) -> None:
        self._netlink = rig.netlink
        self._rig = rig
        self._ended = False
        self.endpoint = rig.up()
        self.session = self._netlink.create_session(self.endpoint)
        context.defer(self.end)
        self._netlink.create_conn(self.session)
        self._netlink.bind_conn(self.session, self.endpoint)
        if start:
            self._netlink.start_conn(self.session)

    def end(self) -> None:
        """Logs out, as iscsid does when there is no answer to be had."""
        if not self._ended:
            self._ended = True
            self._rig.disconnect(self.endpoint)
            self._netlink.stop_conn(self.session, STOP_TERM)
            self._netlink.destroy_conn(self.session)
            self._netlink.destroy_session(self.session)
