# SPDX-License-Identifier: GPL-2.0
"""Where processes and threads of the kernel wait."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .ktap import Skip
from .wait import until


def _stacks() -> Iterator[tuple[str, str]]:
    """Name and kernel stack of every process."""
    if not Path("/proc/self/stack").exists():
        raise Skip("the kernel has no CONFIG_STACKTRACE")
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # It may end at any time.
            with contextlib.suppress(OSError):
                yield (folder / "comm").read_text().strip(), (folder / "stack").read_text()


def waiting_in(function: str, without: str = "\0") -> list[str]:
    """The names of those that wait in a function of the kernel, or in what it calls.

    Not those that also wait in the function `without`.
    """
    return [
        name
        for name, stack in _stacks()
        if f" {function}+" in stack and f" {without}+" not in stack
    ]


def until_waiting(function: str, what: str, count: int = 1) -> None:
    """Waits for `what`: until so many wait in a function of the kernel."""
    until(lambda: len(waiting_in(function)) >= count, what)
