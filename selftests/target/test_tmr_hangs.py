#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Task management must end: what waits for ever in the C core or backend. See also test_prout.py."""

import time
from functools import partial
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import PACE, Context, Skip, diag, equal
from ksftlib.stacks import until_waiting, waiting_in
from ksftlib.wait import until
from tcmulib.exported import ExportedTcmu, register, reserve, send_prout, send_reads
from tcmulib.iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, Answer
from tcmulib.reserve import PREEMPT_AND_ABORT
from tcmulib.rig import Rig
from tcmulib.scsi import (
    BLOCK,
    DID_TIME_OUT,
    GOOD,
    OWN,
    OWN_READS,
    TASK_ABORTED,
    TEST_UNIT_READY,
    EhLog,
    read10,
    write10,
)
from tcmulib.suite import Suite

suite = Suite()

#: How many work items a workqueue runs at once on a CPU, unless it says otherwise.
MAX_ACTIVE = 1024


@suite.test("a LUN RESET ends the ABORT TASK of another nexus, whose initiator goes on", c_wedges=True)
def drained_abort(context: Context) -> None:
    # Nothing but the daemon ends the command, however slow the machine is.
    attributes: "dict[str, str | int]" = {"cmd_time_out": 0, "tmr_notification": 1}
    rig = Rig(context, "--on-tmr", "ignore", attributes=attributes)
    first, second = rig.disk(), rig.disk()
    log = EhLog(context)
    rig.daemon.ctl(f"hold {OWN_READS}")
    task = first.task_sg(read10(OWN, 8), data_in=8 * BLOCK, timeout=2 * PACE)
    (held,) = rig.daemon.ids(read10(OWN, 8))
    log.wait(first.address, "aborting command")
    until_waiting("target_put_cmd_and_wait", "the ABORT TASK to wait")
    reset = second.task_reset()
    reset.still_blocked(0.5)
    rig.daemon.let_go()
    reset.wait()
    equal(task.wait().host_status, DID_TIME_OUT, "host status of the command")
    # Its initiator has no reason for a reset of its own.
    equal(rig.daemon.tmrs(), [("ABORT_TASK", [held]), ("LUN_RESET", [])], "notifications")
    for disk in (first, second):
        # Resets leave unit attentions behind.
        for _ in range(3):
            status = disk.sg_io(TEST_UNIT_READY).status
        equal(status, GOOD, "status afterwards")


@suite.test("a LUN RESET does not wait for an initiator that fell silent after its ABORT TASK")
def silent_initiator(context: Context) -> None:
    exported = ExportedTcmu(context, notify=False)
    silent, other = exported.session(), exported.session()
    (tag,) = exported.hold(silent)
    silent.task_management(ABORT_TASK, tag)
    until_waiting("target_put_cmd_and_wait", "the ABORT TASK to wait")
    silent.acknowledges = False
    reset = other.task_management(LUN_RESET)
    other.silent(reset, 1.0)
    exported.daemon.let_go()
    equal(other.wait(reset), Answer(COMPLETE), "response to the LUN RESET")
    silent.acknowledges = True


@suite.test("a LUN RESET does not wait until TASK ABORTED is acknowledged")
def silent_command(context: Context) -> None:
    exported = ExportedTcmu(context, notify=False)
    silent, other = exported.session(), exported.session()
    (tag,) = exported.hold(silent)
    silent.acknowledges = False
    reset = other.task_management(LUN_RESET)
    other.silent(reset, 1.0)
    exported.daemon.let_go()
    equal(other.wait(reset), Answer(COMPLETE), "response to the LUN RESET")
    equal(silent.wait(tag), Answer(TASK_ABORTED), "answer to the READ")
    silent.acknowledges = True


@suite.test("a PREEMPT AND ABORT of a nexus whose command a LUN RESET waits for ends", c_wedges=True)
def reset_and_preempt(context: Context) -> None:
    # The thread that executes it is the one that would take the acknowledgement.
    exported = ExportedTcmu(context, notify=False, persistent=True)
    first, other = exported.session(), exported.session()
    register(first, other)
    (tag,) = exported.hold(first)
    reset = other.task_management(LUN_RESET)
    until_waiting("core_tmr_lun_reset", "the LUN RESET to wait")
    preempt = send_prout(first, PREEMPT_AND_ABORT, 1, 1)
    first.silent(preempt, 1.0)
    exported.daemon.let_go()
    equal(other.wait(reset), Answer(COMPLETE), "response to the LUN RESET")
    equal(first.wait(tag), Answer(TASK_ABORTED), "answer to the READ")
    first.wait(preempt)


@suite.test("a PREEMPT AND ABORT ends while a LUN RESET waits for a write of its nexus", c_wedges=True)
def reset_of_a_write(context: Context) -> None:
    # The thread that executes it is the one through which the data would come.
    exported = ExportedTcmu(context, notify=False, persistent=True)
    first, other = exported.session(), exported.session()
    register(first, other)
    first.wait_asked(first.command(write10(0, 128), promise=128 * BLOCK))
    other.task_management(LUN_RESET)
    until_waiting("core_tmr_lun_reset", "the LUN RESET to wait")
    # Nobody sends the data, and the LUN RESET waits for them until the target gives up.
    first.wait(send_prout(first, PREEMPT_AND_ABORT, 1, 2))
    first.drop()


@suite.test("a second LUN RESET waits for a PERSISTENT RESERVE OUT that the daemon has")
def passed_through(context: Context) -> None:
    # It is a command like others then: whoever resets waits for it, the second one too.
    exported = ExportedTcmu(context, notify=False, pgr_support=0)
    sender, one, two = (exported.session() for _ in range(3))
    exported.daemon.ctl("hold 0x5f")
    send_prout(sender, PREEMPT_AND_ABORT, 2, 1)
    exported.daemon.wait_held(1)
    first = one.task_management(LUN_RESET)
    until_waiting("core_tmr_lun_reset", "the first LUN RESET to wait")
    second = two.task_management(LUN_RESET)
    two.silent(second, 1.5)
    exported.daemon.let_go()
    for session, tag in ((one, first), (two, second)):
        equal(session.wait(tag), Answer(COMPLETE), "response")


@suite.test("PREEMPT AND ABORT leaves the commands of its own session alone, and ends", c_wedges=True)
def own_commands(context: Context) -> None:
    exported = ExportedTcmu(context, persistent=True)
    holder, other = exported.session(), exported.session()
    register(holder, other)
    (preempted,) = exported.hold(holder)
    told = exported.daemon.held()
    (own,) = exported.hold(other)
    # The thread that receives executes it. Had it to wait for the session's own command, it could
    # not receive the acknowledgement of the status that this command gets.
    reserve(other, PREEMPT_AND_ABORT, 2, 1)
    equal(exported.daemon.tmrs(), [("LUN_RESET_PRO", told)], "notifications")
    equal(holder.wait(preempted), Answer(TASK_ABORTED), "answer at the preempted session")
    other.silent(own, 0.2)
    exported.daemon.let_go()
    equal(other.wait(own).code, GOOD, "status of the session's own command")


def one_cpu(context: Context) -> None:
    """Takes all CPUs but the first one offline until the end of the test."""
    others = sorted(Path("/sys/devices/system/cpu").glob("cpu[1-9]*/online"))
    others = [path for path in others if read(path) == "1"]
    if len(others) > 7:
        raise Skip("would take many CPUs offline")
    for path in others:
        write(path, "0")
        context.defer(partial(write, path, "1"))


@suite.test("commands time out although ABORT TASKs that wait for them fill the workqueue", limit=90)
def full_workqueue(context: Context) -> None:
    one_cpu(context)
    sessions, each = 4, MAX_ACTIVE // 4
    exported = ExportedTcmu(context, notify=False, window=each + 8, timeout=int(10 * PACE))
    exported.daemon.ctl("hold read")
    users = [exported.session() for _ in range(sessions)]
    start = time.monotonic()
    tags = [(user, send_reads(user, each)) for user in users]
    exported.daemon.wait_held(sessions * each, 30)
    aborts = [(user, user.task_management(ABORT_TASK, tag)) for user, own in tags for tag in own]
    until(lambda: len(waiting_in("target_put_cmd_and_wait")) == MAX_ACTIVE, "all to wait", 30)
    diag(f"all wait after {time.monotonic() - start:.1f} s")
    # The daemon answers nothing: only the timer can end the commands. Nothing may sleep for as
    # long as four minutes meanwhile, which the kernel would complain about in the lab.
    for user, own in aborts:
        equal(user.wait(own), Answer(COMPLETE), "response")
    equal(len(exported.daemon.held()), sessions * each, "commands that the daemon still has")
    equal(exported.statistic("aborts_complete"), sessions * each, "aborts_complete")


if __name__ == "__main__":
    suite.run()
