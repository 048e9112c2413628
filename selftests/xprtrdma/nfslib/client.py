# SPDX-License-Identifier: GPL-2.0
"""Mounts of the server's export."""

import itertools
from functools import partial
from pathlib import Path

from ksftlib.ktap import Context
from ksftlib.wait import Task

from .counters import Transport, transports
from .server import PORT, Server
from .system import run, umount

_numbers = itertools.count()

#: Tenths of a second: a call that has no answer for so long closes the connection, and is sent
#: again over the next one. No operation is ever given up.
TIMEO = 100

#: So long that it is no load of the machine if this closes a connection.
LONG = 6000


class Mount:
    """One mount of the export over RDMA."""

    def __init__(self, context: Context, server: Server, *options: str, timeo: int = TIMEO) -> None:
        self.path = Path(f"/run/nfs-client-{next(_numbers)}")
        self.path.mkdir()
        context.defer(self.path.rmdir)
        self._context = context
        self._mounted = True
        words = ["proto=rdma", f"port={PORT}", "vers=4.1", "sec=sys", "retry=0",
                 f"timeo={timeo}", *options]  # fmt: skip
        run("mount.nfs4", f"{server.address}:/", str(self.path), "-o", ",".join(words), seconds=30)
        context.defer(self._clean_up)

    def _clean_up(self) -> None:
        if self._mounted:
            self.unmount()

    def unmount(self, flags: int = 0, seconds: float = 30.0) -> None:
        """Unmounts it, and is left behind if that takes too long."""
        task = Task(self._context, partial(umount, self.path, flags), f"unmounting {self.path}")
        task.wait(seconds)
        self._mounted = False

    def unmount_if_there(self) -> None:
        """The same for one that others may have unmounted."""
        if f" {self.path} " in Path("/proc/mounts").read_text():
            self.unmount()
        self._mounted = False

    def transports(self) -> list[Transport]:
        """Counters of its connections."""
        return transports(Path("/proc/self/mountstats").read_text(), str(self.path))

    def transport(self) -> Transport:
        """Counters of its only connection."""
        found = self.transports()
        assert len(found) == 1, f"{len(found)} RDMA transports of {self.path}"
        return found[0]
