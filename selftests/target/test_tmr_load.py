#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Task management of many commands: in the queues of several CPUs, a thousand, in a flood."""

import os
import time
from functools import partial

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import LONG, PACE, Context, Skip, equal
from ksftlib.stacks import waiting_in
from ksftlib.wait import Task, until
from tcmulib.exported import ExportedTcmu, become_ready, send_reads
from tcmulib.iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, NO_TASK, Answer, RawSession
from tcmulib.rig import Rig
from tcmulib.scsi import BLOCK, GOOD, OWN, OWN_READS, TASK_ABORTED, Disk, read10
from tcmulib.suite import Suite

suite = Suite()

#: Level of kernel messages.
INFO = 6

#: The kernel's default limit of messages: so many in so many seconds.
BURST, INTERVAL = 10, 5.0

SESSIONS, EACH = 4, 250


def read_on(disk: Disk, cpu: int, number: int, timeout: float) -> None:
    """A read that a CPU submits, and so goes to the queue of this CPU."""
    os.sched_setaffinity(0, {cpu})
    disk.sg_io(read10(OWN + 8 * number, 8), data_in=8 * BLOCK, timeout=timeout)


def held_on_two(context: Context, rig: Rig, disk: Disk, count: int, timeout: float) -> list[int]:
    """Held reads that two CPUs submit by turns; returns their ids in this order."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        raise Skip("needs two CPUs")
    rig.daemon.ctl(f"hold {OWN_READS}")
    held = []
    for number in range(count):
        what = partial(read_on, disk, cpus[number % 2], number, timeout)
        Task(context, what, f"read {number}")
        held += rig.daemon.ids(read10(OWN + 8 * number, 8))
    return held


@suite.test("LUN RESET goes through the queues of all CPUs, one after the other")
def queues(context: Context) -> None:
    rig = Rig(context, attributes={"tmr_notification": 1})
    disk = rig.disk()
    held = held_on_two(context, rig, disk, 6, timeout=LONG)
    disk.task_reset().wait(10)
    equal(rig.daemon.wait_event("tmr")["ids"], held[0::2] + held[1::2], "ids")


@suite.test("ABORT TASK finds a command in the queue of any CPU")
def abort_in_queues(context: Context) -> None:
    rig = Rig(context, attributes={"tmr_notification": 1})
    disk = rig.disk()
    held = held_on_two(context, rig, disk, 4, timeout=2 * PACE)
    rig.daemon.wait_event("tmr", count=4)
    told = sorted(rig.daemon.tmrs())
    equal(told, [("ABORT_TASK", [number]) for number in sorted(held)], "notifications")
    numbers = rig.statistics("scsi_tgt_dev")
    equal((numbers["aborts_complete"], numbers["aborts_no_task"]), (4, 0), "counters")


class Thousand:
    """A thousand commands in flight, of several sessions."""

    def __init__(self, context: Context, notify: bool) -> None:
        self.exported = ExportedTcmu(context, notify=notify, window=EACH + 8)
        daemon = self.exported.daemon
        daemon.ctl("hold read")
        self.tags: list[tuple[RawSession, list[int]]] = []
        sessions = [self.exported.session() for _ in range(SESSIONS)]
        self.tags = [(session, send_reads(session, EACH)) for session in sessions]
        self.held = daemon.wait_held(SESSIONS * EACH, 30)
        equal(len(self.held), SESSIONS * EACH, "held commands")

    def answers(self, session: RawSession, tags: list[int]) -> list[Answer]:
        """All answers to the commands of a session."""
        return [answer for tag in tags for answer in session.answers.get(tag, [])]


@suite.test("LUN RESET of a thousand commands, each announced and answered once", limit=90)
def thousand_reset(context: Context) -> None:
    load = Thousand(context, notify=True)
    first, own = load.tags[0]
    equal(first.wait(first.task_management(LUN_RESET), 30), Answer(COMPLETE), "response")
    equal(load.exported.daemon.tmrs(), [("LUN_RESET", sorted(load.held))], "notifications")
    for session, tags in load.tags[1:]:
        for tag in tags:
            equal(session.wait(tag), Answer(TASK_ABORTED), "answer")
        equal(len(load.answers(session, tags)), EACH, "number of answers")
    equal(load.answers(first, own), [], "answers to the commands of the session itself")
    equal(load.exported.statistic("resets"), 1, "resets")
    for session, _ in load.tags:
        become_ready(session)


@suite.test("a thousand ABORT TASKs that wait at once, each answered once", limit=90)
def thousand_aborts(context: Context) -> None:
    load = Thousand(context, notify=False)
    aborts = [
        (session, [session.task_management(ABORT_TASK, tag) for tag in tags])
        for session, tags in load.tags
    ]
    until(lambda: len(waiting_in("target_put_cmd_and_wait")) == SESSIONS * EACH, "all to wait", 30)
    load.exported.daemon.let_go()
    for session, own in aborts:
        for tag in own:
            equal(session.wait(tag, 30), Answer(COMPLETE), "response")
        equal(len(load.answers(session, own)), EACH, "number of responses")
    for session, tags in load.tags:
        equal(load.answers(session, tags), [], "answers to the aborted commands")
    equal(load.exported.statistic("aborts_complete"), SESSIONS * EACH, "aborts_complete")


@suite.test("a flood of ABORT TASKs writes few messages, and none above info")
def flood(context: Context) -> None:
    # The fabric has room for twice the window, and what is not acknowledged takes room.
    exported = ExportedTcmu(context, window=256)
    session = exported.session()
    # The fabric keeps the command, so that it asks the core to abort it.
    session.acknowledges = False
    done = session.command(read10(0, 8), read=8 * BLOCK)
    equal(session.wait(done).code, GOOD, "status")
    tags = exported.hold(session, 50)
    log = KernelLog(context)
    start = time.monotonic()
    for tag in tags:
        equal(session.wait(session.task_management(ABORT_TASK, tag)).code, COMPLETE, "response")
    for _ in range(150):
        equal(session.wait(session.task_management(ABORT_TASK, done)).code, NO_TASK, "response")
    allowed = BURST * (2 + int((time.monotonic() - start) / INTERVAL))
    messages = [(level, text) for level, text in log.records() if "ABORT_TASK" in text]
    assert len(messages) <= allowed, f"{len(messages)} messages, {allowed} are allowed"
    equal([entry for entry in messages if entry[0] < INFO], [], "messages above info")


if __name__ == "__main__":
    suite.run()
