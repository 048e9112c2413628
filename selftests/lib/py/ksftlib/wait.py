# SPDX-License-Identifier: GPL-2.0
"""Waiting with a limit, and work that may block in a process of its own."""

import os
import pickle
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from .ktap import PATIENCE, Context

T = TypeVar("T")

#: Seconds between two looks at a condition that nothing announces.
_INTERVAL = 0.02


def until(condition: Callable[[], T], what: str, seconds: float = 15.0) -> T:
    """The first true value of `condition`; fails the test if none comes in time."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(_INTERVAL)


class Task:
    """`function` running in a forked process.

    Input and output on a disk whose commands are held block in the kernel where
    no signal reaches; a process can be left behind, a thread cannot.
    """

    def __init__(self, context: Context, function: Callable[[], object], what: str) -> None:
        self._context = context
        self._what = what
        self._ended = False
        self._result: "tuple[bool, Any] | None" = None
        #: CLOCK_MONOTONIC of the end, in seconds.
        self.end = 0.0
        self.start = time.monotonic()
        reader, writer = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._child(function, writer)
        os.close(writer)
        self._pipe = reader
        context.defer(self._kill)

    @staticmethod
    def _child(function: Callable[[], object], writer: int) -> None:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            # Nothing that the parent closes may stay open because of this child.
            os.closerange(3, writer)
            os.closerange(writer + 1, 1024)
            try:
                outcome: tuple[bool, object] = (True, function())
            except BaseException as error:
                outcome = (False, error)
            data = pickle.dumps((time.monotonic(), outcome))
            while data:
                data = data[os.write(writer, data) :]
        finally:
            os._exit(0)

    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended or bool(select.select([self._pipe], [], [], 0)[0])

    def wait(self, seconds: float = 20.0) -> Any:
        """What the function returned; raises what it raised. Fails the test if it does not end."""
        if not self._ended:
            seconds *= PATIENCE
            ready = select.select([self._pipe], [], [], seconds)[0]
            assert ready, f"{self._what}: no end after {seconds:g} s"
            data = b""
            while chunk := os.read(self._pipe, 65536):
                data += chunk
            self._reap()
            assert data, f"{self._what}: ended without a result"
            self.end, self._result = pickle.loads(data)
        assert self._result is not None, f"{self._what}: was killed"
        succeeded, value = self._result
        if not succeeded:
            raise value
        return value

    def still_blocked(self, seconds: float) -> None:
        """Fails the test if the task ends within the next `seconds`."""
        ended = bool(select.select([self._pipe], [], [], seconds)[0])
        assert not ended, f"{self._what}: ended, expected it to wait"

    def _kill(self) -> None:
        """Ends it. What it waits for may end only with the cleanup of the disk."""
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            self._context.defer_last(self._reap_killed)

    def _reap_killed(self) -> None:
        what = f"{self._what}: the end of process {self.pid}, which was killed"
        until(lambda: os.waitpid(self.pid, os.WNOHANG)[0] != 0, what, 20)
        self._ended = True
        os.close(self._pipe)

    def _reap(self) -> None:
        os.waitpid(self.pid, 0)
        self._ended = True
        os.close(self._pipe)


def wait_status(pid: int, seconds: float = 10.0) -> int:
    """Status of a child as os.waitpid() gives it; fails the test if it does not end."""
    status = 0

    def ended() -> bool:
        nonlocal status
        found, status = os.waitpid(pid, os.WNOHANG)
        return found != 0

    until(ended, f"the end of process {pid}", seconds)
    return status
