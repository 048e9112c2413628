#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=1800 per-second=4 impl=rust
"""Mounts, verified I/O, lost connections, unmounts and reloads, again and again: memory stays flat.

Each cycle goes over another kind of device and has another number of slots. The last line is the
verdict; the exit status is 0 if all data was right, nothing stalled and no counter grows.
"""

import argparse
import platform
import random
import sys
import time
import traceback

from ksftlib import memory
from ksftlib.ktap import PATIENCE, Context, time_limit
from ksftlib.wait import until
from nfslib.client import Mount
from nfslib.disconnects import Disconnects
from nfslib.impl import implementation
from nfslib.load import KIB, LARGE, MAPPED, Load, Work
from nfslib.module import COUNTED, RPCRDMA
from nfslib.rig import shared_servers
from nfslib.server import Server
from nfslib.slots import set_slots
from nfslib.suite import Suite

#: Seconds for one cycle, or one sample.
CYCLE_LIMIT = 180.0

#: Cycles on one kind of device before the other gets its turn, and between two samples.
TURNS = 5

SLOTS = (4, 8, 16, 128)

WORKS = [
    Work(LARGE[:4], direct=True, size=512 * KIB),
    Work(MAPPED, direct=True, size=32 * KIB),
    Work((1, 5000, 100000), size=256 * KIB, forget=True),
]


def say(text: str) -> None:
    """A line of output."""
    print(text, flush=True)


class Cycles:
    """One cycle after the other, with random choices."""

    def __init__(self, seed: int) -> None:
        self._suite = Suite()
        self._servers = shared_servers(self._suite)
        self._random = random.Random(seed)
        self.operations = self.connections = self.disconnects = 0

    def __call__(self, number: int) -> None:
        """Mounts, works, loses connections, unmounts and loads the module anew."""
        server = self._servers(("siw", "rxe")[number // TURNS % 2])
        context = Context()
        try:
            with time_limit(CYCLE_LIMIT * PATIENCE):
                self._work(context, server, number)
        except BaseException:
            context.diagnose()
            raise
        finally:
            errors = context.clean_up()
            assert not errors, "\n".join(errors)
        server.stop()
        until(lambda: RPCRDMA.references() == 0, f"no user of {RPCRDMA.name}", 60)
        RPCRDMA.reload()
        server.start()

    def _work(self, context: Context, server: Server, number: int) -> None:
        set_slots(context, self._random.choice(SLOTS))
        connections = self._random.choice((1, 1, 2))
        mount = Mount(context, server, f"nconnect={connections}")
        context.on_failure(lambda: str(mount.transports()))
        load = Load(context, mount.path, server.folder, WORKS, seed=number + 1)
        load.progress(2)
        count = self._random.randrange(5)
        if count:
            disconnects = Disconnects(context, count, self._random.randrange(3, 20))
            until(lambda: disconnects.done() == count, f"{count} closed connections", 60)
        load.progress(5)
        self.operations += load.stop()
        self.disconnects += count
        self.connections += sum(each.connect_count for each in mount.transports())
        mount.unmount()
        for path in server.folder.iterdir():
            path.unlink()

    def end(self) -> list[str]:
        """Undoes what the cycles share; returns what went wrong."""
        return self._suite.shared.clean_up()


def run(cycles: Cycles, seconds: float) -> tuple[int, list[str]]:
    """Cycles until the time is up; returns their number, and what is wrong."""
    samples: list[memory.Sample] = []
    end = time.monotonic() + seconds
    number = 0
    while True:
        # Samples are taken of one kind of device only, and not before both have been used.
        if number % (2 * TURNS) == 0 and number:
            samples.append(memory.sample(number, COUNTED))
            say(
                f"{number} cycles, {cycles.operations} operations, {cycles.disconnects} disconnects"
            )
            if time.monotonic() > end and len(samples) >= 3:
                break
        cycles(number)
        number += 1
    for line in memory.table(samples, "cycle"):
        say(f"  {line}")
    return number, [f"{name} grows" for name in memory.growing(samples)]


def main() -> int:
    """Runs it on the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="of the random choices (default: 1)")
    arguments = parser.parse_args()
    if lacking := Suite().missing():
        say(f"verdict: cannot run: {lacking}")
        return 1
    say(f"Linux {platform.release()}, module: {implementation()}")
    cycles = Cycles(arguments.seed)
    number = 0
    wrong: list[str] = []
    try:
        number, wrong = run(cycles, arguments.seconds)
    except Exception:
        wrong = [traceback.format_exc()]
    wrong += cycles.end()
    for line in wrong:
        say(f"  {line}")
    done = (
        f"{number} cycles, {cycles.operations} operations, {cycles.connections} connections, "
        f"{cycles.disconnects} closed under load"
    )
    say(f"verdict: {'FAILED' if wrong else 'flat'}: {done}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
