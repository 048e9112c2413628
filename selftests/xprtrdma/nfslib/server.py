# SPDX-License-Identifier: GPL-2.0
"""The kernel's NFS server, in the network namespace of its end of the wire."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from ksftlib.files import read, write
from ksftlib.ktap import PATIENCE, Context
from ksftlib.module import modprobe

from .system import mount, run, umount
from .wire import Wire

T = TypeVar("T")

PORT = 20049

#: Seconds of a lease, and of the grace period after a start.
LEASE = 30

THREADS = 8

_CONTROL = Path("/proc/fs/nfsd")
_STATE = Path("/var/lib/nfs")
_EXPORTS = Path("/etc/exports")
_OPTIONS = "rw,no_root_squash,fsid=0,insecure,no_subtree_check"


def missing() -> str:
    """Why no server can be started here; empty if one can."""
    if modprobe("nfsd").returncode:
        return "the kernel has no nfsd"
    if not Path("/proc/self/ns/net").exists():
        return "the kernel has no network namespaces (CONFIG_NET_NS)"
    return ""


class Server:
    """Exports a tmpfs, version 4.1 and later, over RDMA only."""

    def __init__(self, context: Context, wire: Wire, size: str = "512m") -> None:
        self.wire = wire
        self.address = wire.address
        self._context = context
        # What the tools keep is in memory, and gone afterwards.
        self._mount(context, "tmpfs", _STATE, "mode=755")
        for name in ("v4recovery", "sm", "rpc_pipefs", "nfsdcld"):
            (_STATE / name).mkdir()
        for name in ("etab", "rmtab"):
            (_STATE / name).touch()
        #: What the clients see, from behind.
        self.folder = Path("/run/nfs-export")
        self._mount(context, "tmpfs", self.folder, f"size={size},mode=777")
        pipes = _STATE / "rpc_pipefs"

        def mounts() -> None:
            mount("nfsd", _CONTROL)
            mount("rpc_pipefs", pipes)

        # Both show the namespace in which they were mounted.
        self._inside(mounts)
        context.defer(partial(umount, _CONTROL))
        context.defer(partial(umount, pipes))
        # Remembers the clients, so that they may reclaim what they had open after a restart.
        self._daemon(context, "nfsdcld", "-F", "-p", str(pipes), "-s", str(_STATE / "nfsdcld"))
        if not _EXPORTS.exists():
            # exportfs reads it whatever it is told to export.
            _EXPORTS.touch()
            context.defer(_EXPORTS.unlink)
        run(*wire.far.command("exportfs", "-o", _OPTIONS, f"*:{self.folder}"))
        context.defer(partial(run, *wire.far.command("exportfs", "-ua")))
        self._daemon(context, "rpc.mountd", "-F", "-N", "2", "-N", "3")
        times = {"nfsv4leasetime": str(LEASE), "nfsv4gracetime": str(LEASE)}
        self._set({"versions": "-3 +4.1 +4.2", **times})
        context.defer(self.stop)
        self.start()

    @staticmethod
    def _mount(context: Context, kind: str, where: Path, options: str = "") -> None:
        mount(kind, where, options)
        context.defer(partial(umount, where))

    def _inside(self, function: Callable[[], T], seconds: float = 20.0) -> T:
        return self.wire.far.call(function, "something at the server", seconds)

    def _set(self, settings: Mapping[str, str], seconds: float = 40.0) -> None:
        def work() -> None:
            for name, text in settings.items():
                write(_CONTROL / name, f"{text}\n")

        # In the namespace: siw listens in that of whoever asks for it.
        self._inside(work, seconds)

    def _daemon(self, context: Context, *command: str) -> None:
        log = tempfile.TemporaryFile("w+")
        child = subprocess.Popen(
            self.wire.far.command(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

        def end() -> None:
            ended = child.poll()
            child.kill()
            child.wait(20 * PATIENCE)
            log.seek(0)
            text = log.read()
            log.close()
            assert ended is None, f"{command[0]} ended by itself with {ended}: {text}"

        context.defer(end)

    def start(self) -> None:
        """Takes clients from now on. Those that it knew have the grace period to come back."""
        self._set({"portlist": f"rdma {PORT}", "threads": str(THREADS)})

    def stop(self) -> None:
        """Drops all clients, without a word to them but the end of their connections."""
        self._set({"threads": "0"})

    def end_grace(self) -> None:
        """The grace period, if it goes on, is over."""
        self._set({"v4_end_grace": "Y"})

    def running(self) -> int:
        """How many threads there are."""
        return int(self._inside(partial(read, _CONTROL / "threads")))
