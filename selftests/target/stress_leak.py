#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=28800 tools=yes
"""Shows that the target's memory stays flat, in a virtual machine of its own: it ends udev.

1. A device is made, served, exported, used and removed, again and again.
2. The modules are unloaded and loaded.
3. Devices that are left behind on purpose must be seen; otherwise 1 would prove nothing.

The last line says whether the counters are flat; the exit status is 0 if they are.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ksftlib import memory, udev
from ksftlib.ktap import PATIENCE, time_limit
from ksftlib.module import modprobe
from tcmulib.configfs import LOOPBACK, load_fabric
from tcmulib.cycle import LeftBehind, cycle
from tcmulib.daemon import use_copy
from tcmulib.module import CORE, COUNTED, TCMU
from tcmulib.stress import say, say_machine, verdict

#: Seconds for one cycle, one reload or one sample.
STEP_LIMIT = 120.0

#: Cycles before the first sample; they fill caches that stay.
WARM_UP = 100

#: Counters that are shown on the way, and that devices left behind must move.
SHOWN = ("SUnreclaim KiB", "VmallocUsed KiB", "vmalloc areas")


def prepare(folder: Path) -> None:
    """Takes what is slow and of no interest out of the cycles."""
    # The daemon is started in each of them, and may lie on a slow file system.
    use_copy(folder)
    # Nobody needs its links here.
    udev.end()


def marks(total: int, warm_up: int) -> list[int]:
    """When samples are taken: after the warm-up, at the end, and twice or more in between."""
    assert 0 < warm_up < total, f"{total} are too few"
    parts = 6
    return sorted({warm_up + (total - warm_up) * part // parts for part in range(parts + 1)})


class Cycles:
    """Runs cycles. A few that fail end nothing: their memory must come back all the same."""

    _MOST_FAILURES = 3

    def __init__(self) -> None:
        #: What went wrong, one line a cycle.
        self.failures: list[str] = []

    def __call__(self, number: int) -> None:
        try:
            with time_limit(STEP_LIMIT * PATIENCE):
                cycle(number)
        except Exception as error:
            self.failures.append(f"cycle {number} failed: {error!r}")
            say(f"  {self.failures[-1]}")
            if len(self.failures) > self._MOST_FAILURES:
                raise


def progress(sample: memory.Sample) -> None:
    """Says how far it is."""
    values = ", ".join(f"{name} {sample.counters[name]}" for name in SHOWN)
    say(f"  {time.strftime('%H:%M:%S')} after {sample.cycle}: {values}")


#: Another backend of this project, which only the lab loads.
SAMPLE = "tcm_ramtmr"


def reload_all(_number: int) -> None:
    """Unloads the target's core and all that uses it, and loads fabric and backend again."""
    with time_limit(STEP_LIMIT * PATIENCE):
        if LOOPBACK.is_dir():
            LOOPBACK.rmdir()
        users = CORE.holders()
        if SAMPLE in users:
            # modprobe does not know a module that was loaded from a file.
            subprocess.run(["rmmod", SAMPLE], check=True, timeout=60 * PATIENCE)
            users.remove(SAMPLE)
        done = modprobe("--remove", *users, CORE.name)
        assert not CORE.loaded(), f"it cannot be unloaded: {done.stderr}"
        TCMU.load()
        load_fabric()


def show(title: str, samples: list[memory.Sample], unit: str) -> list[str]:
    """Prints a table; returns the counters that grow."""
    say()
    say(title)
    for line in memory.table(samples, unit):
        say(f"  {line}")
    return memory.growing(samples)


def control(count: int) -> tuple[list[str], list[str]]:
    """Leaves enabled devices behind, then removes them.

    Returns the counters that grew, and those that did not come back.
    """
    leave = LeftBehind()
    samples = memory.watch(leave, (0, count // 2, count), modules=COUNTED)
    grown = show("Devices left behind on purpose", samples, "device")
    leave.remove()
    removed = [samples[0], memory.sample(count, COUNTED)]
    return grown, show("The same after their removal", removed, "device")


def run(cycles: int, reloads: int, left: int) -> list[str]:
    """All three parts; returns what is wrong."""
    wrong = []
    warm_up = min(WARM_UP, cycles // 3)
    say(f"{cycles} cycles of create, enable, serve, export, read, write, remove")
    step = Cycles()
    samples = memory.watch(step, marks(cycles, warm_up), progress, COUNTED)
    wrong += step.failures
    title = f"{cycles} cycles; the first {warm_up} are warm-up"
    wrong += [f"{name} grows with the cycles" for name in show(title, samples, "cycle")]
    warm_up = max(1, reloads // 5)
    samples = memory.watch(reload_all, marks(reloads, warm_up), modules=COUNTED)
    title = f"{reloads} times the target's modules unloaded and loaded"
    wrong += [f"{name} grows with the reloads" for name in show(title, samples, "reload")]
    grown, stayed = control(left)
    expected = [*SHOWN]
    if memory.has_slabinfo():
        expected.append("slab kmalloc-1k")
    wrong += [f"devices left behind do not show in {n}" for n in expected if n not in grown]
    wrong += [f"{name} stays after the devices left behind have gone" for name in stayed]
    return wrong


def main() -> int:
    """Runs everything in the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    # The debug kernel is slow, but its kmemleak needs only few.
    cycles, reloads = (150, 10) if os.environ.get("FLAVOUR") == "debug" else (1000, 40)
    parser.add_argument("--cycles", type=int, default=cycles, help="devices made and removed")
    parser.add_argument("--reloads", type=int, default=reloads, help="times the modules are loaded")
    parser.add_argument("--left", type=int, default=40, help="devices left behind on purpose")
    arguments = parser.parse_args()
    if min(arguments.cycles, arguments.reloads, arguments.left) < 6:
        parser.error("each number must be at least 6")
    start = time.monotonic()
    say_machine()
    if not memory.has_slabinfo():
        say("This kernel has no /proc/slabinfo (CONFIG_SLUB_DEBUG): slab memory counts in pages.")
    with tempfile.TemporaryDirectory(prefix="lio-rust-leak-") as folder:
        prepare(Path(folder))
        wrong = run(arguments.cycles, arguments.reloads, arguments.left)
    say()
    ran = (
        f"{arguments.cycles} cycles, {arguments.reloads} reloads, {time.monotonic() - start:.0f} s"
    )
    return verdict(wrong, "flat", "NOT FLAT", ran)


if __name__ == "__main__":
    sys.exit(main())
