#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""No memory stays behind when devices and modules go; stress_leak.py does it a thousand times."""

from ksftlib import memory
from ksftlib.ktap import Context, diag, equal
from tcmulib.configfs import remove_leftovers
from tcmulib.cycle import LeftBehind, cycle
from tcmulib.module import COUNTED, TCMU
from tcmulib.rig import Rig
from tcmulib.suite import Suite

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
    flat(memory.watch(cycle, CYCLES, modules=COUNTED), "cycle")
    remove_leftovers()
    equal(TCMU.references(), 0, "users of the module")


@suite.test("devices that stay are seen, and gone when they are removed", limit=60)
def control(context: Context) -> None:
    # What the first device needs for good does not count.
    first = Context()
    Rig(first)
    equal(first.clean_up(), [], "errors while cleaning up")
    leave = LeftBehind()
    samples = memory.watch(leave, (0, LEFT), modules=COUNTED)
    grown = memory.growing(samples)
    leave.remove()
    assert "VmallocUsed KiB" in grown and "vmalloc areas" in grown, f"only {grown} grew"
    flat([samples[0], memory.sample(LEFT, COUNTED)], "device")


@suite.test("reloading the module leaves no memory behind")
def reloads(context: Context) -> None:
    TCMU.need()
    flat(memory.watch(lambda _number: TCMU.reload(), (1, 3), modules=COUNTED), "reload")


if __name__ == "__main__":
    suite.run()
