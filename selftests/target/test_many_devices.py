#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Devices that come while others go: made, used and removed by many processes at once."""

import importlib
import importlib.util
import time
from collections.abc import Callable

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PATIENCE, Context, Skip, diag, equal
from ksftlib.wait import Task
from tcmulib import genl
from tcmulib.configfs import CORE, Device, free_number, remove_leftovers, take_share
from tcmulib.cycle import REPLIES
from tcmulib.genl import Family
from tcmulib.rig import Rig, pattern
from tcmulib.ring import Ring
from tcmulib.scsi import BLOCK
from tcmulib.suite import Suite

suite = Suite()

#: Processes at once, and the cycles of all of them together.
WORKERS, CYCLES, RTSLIB_CYCLES = 16, 500, 160

#: Seconds for all of them.
LIMIT = 180.0

#: Options that take little memory.
SMALL = "max_data_area_mb=1,cmd_ring_size_mb=1"

#: One cycle in so many maps the memory; one in so many has a daemon and a disk, which takes long.
MAPPED, SERVED = 4, 25

#: Bytes of a disk.
SIZE = 1 << 20

#: What sysfs says, with a stack trace, when a name is registered a second time.
DUPLICATE = "duplicate filename"


def idle(context: Context, number: int) -> None:
    """A device that nobody serves."""
    device = Device(context)
    device.control(f"dev_size={SIZE},{SMALL}")
    device.enable()
    if number % MAPPED == 0:
        equal(Ring(context, device).version, 2, "version in the mailbox")
    device.remove()
    equal(device.path.exists(), False, "whether the device is still there")


def served(context: Context, number: int) -> None:
    """A disk."""
    disk = Rig(context, size=SIZE, options=SMALL).disk()
    data = pattern(number, 8 * BLOCK)
    disk.write(8, data)
    assert disk.read(8, 8) == data, "the data differ"


def failures_of(worker: int, count: int, cycle: Callable[[Context, int], None]) -> list[str]:
    """The cycles of one process, its share of `count`; returns what went wrong."""
    take_share(worker)
    failures = []
    for number in range(worker, count, WORKERS):
        context = Context()
        try:
            cycle(context, number)
        except Exception as error:
            failures.append(f"cycle {number}: {error!r}")
        failures += [f"cycle {number}: {error}" for error in context.clean_up()]
    return failures


def at_once(
    context: Context,
    count: int,
    cycle: Callable[[Context, int], None],
    meanwhile: Callable[[], None] = lambda: time.sleep(0.1),
) -> None:
    """Does all cycles in many processes, and this one does `meanwhile` again and again."""
    log = KernelLog(context)
    tasks = [
        Task(context, lambda worker=worker: failures_of(worker, count, cycle),  # type: ignore[misc]
             f"process {worker}")
        for worker in range(WORKERS)
    ]  # fmt: skip
    end = time.monotonic() + LIMIT * PATIENCE
    while not all(task.done() for task in tasks) and time.monotonic() < end:
        meanwhile()
    failures = [failure for task in tasks for failure in task.wait(1)]
    for failure in failures:
        diag(failure)
    equal((len(failures), log.count(DUPLICATE)), (0, 0), f"failures, and messages on a {DUPLICATE}")
    remove_leftovers()


@suite.test("devices are made while others are removed", limit=LIMIT + 20)
def many(context: Context) -> None:
    def cycle(context: Context, number: int) -> None:
        (served if number % SERVED == SERVED - 1 else idle)(context, number)

    at_once(context, CYCLES, cycle)


@suite.test("many processes use rtslib at once, and a daemon answers all events", limit=LIMIT + 20)
def through_rtslib(context: Context) -> None:
    if not importlib.util.find_spec("rtslib_fb"):
        raise Skip("python3-rtslib-fb is not installed")
    rtslib = importlib.import_module("rtslib_fb")
    family = Family(context)
    equal(family.set_features(True), 0, "answer to SET_FEATURES")
    context.defer(lambda: family.set_features(False))

    def cycle(context: Context, number: int) -> None:
        # rtslib looks for a free number without keeping other processes out.
        index = free_number()
        made = rtslib.UserBackedStorageObject(
            f"disk{number}", config="ram/x", size=SIZE, control=SMALL, index=index
        )
        context.defer(lambda: made.exists and made.delete())
        for attribute, value in (("dev_size", 2 * SIZE), ("emulate_write_cache", 1)):
            made.set_attribute(attribute, str(value))
            equal(made.get_attribute(attribute), str(value), attribute)
        equal(made.status, "deactivated", "status")
        made.delete()
        equal((CORE / f"user_{index}").exists(), False, "whether the adapter is still there")

    def answer() -> None:
        if family.waiting(0.1):
            event = family.event()
            done = REPLIES[event.command]
            device = event.number(genl.ATTR_DEVICE_ID)
            equal(family.done(done, device, 0), 0, "the kernel's answer to the reply")

    at_once(context, RTSLIB_CYCLES, cycle, answer)


if __name__ == "__main__":
    suite.run()
