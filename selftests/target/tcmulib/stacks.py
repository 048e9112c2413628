# SPDX-License-Identifier: GPL-2.0
"""Where processes and threads of the kernel wait."""

import contextlib
import time
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


def functions_wait(count: int = 1) -> None:
    """Waits until so many task management functions wait for commands.

    That an initiator has sent one does not say that the target has begun with it.
    """
    if not Path("/proc/self/stack").exists():
        time.sleep(1.0)
        return
    # A reset may look from time to time instead.
    until(
        lambda: len(waiting_in("target_put_cmd_and_wait"))
        + len(waiting_in("core_tmr_lun_reset", without="target_put_cmd_and_wait")) >= count,
        f"{count} functions to wait",
    )  # fmt: skip
