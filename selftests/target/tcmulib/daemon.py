# SPDX-License-Identifier: GPL-2.0
"""tcmud, the user-space daemon that serves the tests' disks, and its event log."""

import functools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ksftlib.ktap import PATIENCE, Context, Skip
from ksftlib.wait import until

from .configfs import Device

#: Where a build of the tools leaves the program, from the top of the checkout.
_BUILT = "tools/target/*/release/tcmud"

_NANOSECONDS = 1_000_000_000


@functools.cache
def program() -> str:
    """The daemon's path: TCMUD, next to the tests, in PATH, or in the tools' build folder."""
    named = os.environ.get("TCMUD")
    if named:
        assert os.access(named, os.X_OK), f"TCMUD is {named}, which is no program"
        return named
    here = Path(__file__).resolve().parent.parent
    candidates = [here / "tcmud", *here.parent.parent.glob(_BUILT)]
    for path in candidates:
        if os.access(path, os.X_OK):
            return str(path)
    found = shutil.which("tcmud")
    if not found:
        raise Skip("no tcmud: build tools/ or set TCMUD")
    return found


def use_copy(folder: Path) -> None:
    """Daemons are started from a copy in `folder` from now on: the program's place may be slow."""
    os.environ["TCMUD"] = shutil.copy(program(), folder)
    program.cache_clear()


@dataclass(frozen=True)
class Event:
    """A line of the daemon's log."""

    #: CLOCK_MONOTONIC in seconds.
    time: float
    name: str
    fields: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.fields[key]


class Daemon:
    """A daemon that serves one device."""

    def __init__(
        self,
        context: Context,
        device: Device,
        *arguments: str,
        backing: str = "ram:16M",
        wait_ready: bool = True,
    ) -> None:
        self.device = device
        folder = tempfile.mkdtemp(prefix="tcmu-test-")
        context.defer(lambda: shutil.rmtree(folder, ignore_errors=True))
        #: The event log.
        self.log_path = Path(folder) / "log"
        self._socket = Path(folder) / "control"
        self._errors = Path(folder) / "stderr"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    program(), "serve",
                    "--device", f"{device.hba.number}/{device.name}",
                    "--backing", backing,
                    "--log", str(self.log_path),
                    "--control", str(self._socket),
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            )  # fmt: skip
        context.defer(self.stop)
        context.on_failure(self.story)
        if wait_ready:
            self.wait_ready()

    def wait_ready(self, seconds: float = 20.0) -> None:
        """Waits until the daemon serves the device."""
        assert self.process.stdout is not None
        ready = select.select([self.process.stdout], [], [], seconds * PATIENCE)[0]
        line = self.process.stdout.readline() if ready else b""
        assert line.startswith(b"ready "), f"the daemon did not start: {self.stderr()}"

    def stderr(self) -> str:
        """What the daemon wrote to standard error."""
        return self._errors.read_text(encoding="utf-8", errors="replace").strip()

    def ctl(self, request: str) -> str:
        """One request on the control socket; returns the answer without the leading "ok"."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30 * PATIENCE)
            connection.connect(str(self._socket))
            connection.sendall(request.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                chunk = connection.recv(65536)
                assert chunk, f"the daemon closed the connection on '{request}': {self.stderr()}"
                answer += chunk
        text = answer.decode().strip()
        assert text == "ok" or text.startswith("ok "), f"'{request}': {text}"
        return text[3:]

    def held(self) -> list[int]:
        """Ids of the held commands, oldest first."""
        return [int(word) for word in self.ctl("held").split()]

    def wait_held(self, count: int, seconds: float = 15.0) -> list[int]:
        """Waits until so many commands are held, and returns their ids."""
        until(lambda: len(self.held()) >= count, f"{count} held commands", seconds)
        return self.held()

    def ids(self, *cdbs: bytes, seconds: float = 15.0) -> list[int]:
        """The ids under which these commands came, once all have.

        Unlike `held` it takes nobody else's command for one of them, and it does not matter
        whether one has ended meanwhile. They must be the first of their kind, or have been answered.
        """

        def look() -> "list[int] | None":
            came = {event["cdb"]: int(event["id"]) for event in self.events("cmd")}
            wanted = [cdb.hex() for cdb in cdbs]
            return [came[cdb] for cdb in wanted] if set(wanted) <= set(came) else None

        found = until(look, f"{len(cdbs)} commands, the first of them {cdbs[0].hex()}", seconds)
        assert found is not None
        return found

    def events(self, name: "str | None" = None) -> list[Event]:
        """The log so far, in order; only events of that name if one is given."""
        found = []
        for line in self.log_path.read_text(encoding="utf-8").splitlines(keepends=True):
            # The daemon may be in the middle of the last line.
            if line.endswith("\n"):
                fields = json.loads(line)
                found.append(Event(fields["t_ns"] / _NANOSECONDS, fields["event"], fields))
        return [event for event in found if name in (None, event.name)]

    def wait_event(
        self,
        name: str,
        condition: Callable[[Event], bool] = lambda _event: True,
        count: int = 1,
        seconds: float = 15.0,
    ) -> Event:
        """The `count`-th event of that name that meets the condition."""

        def look() -> "Event | None":
            found = [event for event in self.events(name) if condition(event)]
            return found[count - 1] if len(found) >= count else None

        event = until(look, f"event {count} of kind '{name}' in the daemon's log", seconds)
        assert event is not None
        return event

    def tmrs(self) -> list[tuple[str, list[int]]]:
        """Type and ids of all task management notifications so far."""
        return [(event["type_name"], sorted(event["ids"])) for event in self.events("tmr")]

    def let_go(self) -> None:
        """Ends all holding, so that nothing waits for this daemon any longer."""
        if self.process.poll() is None:
            self.ctl("unhold")
            self.ctl("resume")
            self.ctl("release all")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(timeout=20 * PATIENCE)

    def stop(self) -> None:
        """Ends the daemon in an orderly way if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        if self.process.stdout is not None:
            self.process.stdout.close()

    def story(self) -> str:
        """The end of the log and of standard error, for diagnostics."""
        lines = (
            self.log_path.read_text(encoding="utf-8").splitlines() if self.log_path.exists() else []
        )
        shown = [f"log: {line[:300]}" for line in lines[-25:]]
        return "\n".join([*shown, f"stderr: {self.stderr()}"])
