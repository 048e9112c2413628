#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=3600 per-second=4 impl=rust
"""Hosts that connect, work, are reset, disconnect, and modules that are reloaded: memory stays flat.

The last line is the verdict; the exit status is 0 if all data was right, nothing stalled and no
counter grows.
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
from nvmelib.fcloop import LateFcloop
from nvmelib.host import Options
from nvmelib.load import Load
from nvmelib.module import COUNTED, reload_transports
from nvmelib.rig import Rig
from nvmelib.suite import CRATE, Suite

#: Seconds for one cycle.
CYCLE_LIMIT = 120.0

#: Cycles between two samples of the memory.
STEP = 10

#: Milliseconds by which completions are late.
DELAYS = (0, 0, 5, 50)


def say(text: str) -> None:
    """A line of output."""
    print(text, flush=True)


class Cycles:
    """One cycle after the other, with random choices."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.operations = self.errors = self.resets = 0

    def __call__(self, _number: int) -> None:
        """Connects, works, is reset, disconnects, and the modules are loaded anew."""
        context = Context()
        try:
            with time_limit(CYCLE_LIMIT * PATIENCE):
                self._work(context)
        except BaseException:
            context.diagnose()
            raise
        finally:
            errors = context.clean_up()
            assert not errors, "\n".join(errors)
        reload_transports()

    def _work(self, context: Context) -> None:
        choose = self._random.choice
        fabric = LateFcloop(context, defer=1, response_delay_ms=choose(DELAYS))
        options = Options(nr_io_queues=choose((1, 2)), queue_size=choose((16, 32, 128)))
        rig = Rig(context, options, fabric)
        load = Load(context, rig.disk(), choose((4, 20, 40)), writes=5)
        load.progress(2)
        for number in range(1, 1 + choose((0, 1, 2))):
            rig.controller.reset()
            rig.controller.wait_resets(number)
            rig.controller.wait_live()
            load.progress(2)
        self.resets += rig.controller.resets()
        totals = load.stop()
        self.operations += totals.operations
        self.errors += totals.errors
        assert fabric.count("wrong") == 0, f"calls that an LLDD must not get: {fabric.counts()}"


def run(cycles: Cycles, seconds: float) -> tuple[int, list[str]]:
    """Cycles until the time is up; returns their number, and what is wrong."""
    samples: list[memory.Sample] = []
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end or len(samples) < 3:
        cycles(number)
        number += 1
        if number % STEP == 0:
            samples.append(memory.sample(number, COUNTED))
            say(f"{number} cycles, {cycles.operations} operations, {cycles.resets} resets")
    for line in memory.table(samples, "cycle"):
        say(f"  {line}")
    wrong = [f"{cycles.errors} errors"] if cycles.errors else []
    return number, wrong + [f"{name} grows" for name in memory.growing(samples)]


def main() -> int:
    """Runs it on the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the random choices (default: 1)")
    arguments = parser.parse_args()
    if lacking := Suite().missing():
        say(f"verdict: cannot run: {lacking}")
        return 1
    say(f"Linux {platform.release()}, modules: {loaded(CRATE)}")
    cycles = Cycles(arguments.seed)
    number = 0
    try:
        number, wrong = run(cycles, arguments.seconds)
    except Exception:
        wrong = [traceback.format_exc()]
    for line in wrong:
        say(f"  {line}")
    done = f"{number} cycles, {cycles.operations} operations, {cycles.resets} resets"
    say(f"verdict: {'FAILED' if wrong else 'flat'}: {done}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
