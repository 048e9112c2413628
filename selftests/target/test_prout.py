#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""PERSISTENT RESERVE OUT with PREEMPT AND ABORT, which aborts like a reset."""

from tcmulib import reserve
from tcmulib.ktap import Context, Suite, equal
from tcmulib.reserve import PREEMPT, PREEMPT_AND_ABORT, REGISTER, RESERVE
from tcmulib.rig import Rig
from tcmulib.scsi import BLOCK, CHECK_CONDITION, GOOD, TEST_UNIT_READY, Disk, read10

suite = Suite()


def prout(disk: Disk, action: int, key: int, action_key: int = 0, limit: float = 30.0) -> int:
    """PERSISTENT RESERVE OUT; returns the status."""
    cdb, parameters = reserve.prout(action, key, action_key)
    answer = disk.sg_io(cdb, data_out=parameters, timeout=limit)
    assert answer.status != CHECK_CONDITION, f"sense data {answer.sense_triple}"
    return answer.status


class Reserved:
    """Two registered nexuses; the first one holds the reservation."""

    def __init__(self, context: Context, notify: int = 1) -> None:
        self.rig = Rig(context, attributes={"tmr_notification": notify})
        reserve.allow(context, self.rig.device)
        self.disks = [self.rig.disk() for _ in range(2)]
        for key, disk in enumerate(self.disks, start=1):
            equal(prout(disk, REGISTER, 0, key), GOOD, f"status of REGISTER with key {key}")
        equal(prout(self.disks[0], RESERVE, 1), GOOD, "status of RESERVE")


@suite.test("a registered nexus can read and write under the reservation")
def registrants(context: Context) -> None:
    reserved = Reserved(context)
    for disk in reserved.disks:
        equal(disk.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status")


@suite.test("PREEMPT takes the reservation and aborts nothing")
def preempt(context: Context) -> None:
    reserved = Reserved(context)
    first, second = reserved.disks
    reserved.rig.daemon.ctl("hold read,count=1")
    task = first.task_sg(read10(0, 8), data_in=8 * BLOCK)
    reserved.rig.daemon.wait_held(1)
    equal(prout(second, PREEMPT, 2, 1), GOOD, "status of PREEMPT")
    task.still_blocked(0.3)
    equal(reserved.rig.daemon.tmrs(), [], "notifications")
    reserved.rig.daemon.ctl("release all")
    equal(task.wait().status, GOOD, "status of the READ")


@suite.test("PREEMPT AND ABORT tells the daemon the commands of the preempted nexus", c_wedges=True)
def preempt_and_abort(context: Context) -> None:
    reserved = Reserved(context)
    daemon = reserved.rig.daemon
    first, second = reserved.disks
    daemon.ctl("hold read")
    tasks = [first.task_sg(read10(n * 8, 8), data_in=8 * BLOCK) for n in range(2)]
    held = daemon.wait_held(2)
    equal(prout(second, PREEMPT_AND_ABORT, 2, 1), GOOD, "status of PREEMPT AND ABORT")
    notified = daemon.wait_event("tmr")
    equal((notified["type"], sorted(notified["ids"])), (128, sorted(held)), "type and ids")
    equal(daemon.held(), [], "commands still held")
    for task in tasks:
        task.wait()
    daemon.ctl("unhold")
    second.sg_io(TEST_UNIT_READY)
    equal(second.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status of the next READ")


@suite.test("attribute 0, PREEMPT AND ABORT waits for the commands", c_wedges=True)
def without_notification(context: Context) -> None:
    reserved = Reserved(context, notify=0)
    daemon = reserved.rig.daemon
    first, second = reserved.disks
    daemon.ctl("hold read,count=1,delay=1000")
    task = first.task_sg(read10(0, 8), data_in=8 * BLOCK)
    daemon.wait_held(1)
    equal(prout(second, PREEMPT_AND_ABORT, 2, 1), GOOD, "status of PREEMPT AND ABORT")
    # The answer came after the command's own.
    equal(daemon.held(), [], "commands still held")
    task.wait()
    equal(daemon.tmrs(), [], "notifications")
    second.sg_io(TEST_UNIT_READY)
    equal(second.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status of the next READ")


if __name__ == "__main__":
    suite.run()
