# SPDX-License-Identifier: GPL-2.0
"""Commands, mounts and network namespaces."""

import ctypes
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from ksftlib.ktap import PATIENCE, Context
from ksftlib.wait import Task

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)

#: A flag of umount2(2).
MNT_FORCE = 1

#: Seconds for a command that ends at once.
_COMMAND = 20.0

_CLONE_NEWNET = 0x40000000


def run(*command: str, seconds: float = _COMMAND, given: str = "") -> str:
    """Standard output of a command; fails the test with its errors if it fails.

    `given` is its standard input.
    """
    done = subprocess.run(
        command, text=True, capture_output=True, input=given, check=False,
        timeout=seconds * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}, {done.stderr.strip()}"
    return done.stdout


def mount(kind: str, where: Path, options: str = "") -> None:
    """mount(2) of what has no device."""
    where.mkdir(parents=True, exist_ok=True)
    words = (b"none", str(where).encode(), kind.encode())
    if _libc.mount(*words, ctypes.c_ulong(0), options.encode() or None):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind}: {os.strerror(number)}", str(where))


def umount(where: Path, flags: int = 0) -> None:
    """umount2(2)."""
    if _libc.umount2(str(where).encode(), flags):
        number = ctypes.get_errno()
        raise OSError(number, f"umount: {os.strerror(number)}", str(where))


class Namespace:
    """A network namespace of its own."""

    def __init__(self, context: Context, name: str) -> None:
        run("ip", "netns", "add", name)
        context.defer(partial(run, "ip", "netns", "del", name))
        self.name = name
        self._path = f"/run/netns/{name}"

    def command(self, *command: str) -> tuple[str, ...]:
        """`command`, to be run in there."""
        return ("nsenter", f"--net={self._path}", *command)

    def enter(self) -> None:
        """Moves the caller there; for a process that does nothing else."""
        descriptor = os.open(self._path, os.O_RDONLY)
        if _libc.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, f"setns: {os.strerror(number)}", self._path)
        os.close(descriptor)

    def call(self, function: Callable[[], T], what: str, seconds: float = _COMMAND) -> T:
        """What `function` returns in there."""

        def inside() -> T:
            self.enter()
            return function()

        own = Context()
        try:
            result: T = Task(own, inside, what).wait(seconds)
            return result
        finally:
            own.clean_up()
