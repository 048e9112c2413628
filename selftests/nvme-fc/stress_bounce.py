#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=28800 impl=rust
"""A remote port that bounces 10,000 times under I/O: one callback each, and no error.

The last line is the verdict; the exit status is 0 if the LLDD was told exactly once of each port
that was deleted, all data was right, no call failed and no counter of memory grows.
"""

import argparse
import platform
import random
import sys
import time
import traceback

from ksftlib import memory
from ksftlib.impl import loaded
from ksftlib.ktap import PATIENCE, Context, time_limit
from nvmelib.bounce import Bounces
from nvmelib.fcloop import LateFcloop
from nvmelib.host import Options
from nvmelib.load import Load
from nvmelib.module import COUNTED
from nvmelib.rig import Rig
from nvmelib.suite import CRATE, Suite

#: Seconds for one bounce.
BOUNCE_LIMIT = 90.0

#: Samples of the memory, and the bounces before the first one.
SAMPLES, WARM_UP = 5, 50

#: Bounces between two lines of progress.
TELL = 500

THREADS = 8


def say(text: str) -> None:
    """A line of output."""
    print(text, flush=True)


class Stress:
    """A rig whose remote port bounces under I/O."""

    def __init__(self, context: Context, arguments: argparse.Namespace) -> None:
        self._random = random.Random(arguments.seed)
        self._total = arguments.bounces
        self._window = arguments.window
        fabric = None
        if self._window:
            fabric = LateFcloop(context, hold_disconnects=1, ls_abort_ms=self._window)
        self._rig = Rig(context, Options(reconnect_delay=1), fabric)
        self.bounces = Bounces(context, self._rig)
        self._load = Load(context, self._rig.disk(), THREADS, writes=5)
        self._load.progress()
        self._start = time.monotonic()

    def _reset(self) -> None:
        """The association that ends leaves an LS which is aborted when the port goes."""
        before = self._rig.controller.resets()
        self._rig.controller.reset()
        self._rig.controller.wait_resets(before + 1)
        self._rig.controller.wait_live()

    def bounce(self) -> None:
        """Once, after a while of I/O."""
        with time_limit(BOUNCE_LIMIT * PATIENCE):
            if self._window:
                self._reset()
            time.sleep(self._random.random() * 0.02)
            self.bounces.bounce()
            self._load.progress()
        if self.bounces.done % TELL == 0:
            say(f"{self.bounces} after {time.monotonic() - self._start:.0f} s")

    def run(self) -> list[str]:
        """All of them; returns what is wrong."""
        step = max(1, (self._total - WARM_UP) // (SAMPLES - 1))
        marks = [WARM_UP + number * step for number in range(SAMPLES - 1)] + [self._total]
        samples = memory.watch(lambda _number: self.bounce(), sorted(set(marks)), modules=COUNTED)
        totals = self._load.stop()
        for line in memory.table(samples, "bounce"):
            say(f"  {line}")
        say(f"  {totals}")
        self.bounces.check()
        wrong = [f"{totals.errors} errors"] if totals.errors else []
        return wrong + [f"{name} grows" for name in memory.growing(samples)]


def main() -> int:
    """Runs it on the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bounces", type=int, default=10_000, help="how many (default: 10000)")
    window = "milliseconds by which the window for a second callback is wider (default: 0)"
    parser.add_argument("--window", type=int, default=0, help=window)
    parser.add_argument("--seed", type=int, default=1, help="of the random choices (default: 1)")
    arguments = parser.parse_args()
    if lacking := Suite().missing():
        say(f"verdict: cannot run: {lacking}")
        return 1
    assert arguments.bounces > 2 * WARM_UP, f"at least {2 * WARM_UP + 1} bounces"
    say(f"Linux {platform.release()}, modules: {loaded(CRATE)}")
    context = Context()
    done = "no bounce"
    try:
        stress = Stress(context, arguments)
        try:
            wrong = stress.run()
        finally:
            done = str(stress.bounces)
    except Exception:
        wrong = [traceback.format_exc()]
        context.diagnose()
    wrong += context.clean_up()
    for line in wrong:
        say(f"  {line}")
    say(f"verdict: {'FAILED' if wrong else 'exact'}: {done}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
