# SPDX-License-Identifier: GPL-2.0
"""The same again and again: the kernel's memory stays flat."""

import os
import platform
import traceback
from collections.abc import Callable
from typing import Protocol

from ksftlib import memory
from ksftlib.ktap import PATIENCE, Context, time_limit

from .cables import say
from .impl import implementation
from .initiator import Disk
from .suite import LOGIN_PROGRAMS, Suite

#: Seconds for one cycle.
_CYCLE = 120.0

#: Samples of the memory.
_SAMPLES = 6


class Cycles(Protocol):
    """What is done."""

    def __call__(self, number: int) -> None:
        """Does it once."""

    def end(self) -> str:
        """Nothing is left of it; in words what was done."""


def repeat(context: Context, count: int, make: Callable[[], Cycles]) -> int:
    """Does it `count` times and says what comes of it; returns the exit status."""
    if lacking := Suite(LOGIN_PROGRAMS).missing():
        say(f"verdict: cannot run: {lacking}")
        return 1
    say(f"Linux {platform.release()}, module: {implementation()}")
    wrong: list[str] = []
    done = "not one cycle"
    try:
        cycles = make()

        def step(number: int) -> None:
            with time_limit(_CYCLE * PATIENCE):
                cycles(number)

        # The first few fill caches.
        each = max(count // _SAMPLES, 1)
        marks = range(each, count + 1, each)
        samples = memory.watch(step, marks, lambda one: say(f"{one.cycle} cycles"), ["ib_iser"])
        for line in memory.table(samples, "cycle"):
            say(f"  {line}")
        wrong = [f"{name} grows" for name in memory.growing(samples)]
        done = f"{marks[-1]} cycles, {cycles.end()}"
    except Exception:
        wrong.append(traceback.format_exc())
        context.diagnose()
    wrong += context.clean_up()
    for line in wrong:
        say(f"  {line}")
    say(f"verdict: {'FAILED' if wrong else 'flat'}: {done}")
    return 1 if wrong else 0


def work(disk: Disk, pages: int = 20) -> None:
    """Writes pages, and reads them back."""
    written = [os.urandom(4096) for _ in range(pages)]
    for number, page in enumerate(written):
        disk.write(page, number * 4096)
    for number, page in enumerate(written):
        assert disk.read(number * 4096) == page, f"page {number} is not what was written"


def work_on(disk: Disk, pages: int = 400) -> str:
    """The same for longer; with what it fails."""
    try:
        work(disk, pages)
    except OSError as error:
        return str(error)
    return ""
