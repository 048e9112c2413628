#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""LUN RESET, reset_ring and block_dev."""

from ksftlib.files import write
from ksftlib.ktap import LONG, PACE, Context, equal
from ksftlib.wait import Task
from tcmulib.rig import Fill, Rig, pattern
from tcmulib.scsi import (
    BLOCK,
    BUSY,
    CHECK_CONDITION,
    GOOD,
    OWN,
    OWN_READS,
    TASK_ABORTED,
    TEST_UNIT_READY,
    CommandTrace,
    Disk,
    read10,
)
from tcmulib.suite import Suite

suite = Suite()

NOTIFY: dict[str, "str | int"] = {"tmr_notification": 1}

#: READs for which there is no space, and which nothing but their test sends.
MARKED = read10(0x1234, 8)


def own(number: int) -> bytes:
    """A READ that nobody else sends."""
    return read10(OWN + 8 * number, 8)


def wait_for_space(context: Context, disk: Disk, timeout: float = LONG) -> Task:
    """Sends a READ for which there is no space."""
    trace = CommandTrace(context)
    task = disk.task_sg(MARKED, data_in=8 * BLOCK, timeout=timeout)
    trace.wait_start(MARKED)
    # What the target does with it needs a moment, too.
    task.still_blocked(0.3 * PACE)
    return task


@suite.test("a LUN RESET of an idle device is announced with an empty list")
def idle(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    disk.lun_reset()
    notified = rig.daemon.wait_event("tmr")
    equal((notified["type"], notified["ids"]), (5, []), "type and ids")
    # The reset leaves a unit attention behind.
    disk.sg_io(TEST_UNIT_READY)
    equal(disk.sg_io(TEST_UNIT_READY).status, GOOD, "status afterwards")
    equal(len(rig.daemon.tmrs()), 1, "number of notifications")


@suite.test("LUN RESET lists exactly the commands in flight, and ends when they do")
def in_flight(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    cdbs = [own(number) for number in range(6)]
    for cdb in cdbs:
        disk.task_sg(cdb, data_in=8 * BLOCK, timeout=3 * PACE)
    held = rig.daemon.ids(*cdbs)
    # One that has ended is not listed.
    ended = held.pop(2)
    rig.daemon.ctl(f"release {ended}")
    disk.task_reset().wait(10)
    equal(rig.daemon.tmrs(), [("LUN_RESET", sorted(held))], "notifications")
    cancelled = sorted(event["id"] for event in rig.daemon.events("cancel"))
    equal(cancelled, sorted(held), "cancelled ids")


@suite.test("attribute 0, LUN RESET waits for the commands and the daemon hears nothing")
def without(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    for number in range(3):
        disk.task_sg(own(number), data_in=8 * BLOCK, timeout=6 * PACE)
    rig.daemon.ids(*[own(number) for number in range(3)])
    reset = disk.task_reset()
    reset.still_blocked(1.0)
    rig.daemon.ctl("release all")
    reset.wait()
    equal(rig.daemon.tmrs(), [], "notifications")


@suite.test("LUN RESET also aborts the commands of another nexus, with TASK ABORTED")
def other_nexus(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    first, second = rig.disk(), rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    task = first.task_sg(own(0), data_in=8 * BLOCK)
    second.task_sg(own(1), data_in=8 * BLOCK, timeout=3 * PACE)
    held = rig.daemon.ids(own(0), own(1))
    second.task_reset().wait(10)
    equal(rig.daemon.tmrs()[0], ("LUN_RESET", sorted(held)), "first notification")
    equal(task.wait().status, TASK_ABORTED, "status at the other nexus")


@suite.test("LUN RESET ends commands that wait for space, unseen and not listed")
def waiting(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS, attributes=NOTIFY)
    first, second = rig.disk(), rig.disk()
    fill = Fill(rig, first)
    task = wait_for_space(context, first)
    second.task_reset().wait(15)
    equal(task.wait().status, TASK_ABORTED, "status of the waiting READ")
    equal(rig.daemon.tmrs(), [("LUN_RESET", sorted(fill.held))], "notifications")
    rig.daemon.ctl("unhold")
    assert all(event["cdb"] != MARKED.hex() for event in rig.daemon.events("cmd")), "the daemon saw it"


@suite.test("a command that has timed out is not listed")
def expired(context: Context) -> None:
    rig = Rig(context, "--on-tmr", "ignore", attributes={**NOTIFY, "cmd_time_out": int(PACE)})
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    task = disk.task_sg(own(0), data_in=8 * BLOCK)
    rig.daemon.ids(own(0))
    equal(task.wait(10).status, CHECK_CONDITION, "status of the one that timed out")
    disk.task_reset().wait(10)
    rig.daemon.wait_event("tmr")
    equal(rig.daemon.tmrs(), [("LUN_RESET", [])], "notifications")
    # Its answer, at last, is of no consequence.
    rig.daemon.ctl("unhold")
    rig.daemon.ctl("release all")
    disk.sg_io(TEST_UNIT_READY)
    equal(disk.sg_io(TEST_UNIT_READY).status, GOOD, "status afterwards")


@suite.test("resets one after the other are announced in order, each once")
def repeated(context: Context) -> None:
    rig = Rig(context, attributes=NOTIFY)
    disk = rig.disk()
    rig.daemon.ctl("pause")
    for _ in range(20):
        disk.lun_reset()
    rig.daemon.ctl("resume")
    rig.daemon.wait_event("tmr", count=20)
    equal(rig.daemon.tmrs(), [("LUN_RESET", [])] * 20, "notifications")


@suite.test("reset_ring 1 sends the commands in flight back, and they are tried again")
def ring_level_1(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    data = pattern(1, 32 * BLOCK)
    disk.write(OWN, data)
    rig.daemon.ctl(f"hold {OWN_READS}")
    tasks = [disk.task_read(OWN + number * 8, 8) for number in range(4)]
    rig.daemon.wait_held(4)
    rig.daemon.ctl("unhold")
    rig.device.action("reset_ring", 1)
    for number, task in enumerate(tasks):
        assert task.wait() == data[number * 8 * BLOCK : (number + 1) * 8 * BLOCK], f"READ {number}"


@suite.test("reset_ring 2 fails the commands in flight")
def ring_level_2(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    tasks = [disk.task_sg(own(number), data_in=8 * BLOCK) for number in range(4)]
    rig.daemon.wait_held(4)
    rig.daemon.ctl("unhold")
    rig.device.action("reset_ring", 2)
    equal([task.wait().status for task in tasks], [CHECK_CONDITION] * 4, "status")
    equal(disk.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status of the next READ")


@suite.test("reset_ring lets in what waited for space")
def ring_waiting(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS)
    disk = rig.disk()
    fill = Fill(rig, disk)
    task = wait_for_space(context, disk)
    rig.daemon.ctl("unhold")
    rig.device.action("reset_ring", 2)
    equal(task.wait().status, GOOD, "status of the one that waited")
    equal([other.wait().status for other in fill.tasks], [CHECK_CONDITION] * 8, "the others")


@suite.test("reset_ring of an idle device does no harm")
def ring_idle(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    data = pattern(2, 8 * BLOCK)
    disk.write(0, data)
    for level in (1, 2, 1):
        rig.device.action("reset_ring", level)
        assert disk.read(0, 8) == data, f"data after level {level}"


@suite.test("a blocked device answers BUSY until it is unblocked")
def blocked(context: Context) -> None:
    rig = Rig(context)
    disk = rig.disk()
    rig.device.action("block_dev", 1)
    context.defer(lambda: write(rig.device.path / "action" / "block_dev", "0"))
    # The SCSI layer tries again until the command's time is over, and then shows the status.
    equal(disk.task_sg(TEST_UNIT_READY, timeout=1).wait().status, BUSY, "status")
    task = disk.task_sg(TEST_UNIT_READY)
    task.still_blocked(0.3)
    rig.device.action("block_dev", 0)
    equal(task.wait().status, GOOD, "status afterwards")


@suite.test("blocking sends back what waits for space and leaves what is in flight")
def blocked_waiting(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS)
    disk = rig.disk()
    fill = Fill(rig, disk)
    task = wait_for_space(context, disk, 2 * PACE)
    rig.device.action("block_dev", 1)
    context.defer(lambda: write(rig.device.path / "action" / "block_dev", "0"))
    fill.check()
    fill.release()
    # In the queue it would have been served now. The SCSI layer tries it again
    # until its time is over.
    equal(task.wait().status, BUSY, "status of the one that waited")


if __name__ == "__main__":
    suite.run()
