#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How often user space is woken: the event counter of the UIO node."""

import os
import select
import struct

from ksftlib.aio import Reads
from ksftlib.ktap import PACE, Context, equal
from ksftlib.wait import Task, until
from tcmulib.rig import Fill, Served
from tcmulib.ring import UFLAG_KEEP_BUF
from tcmulib.scsi import BLOCK, GOOD, TEST_UNIT_READY, CommandTrace, read10
from tcmulib.suite import Suite

suite = Suite()

#: Commands in a batch.
DEPTH = 32

#: Seconds without an event after which none is under way any more.
_QUIET = 0.3 * PACE


class Counter:
    """The event counter of an open UIO node."""

    def __init__(self, served: Served) -> None:
        self._fd = served.ring.fd
        # User space is woken some time after an entry got onto the ring, at a batch's end.
        while select.select([self._fd], [], [], _QUIET)[0]:
            os.read(self._fd, 4)
        self._sysfs = f"/sys/class/uio/{served.ring.node.name}/event"
        self._last = self._now()

    def _now(self) -> int:
        with open(self._sysfs, encoding="ascii") as event:
            return int(event.read())

    def since(self) -> int:
        """Events since the last call. The node is readable exactly if there were any."""
        now = self._now()
        ready = bool(select.select([self._fd], [], [], 0)[0])
        equal(ready, now != self._last, "whether the node is readable")
        if ready:
            equal(struct.unpack("=I", os.read(self._fd, 4))[0], now, "what reading gives")
        count, self._last = now - self._last, now
        return count


def answer_all(served: Served, count: int) -> None:
    """Answers so many entries."""
    for _ in range(count):
        served.ring.complete(served.ring.next())


def submit_as_one(node: object, depth: int) -> int:
    """Sends reads in one go, so that LIO finds all of them when it looks; returns how many end."""
    # The worker that takes the commands runs on the processor that sent them, and this
    # process does not let it before it is done.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    reads = Reads(node, depth)  # type: ignore[arg-type]
    reads.submit(list(range(depth)), 0, 2)
    return sum(result == BLOCK for _, result in reads.reap(depth))


@suite.test("a command that comes alone wakes user space once")
def alone(context: Context) -> None:
    served = Served(context)
    counter = Counter(served)
    for _ in range(5):
        task = served.disk.task_sg(TEST_UNIT_READY)
        entry = served.ring.next()
        until(lambda: select.select([served.ring.fd], [], [], 0)[0], "the event")
        equal(counter.since(), 1, "events for one command")
        served.ring.complete(entry)
        equal(task.wait().status, GOOD, "status")
        equal(counter.since(), 0, "events for its answer")


@suite.test("commands that come as a batch wake user space once")
def batch(context: Context) -> None:
    served = Served(context)
    served.disk.queue("nomerges", 2)
    # LIO only makes a batch of what it queues, as it does by default with the loopback.
    served.device.set_attrib("submit_type", 2)
    for turn in range(3):
        counter = Counter(served)
        task = Task(context, lambda: submit_as_one(served.disk.block, DEPTH), f"{DEPTH} reads")
        until(
            lambda: (served.ring.head - served.ring.tail) % served.ring.cmdr_size >= 128 * DEPTH,
            f"{DEPTH} entries",
        )
        until(lambda: select.select([served.ring.fd], [], [], 0)[0], "the event")
        # The first may have been taken before the rest came.
        events = counter.since()
        assert 1 <= events <= 2, f"{events} events for {DEPTH} commands in turn {turn}"
        answer_all(served, DEPTH)
        equal(task.wait(), DEPTH, "reads that succeeded")


@suite.test("what waits for space and gets onto the ring wakes user space")
def waiting(context: Context) -> None:
    served = Served(context, options=Fill.OPTIONS)
    tasks, entries = [], []
    for _ in range(8):
        tasks.append(served.disk.task_sg(read10(0, 256), data_in=256 * BLOCK))
        entries.append(served.ring.next())
    counter = Counter(served)
    trace, cdb = CommandTrace(context), read10(0x1000, 256)
    tasks.append(served.disk.task_sg(cdb, data_in=256 * BLOCK))
    trace.wait_start(cdb)
    tasks[-1].still_blocked(_QUIET)
    # The end of a batch wakes user space, with C also if nothing got onto the ring.
    assert counter.since() <= 1, "several events for one that waits"
    served.ring.complete(entries[0])
    last = served.ring.next()
    equal(counter.since(), 1, "events after its start")
    for entry in (*entries[1:], last):
        served.ring.complete(entry)
    equal([task.wait().status for task in tasks], [GOOD] * 9, "status")


@suite.test("a notification wakes user space")
def notification(context: Context) -> None:
    served = Served(context)
    served.device.set_attrib("tmr_notification", 1)
    counter = Counter(served)
    task = served.disk.task_reset()
    entry = served.ring.next()
    task.wait()
    equal(counter.since(), 1, "events for a LUN RESET")
    served.ring.advance(entry)
    served.disk.sg_io(TEST_UNIT_READY)


@suite.test("what frees space for nobody wakes nobody")
def nothing_to_say(context: Context) -> None:
    served = Served(context)
    task = served.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
    entry = served.ring.next()
    counter = Counter(served)
    served.ring.complete(entry, uflags=UFLAG_KEEP_BUF)
    task.wait()
    served.device.action("free_kept_buf", entry.cmd_id)
    served.device.action("block_dev", 1)
    served.device.action("block_dev", 0)
    served.device.action("reset_ring", 1)
    served.ring.position = 0
    served.ring.kick()
    equal(counter.since(), 0, "events")


if __name__ == "__main__":
    suite.run()
