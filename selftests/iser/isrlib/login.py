# SPDX-License-Identifier: GPL-2.0
"""A target, and open-iscsi that logs in to it, on one machine."""

import json

from ksftlib import udev
from ksftlib.fio import Fio
from ksftlib.ktap import Context, diag, equal
from ksftlib.wait import until

from .initiator import Daemon, Disk, Initiator, sessions
from .module import ISER
from .rig import endpoints
from .system import run
from .target import Target
from .wire import ADDRESS, Wire

MEGABYTES = 32

#: What connections use of a device. (Completion queues stay in a pool.)
_KINDS = ("pd", "qp", "cm_id", "mr")

#: Seconds until both sides have forgotten a connection.
_FORGOTTEN = 60.0


class Login:
    """The two, with sessions that wait `replacement` seconds for a lost connection."""

    def __init__(self, context: Context, replacement: int = 120) -> None:
        self.context = context
        udev.leave_alone(context, "*/session*/block/*")
        self.wire = Wire(context)
        self.target = Target(context, megabytes=MEGABYTES)
        self.daemon = Daemon(context)
        self.initiator = Initiator(context, self.daemon, ADDRESS, replacement, pings=False)
        self._unused = self.resources()

    def resources(self) -> dict[str, int]:
        """How much of the RDMA device is used, by kind."""
        devices = json.loads(run("rdma", "-j", "resource", "show"))
        for device in devices:
            if device.get("ifname") == self.wire.rdma:
                return {key: int(value) for key, value in device.items() if key in _KINDS}
        return {}

    def verify(self, disk: Disk, *arguments: str, megabytes: int = 4) -> Fio:
        """fio on the disk, from the beginning."""
        return Fio(
            self.context, "verify", f"--filename={disk.path}", f"--size={megabytes}m",
            "--bsrange=4k-128k", "--direct=1", *arguments,
        )  # fmt: skip

    def busy(self, disk: Disk, commands: int = 5) -> None:
        """Waits until fio has given it so many commands more."""
        before = disk.commands()
        until(lambda: disk.commands() >= before + commands, f"{commands} commands", 30)

    def all_given_back(self) -> None:
        """Nothing is left of any session, at either end."""
        equal((sessions(), endpoints()), ([], []), "sessions and endpoints")
        until(lambda: ISER.references() == 0, "no user of the module")
        equal((self.daemon.worked(), self.daemon.leaks()), (True, []), "data that is still mapped")
        diag(f"of the device is used: {self.resources()}, {self._unused} before")
        until(lambda: self.resources() == self._unused, "what is used of the device", _FORGOTTEN)
