# SPDX-License-Identifier: GPL-2.0
"""Where processes and threads of the kernel wait."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from .ktap import Skip
from .wait import until


def _stacks(
    wanted: Callable[[str, str], bool] = lambda _name, _state: True,
) -> Iterator[tuple[str, str]]:
    """Name and kernel stack of every process that is `wanted`, by its name and state (proc(5))."""
    if not Path("/proc/self/stack").exists():
        raise Skip("the kernel has no CONFIG_STACKTRACE")
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # It may end at any time.
            with contextlib.suppress(OSError):
                name = (folder / "comm").read_text().strip()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if wanted(name, state):
                    yield name, (folder / "stack").read_text()


def waiting_in(function: str, without: str = "\0") -> list[str]:
    """The names of those that wait in a function of the kernel, or in what it calls.

    Not those that also wait in the function `without`.
    """
    return [
        name
        for name, stack in _stacks()
        if f" {function}+" in stack and f" {without}+" not in stack
    ]


def waits(wanted: Callable[[str, str], bool]) -> list[tuple[str, str]]:
    """The processes that are `wanted`, by name and state: their names, and where each waits."""
    found = []
    for name, stack in _stacks(wanted):
        calls = (line.partition("] ")[2] for line in stack.splitlines())
        found.append((name, " < ".join(re.sub(r"\+\S+", "", call) for call in calls)))
    return found


def until_waiting(function: str, what: str, count: int = 1) -> None:
    """Waits for `what`: until so many wait in a function of the kernel."""
    until(lambda: len(waiting_in(function)) >= count, what)
