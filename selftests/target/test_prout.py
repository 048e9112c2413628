#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""PERSISTENT RESERVE OUT with PREEMPT AND ABORT, which aborts like a reset."""

from ksftlib.cpu import running_on, two_cpus
from ksftlib.ktap import Context, equal
from ksftlib.stacks import until_waiting
from ksftlib.wait import Task
from tcmulib.registrants import Reserved, preempt_on, prout
from tcmulib.reserve import PREEMPT, PREEMPT_AND_ABORT
from tcmulib.scsi import BLOCK, GOOD, OWN, OWN_READS, TEST_UNIT_READY, Disk, read10
from tcmulib.suite import Suite

suite = Suite()


def held_read(reserved: Reserved) -> Task:
    """A READ of the first nexus, which the daemon holds."""
    daemon = reserved.rig.daemon
    daemon.ctl(f"hold {OWN_READS},count=1")
    task = reserved.disks[0].task_sg(read10(OWN, 8), data_in=8 * BLOCK)
    daemon.ids(read10(OWN, 8))
    daemon.wait_held(1)
    return task


def others_pass(disk: Disk, cpu: int) -> None:
    """Fails the test unless commands that another nexus submits on `cpu` end."""
    for _ in range(3):
        with running_on(cpu):
            ready = disk.task_sg(TEST_UNIT_READY)
        equal(ready.wait(15).status, GOOD, "status of TEST UNIT READY")


@suite.test("a registered nexus can read and write under the reservation")
def registrants(context: Context) -> None:
    reserved = Reserved(context)
    for disk in reserved.disks:
        equal(disk.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status")


@suite.test("PREEMPT takes the reservation and aborts nothing")
def preempt(context: Context) -> None:
    reserved = Reserved(context)
    _, second = reserved.disks
    task = held_read(reserved)
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
    daemon.ctl(f"hold {OWN_READS}")
    cdbs = [read10(OWN + n * 8, 8) for n in range(2)]
    tasks = [first.task_sg(cdb, data_in=8 * BLOCK) for cdb in cdbs]
    held = daemon.ids(*cdbs)
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
    daemon.ctl(f"hold {OWN_READS},count=1,delay=1000")
    task = first.task_sg(read10(OWN, 8), data_in=8 * BLOCK)
    daemon.ids(read10(OWN, 8))
    equal(prout(second, PREEMPT_AND_ABORT, 2, 1), GOOD, "status of PREEMPT AND ABORT")
    # The answer came after the command's own.
    equal(daemon.held(), [], "commands still held")
    task.wait()
    equal(daemon.tmrs(), [], "notifications")
    second.sg_io(TEST_UNIT_READY)
    equal(second.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status of the next READ")


@suite.test("two PREEMPT AND ABORTs of one nexus at the same time both end", c_wedges=True)
def two_of_one_nexus(context: Context) -> None:
    cpus = two_cpus()
    reserved = Reserved(context, notify=0)
    daemon = reserved.rig.daemon
    _, second = reserved.disks
    task = held_read(reserved)
    one = preempt_on(context, cpus[0], second, 2, 1)
    until_waiting("core_tmr_lun_reset", "the first to wait")
    # It holds the reservation now, and preempts itself.
    two = preempt_on(context, cpus[1], second, 2, 2)
    two.still_blocked(1.0)
    one.still_blocked(0.0)
    daemon.let_go()
    equal([one.wait(), two.wait()], [GOOD] * 2, "status of both")
    task.wait()
    # The registration is whole: it is used once more.
    equal(prout(second, PREEMPT_AND_ABORT, 2, 2), GOOD, "status of a third one")
    equal(second.sg_io(read10(OWN, 8), data_in=8 * BLOCK).status, GOOD, "status of the next READ")


@suite.test("commands of others reach user space while a PREEMPT AND ABORT waits", c_wedges=True)
def others_go_on(context: Context) -> None:
    cpus = two_cpus()
    reserved = Reserved(context, notify=0, nexuses=3)
    daemon = reserved.rig.daemon
    _, second, third = reserved.disks
    task = held_read(reserved)
    waiting = preempt_on(context, cpus[0], second, 2, 1)
    until_waiting("core_tmr_lun_reset", "the PREEMPT AND ABORT to wait")
    others_pass(third, cpus[1])
    waiting.still_blocked(0.0)
    daemon.let_go()
    equal(waiting.wait(), GOOD, "status of PREEMPT AND ABORT")
    task.wait()


@suite.test("commands of others reach user space while a PREEMPT AND ABORT waits its turn", c_wedges=True)
def others_go_on_before(context: Context) -> None:
    # Its batch has begun, and the backend has not yet been told of any abort.
    cpus = two_cpus()
    reserved = Reserved(context, notify=0, nexuses=4)
    daemon = reserved.rig.daemon
    _, second, third, fourth = reserved.disks
    task = held_read(reserved)
    reset = fourth.task_reset()
    until_waiting("core_tmr_lun_reset", "the LUN RESET to wait")
    preempt = preempt_on(context, cpus[0], second, 2, 1)
    until_waiting("core_tmr_lun_reset", "the PREEMPT AND ABORT to wait", 2)
    others_pass(third, cpus[1])
    preempt.still_blocked(0.0)
    daemon.let_go()
    reset.wait()
    preempt.wait()
    task.wait()


if __name__ == "__main__":
    suite.run()
