#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The actions block_dev and reset_ring: what they do to what is where."""

from ksftlib.files import read
from ksftlib.ktap import LONG, Context, equal
from ksftlib.wait import Task
from tcmulib.rig import Served
from tcmulib.ring import UFLAG_KEEP_BUF, Entry
from tcmulib.scsi import (
    BLOCK,
    BUSY,
    CHECK_CONDITION,
    GOOD,
    RESERVATION_CONFLICT,
    TEST_UNIT_READY,
    CommandTrace,
    read10,
)
from tcmulib.suite import Suite

suite = Suite()

#: LOGICAL UNIT COMMUNICATION FAILURE.
UNREACHABLE = (0x2, 0x08, 0x00)


def send(served: Served, lba: int = 0, timeout: float = LONG) -> tuple[Task, Entry]:
    """A READ in flight."""
    task = served.disk.task_sg(read10(lba, 8), data_in=8 * BLOCK, timeout=timeout)
    return task, served.ring.next()


def unblock(context: Context, served: Served) -> None:
    """Whatever happens: the disk's removal needs the device."""
    context.defer(lambda: served.device.action("block_dev", 0))


@suite.test("block_dev takes the answers that nobody has announced yet")
def block_completes(context: Context) -> None:
    served = Served(context)
    unblock(context, served)
    task, entry = send(served)
    served.ring.respond(entry)
    served.ring.tail = (entry.offset + entry.length) % served.ring.cmdr_size
    task.still_blocked(0.3)
    served.device.action("block_dev", 1)
    equal(task.wait().status, GOOD, "status")


@suite.test("a blocked device is shown as such, and what is in flight can be answered")
def block_in_flight(context: Context) -> None:
    served = Served(context)
    unblock(context, served)
    first, first_entry = send(served)
    second, second_entry = send(served)
    served.device.action("block_dev", 1)
    equal(read(served.device.path / "action/block_dev"), "blocked", "block_dev")
    served.ring.complete(first_entry)
    equal(first.wait().status, GOOD, "status of the first")
    trace = CommandTrace(context)
    cdb = read10(0x100, 8)
    refused = served.disk.task_sg(cdb, data_in=8 * BLOCK)
    trace.wait_done(cdb, BUSY)
    equal(served.ring.poll(), None, "entry of a command for a blocked device")
    served.ring.complete(second_entry)
    equal(second.wait().status, GOOD, "status of the second")
    served.device.action("block_dev", 0)
    equal(read(served.device.path / "action/block_dev"), "unblocked", "block_dev")
    # The initiator tries again.
    entry = served.ring.next()
    equal(entry.cdb, cdb, "CDB after unblocking")
    served.ring.complete(entry)
    equal(refused.wait().status, GOOD, "status in the end")


@suite.test("blocking twice and unblocking twice is like doing it once")
def block_twice(context: Context) -> None:
    served = Served(context)
    unblock(context, served)
    for value, shown in ((1, "blocked"), (1, "blocked"), (0, "unblocked"), (0, "unblocked")):
        served.device.action("block_dev", value)
        equal(read(served.device.path / "action/block_dev"), shown, f"block_dev after {value}")
    task, entry = send(served)
    served.ring.complete(entry)
    equal(task.wait().status, GOOD, "status")


@suite.test("reset_ring leaves a blocked device blocked")
def block_stays(context: Context) -> None:
    served = Served(context)
    unblock(context, served)
    task, _ = send(served)
    served.device.action("block_dev", 1)
    served.device.action("reset_ring", 2)
    equal(task.wait().status, CHECK_CONDITION, "status of the one in flight")
    equal(read(served.device.path / "action/block_dev"), "blocked", "block_dev")


@suite.test("reset_ring 1 answers what is in flight with BUSY")
def reset_busy(context: Context) -> None:
    served = Served(context)
    trace = CommandTrace(context)
    cdbs = [read10(0x100 + 8 * number, 8) for number in range(3)]
    tasks = []
    for cdb in cdbs:
        tasks.append(served.disk.task_sg(cdb, data_in=8 * BLOCK))
        equal(served.ring.next().cdb, cdb, "CDB")
    served.device.action("reset_ring", 1)
    served.ring.position = 0
    for cdb in cdbs:
        trace.wait_done(cdb, BUSY)
    # The initiator tries each of them again.
    for _ in cdbs:
        served.ring.complete(served.ring.next())
    equal([task.wait().status for task in tasks], [GOOD] * 3, "status in the end")


@suite.test("reset_ring 2 answers what is in flight with LOGICAL UNIT COMMUNICATION FAILURE")
def reset_failure(context: Context) -> None:
    served = Served(context)
    tasks = [send(served, 8 * number)[0] for number in range(3)]
    served.device.action("reset_ring", 2)
    for task in tasks:
        answer = task.wait()
        equal((answer.status, answer.sense_triple), (CHECK_CONDITION, UNREACHABLE), "answer")


@suite.test("reset_ring empties the ring, and the next entry is at its start")
def reset_empties(context: Context) -> None:
    served = Served(context)
    for level in (1, 2):
        for _ in range(3):
            task, entry = send(served)
            served.ring.complete(entry)
            task.wait()
        assert served.ring.head == served.ring.tail != 0, (served.ring.head, served.ring.tail)
        served.device.action("reset_ring", level)
        equal((served.ring.head, served.ring.tail), (0, 0), f"head and tail after level {level}")
        served.ring.position = 0
        task, entry = send(served)
        equal((entry.offset, served.ring.head), (0, entry.length), "offset and head")
        served.ring.complete(entry)
        equal(task.wait().status, GOOD, "status")


@suite.test("reset_ring does not look at answers that nobody has announced")
def reset_ignores_answers(context: Context) -> None:
    served = Served(context)
    task, entry = send(served)
    served.ring.respond(entry, RESERVATION_CONFLICT)
    served.ring.tail = (entry.offset + entry.length) % served.ring.cmdr_size
    served.device.action("reset_ring", 2)
    answer = task.wait()
    equal((answer.status, answer.sense_triple), (CHECK_CONDITION, UNREACHABLE), "answer")
    equal((served.ring.head, served.ring.tail), (0, 0), "head and tail")


@suite.test("reset_ring gives every data block back")
def reset_data(context: Context) -> None:
    served = Served(context)
    first, entry = send(served)
    second, kept = send(served)
    third, _ = send(served)
    served.ring.respond(entry, cmd_id=kept.cmd_id, uflags=UFLAG_KEEP_BUF)
    served.ring.advance(entry)
    equal(second.wait().status, GOOD, "status of the one whose buffer is kept")
    served.device.action("reset_ring", 2)
    served.ring.position = 0
    equal([first.wait().status, third.wait().status], [CHECK_CONDITION] * 2, "status")
    # In one piece, from the start of the area.
    task = served.disk.task_sg(read10(0, 240), data_in=240 * BLOCK)
    other = served.ring.next()
    equal(other.iov, ((entry.iov[0][0], 240 * BLOCK),), "buffers of the next READ")
    served.ring.complete(other)
    equal(task.wait().status, GOOD, "status of the next READ")


@suite.test("reset_ring discards notifications with the rest of the ring")
def reset_notifications(context: Context) -> None:
    served = Served(context)
    served.device.set_attrib("tmr_notification", 1)
    for _ in range(3):
        served.disk.task_reset().wait()
    # The unit attention of the resets is LIO's own answer.
    served.disk.sg_io(TEST_UNIT_READY)
    assert served.ring.head != served.ring.tail, "no notifications on the ring"
    served.device.action("reset_ring", 1)
    served.ring.position = 0
    equal(served.ring.poll(), None, "entry after the reset")
    task = served.disk.task_sg(TEST_UNIT_READY)
    entry = served.ring.next()
    equal(entry.cdb, TEST_UNIT_READY, "first entry")
    served.ring.complete(entry)
    equal(task.wait().status, GOOD, "status")


if __name__ == "__main__":
    suite.run()
