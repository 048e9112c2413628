#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""cmd_time_out and qfull_time_out."""

import re
import time

from ksftlib.ktap import PACE, Context, equal
from ksftlib.trace import Trace
from tcmulib.rig import Fill, Rig, pattern
from tcmulib.scsi import (
    BLOCK,
    CHECK_CONDITION,
    GOOD,
    OWN,
    OWN_READS,
    TASK_SET_FULL,
    CommandTrace,
    read10,
)
from tcmulib.suite import Suite

suite = Suite()

#: What the target reports for a command that timed out: LOGICAL UNIT COMMUNICATION FAILURE.
TIMED_OUT = (0x2, 0x08, 0x00)

#: Seconds of a short cmd_time_out: what is not held must be answered within them.
SHORT = int(PACE)


@suite.test("a command that is not answered within cmd_time_out fails")
def command(context: Context) -> None:
    rig = Rig(context, attributes={"cmd_time_out": SHORT})
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    task = disk.task_sg(read10(OWN, 8), data_in=8 * BLOCK)
    rig.daemon.ids(read10(OWN, 8))
    answer = task.wait(10)
    equal((answer.status, answer.sense_triple), (CHECK_CONDITION, TIMED_OUT), "status and sense")
    waited = task.end - task.start
    assert waited >= SHORT, f"it failed after {waited:.2f} s"
    equal(disk.sg_io(read10(0, 8), data_in=8 * BLOCK).status, GOOD, "status of the next READ")


@suite.test("the answer to a command that has timed out does no harm")
def late(context: Context) -> None:
    rig = Rig(context, attributes={"cmd_time_out": SHORT})
    disk = rig.disk()
    data = pattern(1, 64 * BLOCK)
    disk.write(OWN, data)
    rig.daemon.ctl(f"hold {OWN_READS},count=4")
    cdbs = [read10(OWN + number * 8, 8) for number in range(4)]
    tasks = [disk.task_sg(cdb, data_in=8 * BLOCK) for cdb in cdbs]
    held = rig.daemon.ids(*cdbs)
    equal([task.wait(10).status for task in tasks], [CHECK_CONDITION] * 4, "status")
    # Their ids stay taken until user space has answered.
    assert disk.read(OWN, 64) == data
    fresh = rig.daemon.ids(read10(OWN, 64))
    assert not set(fresh) & set(held), f"{fresh} reuses one of {held}"
    rig.daemon.ctl("release all")
    assert disk.read(OWN, 64) == data, "data after the late answers"


@suite.test("a device with commands that have timed out can be removed")
def removed(context: Context) -> None:
    rig = Rig(context, attributes={"cmd_time_out": SHORT})
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS},count=2")
    tasks = [disk.task_sg(read10(OWN + 8 * n, 8), data_in=8 * BLOCK) for n in range(2)]
    for task in tasks:
        equal(task.wait(10).status, CHECK_CONDITION, "status")
    # Without an answer to them: the cleanup removes disk and device.
    rig.daemon.ctl("unhold")
    rig.daemon.kill()


@suite.test("with cmd_time_out 0 a command waits")
def none(context: Context) -> None:
    rig = Rig(context, attributes={"cmd_time_out": 0})
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS},count=1")
    task = disk.task_sg(read10(OWN, 8), data_in=8 * BLOCK)
    rig.daemon.ids(read10(OWN, 8))
    task.still_blocked(2.5)
    rig.daemon.ctl("release all")
    equal(task.wait().status, GOOD, "status")


#: A timer that is set, for how many ticks, and how many of them are never reached: the longest
#: delay that a timer can be given in milliseconds, with the most ticks that a kernel can have.
TIMER = re.compile(r"function=(?:delayed_work_timer_fn|tcmu_\w+)\S* .*\[timeout=(-?\d+)\]")
NEVER = 1 << 31

#: The fewest ticks in a day.
DAY = 24 * 3600 * 100


@suite.test("the longest cmd_time_out is one that ends")
def longest(context: Context) -> None:
    # Of 49 days, more than a timer takes.
    rig = Rig(context, attributes={"cmd_time_out": 4294967})
    trace = Trace(context, "timer", "timer_start")
    # The first command that the device is given sets the timer.
    rig.disk()
    found = [int(match[1]) for _, text in trace.events() if (match := TIMER.search(text))]
    delays = [ticks for ticks in found if ticks > DAY]
    equal(trace.lost(), 0, "lost events")
    assert delays, "no timer was set for more than a day"
    assert max(delays) <= NEVER, f"timers were set for {sorted(set(delays))} ticks"
    equal(rig.device.attrib("cmd_time_out"), "4294967", "cmd_time_out")


@suite.test("cmd_time_out cannot change while the device is exported")
def exported(context: Context) -> None:
    rig = Rig(context, attributes={"cmd_time_out": 9})
    rig.disk()
    try:
        rig.device.set_attrib("cmd_time_out", 1)
    except OSError as error:
        equal(error.errno, 22, "errno")
    else:
        raise AssertionError("it was taken")
    equal(rig.device.attrib("cmd_time_out"), "9", "cmd_time_out")


#: READ that finds the data area full.
MARKED = read10(0x1234, 8)


@suite.test("with qfull_time_out 0 a command without space gets TASK SET FULL at once")
def qfull_zero(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS, attributes={"qfull_time_out": 0})
    disk = rig.disk()
    fill = Fill(rig, disk)
    trace = CommandTrace(context)
    task = disk.task_sg(MARKED, data_in=8 * BLOCK)
    trace.wait_done(MARKED, TASK_SET_FULL)
    waited = time.monotonic() - task.start
    # Far less than the 30 s of cmd_time_out, which would count otherwise.
    assert waited < 4.0 * PACE, f"TASK SET FULL after {waited:.2f} s"
    # The SCSI layer keeps trying.
    fill.release()
    equal(task.wait().status, GOOD, "status in the end")


@suite.test("with qfull_time_out 1 a command without space gets TASK SET FULL after that")
def qfull_one(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS, attributes={"qfull_time_out": 1})
    disk = rig.disk()
    fill = Fill(rig, disk)
    trace = CommandTrace(context)
    task = disk.task_sg(MARKED, data_in=8 * BLOCK)
    trace.wait_done(MARKED, TASK_SET_FULL)
    waited = time.monotonic() - task.start
    assert 1.0 <= waited < 5.0 * PACE, f"TASK SET FULL after {waited:.2f} s"
    fill.check()
    fill.release()
    equal(task.wait().status, GOOD, "status in the end")


@suite.test("with qfull_time_out -1 cmd_time_out counts for a command without space")
def qfull_default(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS, attributes={"qfull_time_out": -1, "cmd_time_out": SHORT})
    disk = rig.disk()
    fill = Fill(rig, disk)
    trace = CommandTrace(context)
    task = disk.task_sg(MARKED, data_in=8 * BLOCK)
    # The others time out too, but their blocks stay taken.
    equal([other.wait(10).status for other in fill.tasks], [CHECK_CONDITION] * 8, "the others")
    trace.wait_done(MARKED, TASK_SET_FULL)
    rig.daemon.ctl("unhold")
    rig.daemon.ctl("release all")
    equal(task.wait().status, GOOD, "status in the end")


@suite.test("commands without space wait, and come in the order in which they were sent")
def qfull_order(context: Context) -> None:
    rig = Rig(context, options=Fill.OPTIONS)
    disk = rig.disk()
    fill = Fill(rig, disk)
    # Others may have read the same blocks before, and may use the disk now.
    before = len(rig.daemon.events("cmd"))
    trace = CommandTrace(context)
    cdbs = [read10(0x1000 + number * 8, 8) for number in range(6)]
    tasks = []
    for cdb in cdbs:
        tasks.append(disk.task_sg(cdb, data_in=8 * BLOCK))
        trace.wait_start(cdb)
    tasks[0].still_blocked(1.5)
    fill.release()
    equal([task.wait().status for task in tasks], [GOOD] * 6, "status")
    wanted = [cdb.hex() for cdb in cdbs]
    came = [event["cdb"] for event in rig.daemon.events("cmd")[before:]]
    order = [cdb for cdb in came if cdb in wanted]
    equal(order, wanted, "order at the daemon")
    equal(trace.done(cdbs[0], TASK_SET_FULL), 0, "TASK SET FULL answers")


if __name__ == "__main__":
    suite.run()
