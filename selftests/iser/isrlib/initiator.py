# SPDX-License-Identifier: GPL-2.0
"""open-iscsi, with its transport iser."""

import errno
import mmap
import os
import re
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import Context, equal
from ksftlib.stacks import waits
from ksftlib.wait import until

from .module import ISER
from .system import run
from .target import NAME, PORT

_ETC = Path("/etc/iscsi")
_TRACING = Path("/sys/kernel/tracing")
_NAME = "iqn.2026-01.lab:i1"

#: Sessions that the kernel has.
_SESSIONS = Path("/sys/class/iscsi_session")

#: Where iscsid listens for iscsiadm.
_SOCKET = "@ISCSIADM_ABSTRACT_NAMESPACE"

#: Seconds for iscsid to start, for a login, or for a disk to appear.
_LOGIN = 30.0

#: Seconds between two questions to the target, and until its answer.
_PING = 5


class Disk:
    """A disk of a session."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = Path("/sys/block") / path.name

    def _open(self, flags: int) -> int:
        return os.open(self.path, flags | os.O_DIRECT)

    def opens(self) -> bool:
        """Whether it is there already; its name is there before, perhaps from another session."""
        try:
            os.close(self._open(os.O_RDONLY))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENXIO):
                return False
            raise
        return True

    def read(self, offset: int = 0) -> bytes:
        """Reads a page past all caches."""
        buffer = mmap.mmap(-1, mmap.PAGESIZE)
        descriptor = self._open(os.O_RDONLY)
        try:
            done = os.preadv(descriptor, [buffer], offset)
            assert done == mmap.PAGESIZE, f"{done} bytes read"
            return bytes(buffer)
        finally:
            os.close(descriptor)

    def write(self, data: bytes, offset: int = 0) -> None:
        """Writes a page past all caches."""
        buffer = mmap.mmap(-1, mmap.PAGESIZE)
        buffer[:] = data
        descriptor = self._open(os.O_WRONLY)
        try:
            done = os.pwritev(descriptor, [buffer], offset)
            assert done == mmap.PAGESIZE, f"{done} bytes written"
        finally:
            os.close(descriptor)

    def read_error(self) -> str:
        """With what a read fails; empty if it does not."""
        try:
            self.read()
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error))
        return ""

    def commands(self) -> int:
        """How many reads and writes it has done."""
        fields = (self.folder / "stat").read_text().split()
        return int(fields[0]) + int(fields[4])


class Daemon:
    """An iscsid of this machine's own."""

    def __init__(self, context: Context) -> None:
        self.log = KernelLog(context)
        # Warnings, too.
        (ISER.parameters / "debug_level").write_text("1\n")
        for folder in ("nodes", "ifaces", "send_targets"):
            (_ETC / folder).mkdir(parents=True, exist_ok=True)
        (_ETC / "initiatorname.iscsi").write_text(f"InitiatorName={_NAME}\n")
        self.configure({})
        Path("/run/lock/iscsi").mkdir(parents=True, exist_ok=True)
        daemon = subprocess.Popen(["iscsid", "-f", "-d", "1"])
        context.defer(daemon.wait)
        context.defer(daemon.kill)
        unix = Path("/proc/net/unix")
        until(lambda: _SOCKET in unix.read_text(), "iscsid to listen", _LOGIN)
        self._mapped = Calls(context, "iser_dma_map_task_data")
        self._unmapped = Calls(context, "iser_dma_unmap_task_data")

    @staticmethod
    def configure(settings: Mapping[str, object]) -> None:
        """What the next node record begins with."""
        lines = (f"{key} = {value}\n" for key, value in settings.items())
        (_ETC / "iscsid.conf").write_text("".join(lines))

    @staticmethod
    def ask(*words: str) -> str:
        """Output of iscsiadm."""
        return run("iscsiadm", *words, seconds=120)

    def conn_errors(self) -> int:
        """How often libiscsi has been told that a connection has failed."""
        return self.log.count("detected conn error")

    def leaks(self) -> list[str]:
        """Complains of tasks whose data the device may still use. None is on its way."""
        mapped, unmapped = self._mapped.number(), self._unmapped.number()
        if mapped == unmapped:
            return []
        return [f"data was mapped for the device {mapped} times, unmapped {unmapped} times"]

    def worked(self) -> bool:
        """Whether tasks had data, so that leaks() has something to count."""
        return self._mapped.number() > 0


class Initiator:
    """A node record for a portal of the target, and the session that comes of it.

    The session waits `replacement` seconds for its connection to come back, and `abort` seconds
    for the target to abort a command. With `pings` iscsid asks every few seconds whether the target
    still answers.
    """

    def __init__(
        self, context: Context, daemon: Daemon, address: str, replacement: int, pings: bool = True,
        abort: int = 15,
    ) -> None:
        self.daemon = daemon
        self._node = ("-m", "node", "-T", NAME, "-p", f"{address}:{PORT}", "-I", "iser")
        self._session = ""
        ping = _PING if pings else 0
        daemon.configure({
            "node.startup": "manual",
            "node.session.timeo.replacement_timeout": replacement,
            "node.session.err_timeo.abort_timeout": abort,
            "node.conn[0].timeo.noop_out_interval": ping,
            "node.conn[0].timeo.noop_out_timeout": ping,
        })  # fmt: skip
        daemon.ask(*self._node, "-o", "new")
        context.defer(lambda: daemon.ask(*self._node, "-o", "delete"))
        context.defer(self.logout)

    def login(self) -> Disk:
        """Logs in; the disk that comes of it."""
        before = sessions()
        self.daemon.ask(*self._node, "--login")
        new = [name for name in sessions() if name not in before]
        equal(len(new), 1, "number of new sessions")
        self._session = new[0]

        def disk() -> str:
            found = (_SESSIONS / self._session).glob("device/target*/*:0/block/*")
            return next((path.name for path in found), "")

        path = Path("/dev") / until(disk, "the disk of the session", _LOGIN)
        made = Disk(path)
        until(made.opens, f"{path}", _LOGIN)
        return made

    def state(self) -> str:
        """LOGGED_IN, FAILED or FREE; empty if there is no session."""
        if self._session not in sessions():
            return ""
        return (_SESSIONS / self._session / "state").read_text().strip()

    def set_replacement(self, seconds: int) -> None:
        """From now on the session waits so long for a connection that was lost."""
        (_SESSIONS / self._session / "recovery_tmo").write_text(f"{seconds}\n")

    def logout(self) -> None:
        """Logs out, if there is a session."""
        if self._session in sessions():
            self.daemon.ask(*self._node, "--logout")
            until(lambda: self._session not in sessions(), "the end of the session", _LOGIN)


def sessions() -> list[str]:
    """Those that the kernel has."""
    return sorted(os.listdir(_SESSIONS)) if _SESSIONS.is_dir() else []


def _write(name: str, text: str) -> None:
    """To a file of the tracer."""
    # One write, and no look for the end of the file, which it does not have. Truncating the list of
    # probes would clear it.
    descriptor = os.open(_TRACING / name, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)


def _probe(
    context: Context, kind: str, name: str, function: str, module: str = ISER.name
) -> None:
    """Looks at the calls (kind p) or returns (r) of a function of a module from now on."""

    def remove() -> None:
        _write(f"events/kprobes/{name}/enable", "0")
        _write("kprobe_events", f"-:{name}")

    # With the module's name it is there again when the module is.
    _write("kprobe_events", f"{kind}:{name} {module}:{function}")
    context.defer(remove)
    _write(f"events/kprobes/{name}/enable", "1")


class Calls:
    """How often a function of a module is called."""

    def __init__(self, context: Context, function: str, module: str = ISER.name) -> None:
        self._name = f"calls_{function}"
        _probe(context, "p", self._name, function, module)

    def number(self) -> int:
        """So far."""
        for line in (_TRACING / "kprobe_profile").read_text().splitlines():
            name, hits, missed = line.split()
            if name == self._name:
                return int(hits) + int(missed)
        raise AssertionError(f"no probe {self._name}")


class Probes:
    """When functions of the module are called, and when they return."""

    def __init__(self, context: Context, *functions: str) -> None:
        # That of time.monotonic().
        _write("trace_clock", "mono")
        for name in functions:
            _probe(context, "p", f"in_{name}", name)
            _probe(context, "r", f"out_{name}", name)

    @staticmethod
    def calls(name: str) -> list[tuple[float, float]]:
        """Of each call that has returned when it began, and when it returned."""
        entered: dict[str, float] = {}
        calls = []
        line = re.compile(rf"-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (in|out)_{name}:")
        for match in line.finditer((_TRACING / "trace").read_text(errors="replace")):
            task, when, way = match[1], float(match[2]), match[3]
            if way == "in":
                entered[task] = when
            elif task in entered:
                calls.append((entered.pop(task), when))
        return calls


def stuck_workers(part: str) -> list[tuple[str, str]]:
    """Kernel workers in uninterruptible sleep with `part` in what they do: name and functions."""
    workers = waits(lambda name, state: name.startswith("kworker") and state == "D")
    return [(name, calls) for name, calls in workers if part in calls]
