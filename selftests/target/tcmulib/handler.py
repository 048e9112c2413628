# SPDX-License-Identifier: GPL-2.0
"""A process that plays the daemon: it can be killed, and can leave its mapping behind."""

import contextlib
import errno
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from ksftlib.ktap import PATIENCE, Context, raises_errno

from .configfs import Device
from .ring import Entry, Ring

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds in which it must have done what it is told, which may wait itself.
_LIMIT = 30.0

#: A process that is not forked would not know the functions of the test.
_fork = multiprocessing.get_context("fork")


class Handler:
    """Has the node of `device` open and mapped, and does to the ring what the test says."""

    def __init__(self, context: Context, device: Device) -> None:
        self._node = device.node()
        self._pipe, other = _fork.Pipe()
        self._process = _fork.Process(target=_serve, args=(other, device), daemon=True)
        self._process.start()
        other.close()
        context.defer(self.kill)
        self._answer()

    def do(
        self, function: Callable[Concatenate[Ring, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `function` returns, or raises, when it is called there with the ring."""
        self._pipe.send((function, args, kwargs))
        return self._answer()  # type: ignore[no-any-return]

    def _answer(self) -> Any:
        assert self._pipe.poll(_LIMIT * PATIENCE), "the handler does not answer"
        succeeded, value = self._pipe.recv()
        if not succeeded:
            raise value
        return value

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        if self._process.is_alive():
            self._process.kill()
        self._end()

    def close(self) -> None:
        """Unmaps, closes and exits."""
        self.do(Ring.close)
        self._leave()

    def close_mapping_last(self) -> None:
        """Closes all descriptors of the node; it must stay open until the mapping goes."""
        self.do(_close_descriptors)
        # It is not there any more if the device has gone.
        if self._node.exists():
            raises_errno(errno.EBUSY, lambda: os.open(self._node, os.O_RDWR), "opening it meanwhile")
        self._leave()

    def _leave(self) -> None:
        self._pipe.send(None)
        self._end()

    def _end(self) -> None:
        self._process.join(_LIMIT * PATIENCE)
        assert not self._process.is_alive(), "the handler does not end"
        # Not left to the garbage collector, which may run in a process that has other descriptors.
        self._pipe.close()


def _serve(pipe: Connection, device: Device) -> None:
    try:
        ring = Ring(Context(), device)
    except BaseException as error:
        pipe.send((False, error))
        return
    pipe.send((True, None))
    while request := pipe.recv():
        function, args, kwargs = request
        try:
            outcome = (True, function(ring, *args, **kwargs))
        except BaseException as error:
            outcome = (False, error)
        pipe.send(outcome)
    # Without Python's own end: what the kernel does then is wanted.
    os._exit(0)


def _close_descriptors(ring: Ring) -> None:
    """Also those that Python's mapping has."""
    for path in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):
            if path.readlink() == ring.node:
                os.close(int(path.name))


def take(ring: Ring, count: int) -> list[Entry]:
    """The next entries, as a daemon reads them."""
    return [ring.next() for _ in range(count)]


def see(ring: Ring, count: int) -> list[Entry]:
    """The next entries, which stay unread."""
    position = ring.position
    found = take(ring, count)
    ring.position = position
    return found
