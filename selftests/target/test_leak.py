#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""No memory stays behind when devices and modules go; tools/leak does it a thousand times."""

from tcmulib import memory
from tcmulib.configfs import remove_leftovers
from tcmulib.cycle import LeftBehind, cycle
from tcmulib.ktap import Context, Skip, Suite, diag, equal
from tcmulib.module import MODULE, available, references, reload
from tcmulib.rig import Rig

suite = Suite()

#: The first cycles fill caches that stay: samples are taken after so many.
CYCLES = (5, 10, 15)

#: Devices that are left behind on purpose.
LEFT = 20


def flat(samples: list[memory.Sample], unit: str) -> None:
    """Fails the test if a counter grows."""
    for line in memory.table(samples, unit):
        diag(line)
    equal(memory.growing(samples), [], "counters that grow")


@suite.test("devices that come and go with I/O leave no memory behind", limit=110)
def cycles(context: Context) -> None:
    flat(memory.watch(cycle, CYCLES), "cycle")
    remove_leftovers()
    equal(references(), 0, "users of the module")


@suite.test("devices that stay are seen, and gone when they are removed", limit=60)
def control(context: Context) -> None:
    # What the first device needs for good does not count.
    first = Context()
    Rig(first)
    equal(first.clean_up(), [], "errors while cleaning up")
    leave = LeftBehind()
    samples = memory.watch(leave, (0, LEFT))
    grown = memory.growing(samples)
    leave.remove()
    assert "VmallocUsed KiB" in grown and "vmalloc areas" in grown, f"only {grown} grew"
    flat([samples[0], memory.sample(LEFT)], "device")


@suite.test("reloading the module leaves no memory behind")
def reloads(context: Context) -> None:
    if not available():
        raise Skip(f"modprobe does not know {MODULE}")
    flat(memory.watch(lambda _number: reload(), (1, 3)), "reload")


if __name__ == "__main__":
    suite.run()
