#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=28800 impl=rust
"""Remote ports that bounce 10,000 times under I/O: one callback each, and no error.

The last line is the verdict; the exit status is 0 if the LLDD was told exactly once of each port
that was deleted, all data was right, no call failed and, after 1000 bounces or more, no counter of
memory grows.

The ports take turns: while the controller of one connects again, the next one goes. A port goes
when its controller works, and each thread has read or written something since the last time.
"""

import argparse
import os
import platform
import random
import sys
import time
import traceback
from pathlib import Path

from ksftlib import memory
from ksftlib.files import read, write
from ksftlib.impl import loaded
from ksftlib.ktap import PATIENCE, Context, equal, time_limit
from nvmelib.bounce import REMOTE_PORT, TARGET_PORT, Callbacks
from nvmelib.fcloop import LateFcloop
from nvmelib.host import Options, connect
from nvmelib.load import Load
from nvmelib.module import COUNTED
from nvmelib.suite import CRATE, Suite
from nvmelib.target import NullBlk, Target

#: Seconds for one bounce.
BOUNCE_LIMIT = 90.0

#: Of so many bounces of a port, the last one is also one of the target's port: only then the target
#: drops the associations whose host has lost its port, which fcloop does not tell it.
BOTH = 10

#: Samples of the memory, and with how many bounces it is judged: in a run that is shorter the kernel
#: still makes the threads that it keeps (KernelStack).
SAMPLES, ENOUGH = 5, 1000

#: Bounces between two lines of progress, at least.
TELL = 500

#: Threads that read and write, for each port.
THREADS = 2

#: Which messages the console shows.
_PRINTK = Path("/proc/sys/kernel/printk")

#: Of them, only those of errors.
ERRORS = 4


def say(text: str) -> None:
    """A line of output."""
    print(text, flush=True)


def hurry(context: Context) -> None:
    """Nothing holds up who registers ports.

    fcloop initialises a port after it was registered. When the controller connects before that, the
    driver may lose the answer to its first request, and the controller waits for it without end.
    """
    before = read(_PRINTK).split()[0]
    context.defer(lambda: write(_PRINTK, before))
    # A slow console prints while the port is registered.
    write(_PRINTK, str(ERRORS))
    # Not those who read and write.
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


class Port:
    """A remote port, with a controller that works."""

    def __init__(self, context: Context, fabric: LateFcloop, number: int) -> None:
        self.remote, self.target = fabric.remote, fabric.target
        if number > 1:
            self.remote, self.target = fabric.another(number)
        # Who runs this notices if the driver hangs.
        self.remote.direct = True
        address = self.target.address
        target = Target(context, address, NullBlk(context).path, number=number)
        options = Options(reconnect_delay=1)
        self.controller = connect(context, target.nqn, address, fabric.local.address, options)
        context.on_failure(lambda: f"{self.controller.name} is {self.controller.state()!r}")
        self.load = Load(context, self.controller.disk(), THREADS, writes=5)
        self.load.progress()

    def reset(self) -> None:
        """The association that ends leaves an LS which is aborted when the port goes."""
        before = self.controller.resets()
        self.controller.reset()
        self.controller.wait_resets(before + 1)
        self.controller.wait_live()


class Stress:
    """Ports that bounce in turn."""

    def __init__(self, context: Context, arguments: argparse.Namespace) -> None:
        self._random = random.Random(arguments.seed)
        hurry(context)
        self._window = arguments.window
        # Unlike fcloop it loses no link service when a port goes.
        fabric = LateFcloop(context, hold_disconnects=int(bool(self._window)))
        fabric.set(ls_abort_ms=self._window)
        self._fabric = fabric
        self._ports = [Port(context, fabric, number) for number in range(1, arguments.ports + 1)]
        # Before the driver goes, all that it holds has to be over.
        context.defer(lambda: fabric.set(hold_disconnects=0))
        # After each round all ports have bounced together with those of the target.
        self._round = BOTH * arguments.ports
        self._rounds = max(2 * SAMPLES, -(-arguments.bounces // self._round))
        self._callbacks = Callbacks(context, fabric, REMOTE_PORT)
        self._target_callbacks = Callbacks(context, fabric, TARGET_PORT)
        self._done = self._done_both = 0
        self._start = time.monotonic()

    def __str__(self) -> str:
        took = time.monotonic() - self._start
        return (
            f"{self._done} bounces, {self._callbacks}; of the target's ports "
            f"{self._target_callbacks}; {took:.0f} s"
        )

    def _bounce(self, port: Port, both: bool) -> None:
        port.controller.wait_live()
        if self._window:
            port.reset()
        port.load.progress()
        time.sleep(self._random.random() * 0.02)
        port.remote.delete()
        self._done += 1
        if both:
            port.target.delete()
            self._done_both += 1
            self._target_callbacks.wait(self._done_both)
        self._callbacks.wait(self._done)
        # One that comes twice does not make up for another one that never comes.
        self._check()
        if both:
            port.target.add()
        port.remote.add()

    def _check(self) -> None:
        self._callbacks.check(self._done)
        self._target_callbacks.check(self._done_both)

    def step(self, _number: int) -> None:
        """All ports in turn, until the target's have bounced, too."""
        for turn in range(1, BOTH + 1):
            for port in self._ports:
                with time_limit(BOUNCE_LIMIT * PATIENCE):
                    self._bounce(port, turn == BOTH)
        for port in self._ports:
            port.controller.wait_live()
        if self._done % TELL < self._round:
            say(str(self))

    def run(self) -> list[str]:
        """All of them; returns what is wrong."""
        # The kernel has as many threads as it ever needs after a tenth of them.
        first = 1 + self._rounds // 10
        between = (self._rounds - first) // (SAMPLES - 1)
        marks = [first + number * between for number in range(SAMPLES - 1)] + [self._rounds]
        samples = memory.watch(self.step, marks, modules=COUNTED)
        errors = 0
        for port in self._ports:
            port.load.progress()
            totals = port.load.stop()
            say(f"  {port.controller.name}: {totals}")
            errors += totals.errors
        say(f"  a round has {self._round} bounces")
        for line in memory.table(samples, "round"):
            say(f"  {line}")
        self._check()
        equal(self._done, self._rounds * self._round, "bounces")
        if self._window:
            aborted = self._fabric.count("aborted_ls")
            say(f"  {aborted} LS were aborted, {self._window} ms each")
            assert aborted >= self._done, "there were bounces without one"
        wrong = [f"{errors} errors"] if errors else []
        if self._done < ENOUGH:
            say("  too few bounces to judge the memory")
            return wrong
        return wrong + [f"{name} grows" for name in memory.growing(samples)]


def main() -> int:
    """Runs it on the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    many = "how many, rounded up to full rounds (default: 10000)"
    parser.add_argument("--bounces", type=int, default=10_000, help=many)
    parser.add_argument("--ports", type=int, default=3, help="remote ports (default: 3)")
    window = "milliseconds by which the window for a second callback is wider (default: 0)"
    parser.add_argument("--window", type=int, default=0, help=window)
    parser.add_argument("--seed", type=int, default=1, help="of the random choices (default: 1)")
    arguments = parser.parse_args()
    if lacking := Suite().missing():
        say(f"verdict: cannot run: {lacking}")
        return 1
    say(f"Linux {platform.release()}, modules: {loaded(CRATE)}")
    context = Context()
    done = "no bounce"
    try:
        stress = Stress(context, arguments)
        try:
            wrong = stress.run()
        finally:
            done = str(stress)
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
