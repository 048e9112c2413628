#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reclaim of data pages: global_max_data_area_mb limits what all data areas have together."""

import ctypes
import mmap
import os
import signal
from pathlib import Path

from ksftlib.files import write
from ksftlib.ktap import Context, equal
from ksftlib.wait import Task, until
from tcmulib.rig import Served, pattern
from tcmulib.ring import Entry, Ring, touch_in_child
from tcmulib.scsi import BLOCK, GOOD, write10
from tcmulib.suite import Suite

suite = Suite()

LIMIT = Path("/sys/module/target_core_user/parameters/global_max_data_area_mb")

#: Twelve commands of 128 KiB have one and a half times what the lowest limit allows.
COUNT, BLOCKS = 12, 256
LENGTH = BLOCKS * BLOCK

KIB = 1024

libc = ctypes.CDLL(None, use_errno=True)


def set_limit(megabytes: int) -> None:
    """Sets the limit; the worker runs at once if there are more pages."""
    write(LIMIT, str(megabytes))


def served(context: Context) -> Served:
    """A disk whose data area can have more than the limit will be."""
    before = int(LIMIT.read_text())
    context.defer(lambda: set_limit(before))
    return Served(context, "max_data_area_mb=4,cmd_ring_size_mb=1,hw_max_sectors=1024")


def mapped(ring: Ring) -> int:
    """KiB of the ring's mapping that have a page."""
    resident = (ctypes.c_ubyte * (ring.size // mmap.PAGESIZE))()
    start = ctypes.addressof(ctypes.c_char.from_buffer(ring.map))
    # For a device, mincore(2) says what is in the page table.
    if libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(ring.size), resident):
        raise OSError(ctypes.get_errno(), "mincore")
    return sum(page & 1 for page in resident) * mmap.PAGESIZE // KIB


def content(ring: Ring, entry: Entry) -> bytes:
    """The data of a command, read through the mapping."""
    return b"".join(bytes(ring.map[start : start + length]) for start, length in entry.iov)


class Writes:
    """WRITEs that are on the ring, with data that only this `seed` gives."""

    def __init__(self, context: Context, served: Served, seed: int) -> None:
        self._ring = served.ring
        self._tasks: list[Task] = []
        self.entries: list[Entry] = []
        self._data: dict[int, bytes] = {}
        for number in range(COUNT):
            data = pattern(seed * COUNT + number, LENGTH)
            cdb = write10(number * BLOCKS, BLOCKS)
            self._tasks.append(served.disk.task_sg(cdb, data_out=data))
            # One after the other: who is where in the area is known then.
            entry = self._ring.next()
            self._data[entry.cmd_id] = data
            self.entries.append(entry)

    def check(self, first: int = 0) -> None:
        """User space sees the data of all commands from number `first` on."""
        for entry in self.entries[first:]:
            found = content(self._ring, entry)
            assert found == self._data[entry.cmd_id], f"command {entry.cmd_id}: other data"

    def complete(self, first: int = 0, end: int = COUNT) -> None:
        """Completes commands `first` to `end` - 1."""
        for entry in self.entries[first:end]:
            self._ring.complete(entry)
        for task in self._tasks[first:end]:
            equal(task.wait().status, GOOD, "status")


@suite.test("above the limit, pages without a command are taken back, also out of the mapping")
def taken_back(context: Context) -> None:
    disk = served(context)
    writes = Writes(context, disk, 0)
    writes.check()
    writes.complete()
    before = mapped(disk.ring)
    assert before >= COUNT * LENGTH // KIB, f"{before} KiB are mapped"
    set_limit(1)
    expected = before - COUNT * LENGTH // KIB
    until(lambda: mapped(disk.ring) <= expected, f"only {expected} KiB mapped")
    # There is nothing behind the addresses any more.
    start, _ = writes.entries[0].iov[0]
    disk.ring.close()
    status = touch_in_child(disk.device, start)
    equal(os.waitstatus_to_exitcode(status), -signal.SIGBUS, "end of the child")


@suite.test("below the limit, pages stay for the next command")
def stays(context: Context) -> None:
    disk = served(context)
    Writes(context, disk, 0).complete()
    writes = Writes(context, disk, 1)
    writes.check()
    before = mapped(disk.ring)
    writes.complete()
    set_limit(3)
    set_limit(4)
    equal(mapped(disk.ring), before, "KiB mapped")


@suite.test("a command's pages stay while user space has it")
def held_stay(context: Context) -> None:
    disk = served(context)
    writes = Writes(context, disk, 0)
    set_limit(1)
    writes.check()
    writes.complete(0, COUNT - 1)
    set_limit(1)
    writes.check(COUNT - 1)
    writes.complete(COUNT - 1)


@suite.test("pages are taken back from before a command that user space has")
def holes(context: Context) -> None:
    disk = served(context)
    writes = Writes(context, disk, 0)
    writes.check()
    before = mapped(disk.ring)
    writes.complete(0, COUNT - 1)
    set_limit(1)
    expected = before - (COUNT - 1) * LENGTH // KIB
    until(lambda: mapped(disk.ring) <= expected, f"only {expected} KiB mapped")
    writes.check(COUNT - 1)
    writes.complete(COUNT - 1)


@suite.test("user space sees the data of new commands after its pages were taken back")
def new_data(context: Context) -> None:
    disk = served(context)
    for turn in range(6):
        set_limit(4)
        writes = Writes(context, disk, turn)
        writes.check()
        writes.complete(0, COUNT - turn % 3)
        set_limit(1)
        writes.check(COUNT - turn % 3)
        writes.complete(COUNT - turn % 3)


@suite.test("above the limit, commands go on")
def soft(context: Context) -> None:
    disk = served(context)
    set_limit(1)
    for turn in range(3):
        writes = Writes(context, disk, turn)
        writes.check()
        writes.complete()


@suite.test("another device's commands make the worker take an idle device's pages")
def other_device(context: Context) -> None:
    idle = served(context)
    busy = served(context)
    writes = Writes(context, idle, 0)
    writes.check()
    writes.complete()
    before = mapped(idle.ring)
    # 1.5 MiB are not above it, the other device's 1.5 MiB more are.
    set_limit(2)
    equal(mapped(idle.ring), before, "KiB mapped")
    writes = Writes(context, busy, 1)
    expected = before - COUNT * LENGTH // KIB
    until(lambda: mapped(idle.ring) <= expected, f"only {expected} KiB mapped")
    writes.check()
    writes.complete()


if __name__ == "__main__":
    suite.run()
