#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Task management as any initiator may ask for it: the paths through the core, over iSCSI."""

from ksftlib.ktap import Context, equal
from tcmulib.exported import ExportedRam, ExportedTcmu, become_ready, register, reserve
from tcmulib.iscsi_raw import (
    ABORT_TASK,
    ABORT_TASK_SET,
    CLEAR_ACA,
    CLEAR_TASK_SET,
    COMPLETE,
    LUN_RESET,
    NO_TASK,
    NOT_SUPPORTED,
    Answer,
    RawSession,
)
from tcmulib.reserve import PREEMPT_AND_ABORT
from tcmulib.scsi import BLOCK, GOOD, TASK_ABORTED, TEST_UNIT_READY, read10
from tcmulib.suite import Suite
from tcmulib.tmr import functions_wait

suite = Suite()

#: RESERVE(6) of SPC-2, and the status that others get.
RESERVE6, RESERVATION_CONFLICT = bytes([0x16, 0, 0, 0, 0, 0]), 0x18


@suite.test("ABORT TASK of a command in flight is complete and told with its id, no answer to it follows")
def found(context: Context) -> None:
    exported = ExportedTcmu(context)
    session = exported.session()
    (tag,) = exported.hold(session)
    (held,) = exported.daemon.held()
    equal(session.wait(session.task_management(ABORT_TASK, tag)), Answer(COMPLETE), "response")
    equal(exported.daemon.tmrs(), [("ABORT_TASK", [held])], "notifications")
    session.silent(tag)
    equal(exported.statistic("aborts_complete"), 1, "aborts_complete")
    equal(session.wait(session.command(TEST_UNIT_READY)).code, GOOD, "status afterwards")


@suite.test("ABORT TASK waits for its command when the daemon is not told")
def waits(context: Context) -> None:
    exported = ExportedTcmu(context, notify=False)
    session = exported.session()
    (tag,) = exported.hold(session)
    own = session.task_management(ABORT_TASK, tag)
    session.silent(own)
    functions_wait()
    exported.daemon.ctl("release all")
    equal(session.wait(own), Answer(COMPLETE), "response")
    session.silent(tag)
    equal(exported.daemon.tmrs(), [], "notifications")


@suite.test("ABORT TASK of a command that is complete finds no task, told with an empty list")
def complete(context: Context) -> None:
    exported = ExportedTcmu(context)
    session = exported.session()
    # The target keeps a command until its status is acknowledged.
    session.acknowledges = False
    tag = session.command(read10(0, 8), read=8 * BLOCK)
    equal(session.wait(tag).code, GOOD, "status")
    equal(session.wait(session.task_management(ABORT_TASK, tag)), Answer(NO_TASK), "response")
    equal(exported.daemon.wait_event("tmr")["ids"], [], "ids")
    equal(exported.statistic("aborts_no_task"), 1, "aborts_no_task")
    equal(len(session.answers[tag]), 1, "answers to the command")


@suite.test("ABORT TASK of a tag that another session uses leaves that session's command alone")
def other_session(context: Context) -> None:
    exported = ExportedTcmu(context)
    first, second = exported.session(), exported.session()
    first.acknowledges = False
    tag = first.command(read10(0, 8), read=8 * BLOCK)
    equal(first.wait(tag).code, GOOD, "status")
    # Tags count alike in both sessions; commands of the second one catch up with the first.
    exported.daemon.ctl("hold read")
    while (same := second.command(read10(8, 8), read=8 * BLOCK)) < tag:
        exported.daemon.wait_held(1)
        exported.daemon.ctl("release all")
        second.wait(same)
    equal(same, tag, "tag in the other session")
    exported.daemon.wait_held(1)
    equal(first.wait(first.task_management(ABORT_TASK, tag)), Answer(NO_TASK), "response")
    second.silent(same)
    equal(exported.daemon.wait_event("tmr")["ids"], [], "ids")
    exported.daemon.let_go()
    equal(second.wait(same).code, GOOD, "status in the other session")


@suite.test("ABORT TASK with a tag that was never used finds no task")
def unknown(context: Context) -> None:
    exported = ExportedTcmu(context)
    session = exported.session()
    # iscsi_target takes a command that may still come for a task that it has to ask the core for.
    own = session.task_management(ABORT_TASK, 0x7777, number=session.next_number)
    equal(session.wait(own), Answer(NO_TASK), "response")
    equal(exported.daemon.wait_event("tmr")["ids"], [], "ids")
    # Any other it answers itself, with its own number for "no task", which is COMPLETE to the core.
    own = session.task_management(ABORT_TASK, 0x7777, number=session.next_number - 1)
    equal(session.wait(own), Answer(COMPLETE), "response to a CmdSN of the past")
    equal(session.wait(session.command(TEST_UNIT_READY)).code, GOOD, "status afterwards")
    equal(exported.daemon.tmrs(), [("ABORT_TASK", [])], "notifications")
    equal(exported.statistic("aborts_no_task"), 1, "aborts_no_task")


@suite.test("ABORT TASK does not abort a task management function")
def own_kind(context: Context) -> None:
    exported = ExportedTcmu(context, notify=False)
    session = exported.session()
    (tag,) = exported.hold(session)
    waiting = session.task_management(ABORT_TASK, tag)
    session.silent(waiting)
    equal(session.wait(session.task_management(ABORT_TASK, waiting)), Answer(NO_TASK), "response")
    session.silent(waiting)
    exported.daemon.ctl("release all")
    equal(session.wait(waiting), Answer(COMPLETE), "response to the first")


@suite.test("LUN RESET ends the commands of all sessions, with TASK ABORTED for the others")
def reset(context: Context) -> None:
    exported = ExportedTcmu(context)
    sessions = [exported.session() for _ in range(3)]
    tags = [exported.hold(session, 4) for session in sessions]
    held = exported.daemon.held()
    before = exported.statistic("resets")
    own = sessions[0].task_management(LUN_RESET)
    equal(sessions[0].wait(own), Answer(COMPLETE), "response")
    equal(exported.daemon.tmrs(), [("LUN_RESET", sorted(held))], "notifications")
    equal(exported.statistic("resets"), before + 1, "resets")
    for session, theirs in zip(sessions[1:], tags[1:], strict=True):
        for tag in theirs:
            equal(session.wait(tag), Answer(TASK_ABORTED), "answer at another session")
    for tag in tags[0]:
        sessions[0].silent(tag, 0.2)


@suite.test("two LUN RESETs at once both end")
def two_resets(context: Context) -> None:
    exported = ExportedTcmu(context, notify=False)
    first, second = exported.session(), exported.session()
    exported.hold(first, 2)
    exported.hold(second, 2)
    resets = [(session, session.task_management(LUN_RESET)) for session in (first, second)]
    for session, own in resets:
        session.silent(own, 0.3)
    exported.daemon.let_go()
    for session, own in resets:
        equal(session.wait(own), Answer(COMPLETE), "response")


@suite.test("LUN RESET ends an ABORT TASK of another session, which is answered")
def drains_abort(context: Context) -> None:
    exported = ExportedTcmu(context, notify=False)
    first, second = exported.session(), exported.session()
    (tag,) = exported.hold(first)
    abort = first.task_management(ABORT_TASK, tag)
    first.silent(abort)
    functions_wait()
    reset_tag = second.task_management(LUN_RESET)
    second.silent(reset_tag)
    exported.daemon.let_go()
    equal(second.wait(reset_tag), Answer(COMPLETE), "response to the reset")
    # Any other response would make its initiator go on to a reset of its own.
    equal(first.wait(abort), Answer(COMPLETE), "response to the abort")
    equal(first.wait(first.command(TEST_UNIT_READY)).code != TASK_ABORTED, True, "goes on")


@suite.test("functions that the target does not have are refused")
def refused(context: Context) -> None:
    exported = ExportedTcmu(context)
    session = exported.session()
    for function in (ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET):
        answer = session.wait(session.task_management(function))
        equal(answer, Answer(NOT_SUPPORTED), f"response to function {function}")
    answer = session.wait(session.task_management(LUN_RESET, lun=9))
    # iscsi_target stores its own number for "no LUN" where that of the core belongs.
    equal(answer, Answer(NO_TASK), "response to a reset of a LUN that is not there")
    equal(exported.daemon.tmrs(), [], "notifications")


@suite.test("LUN RESET leaves an ABORT TASK of its own session without an answer, and both end")
def drains_own_abort(context: Context) -> None:
    exported = ExportedTcmu(context, notify=False)
    session = exported.session()
    (tag,) = exported.hold(session)
    abort = session.task_management(ABORT_TASK, tag)
    session.silent(abort)
    reset_tag = session.task_management(LUN_RESET)
    session.silent(reset_tag)
    exported.daemon.let_go()
    equal(session.wait(reset_tag), Answer(COMPLETE), "response to the reset")
    session.silent(abort)
    session.silent(tag, 0)
    become_ready(session)


def tas(context: Context, tas: int) -> tuple[RawSession, int]:
    """A session and a command of it, after a LUN RESET of another session."""
    exported = ExportedRam(context, tas)
    first, second = exported.session(), exported.session()
    (own,) = exported.hold(first)
    (other,) = exported.hold(second)
    equal(first.wait(first.task_management(LUN_RESET)), Answer(COMPLETE), "response")
    equal(exported.ram.told(), (0, 1, 0), "notifications")
    equal(exported.ram.number("cancelled"), 2, "cancelled commands")
    first.silent(own)
    return second, other


@suite.test("TAS 1, the other session gets TASK ABORTED")
def tas_1(context: Context) -> None:
    session, tag = tas(context, 1)
    equal(session.wait(tag), Answer(TASK_ABORTED), "answer")
    become_ready(session)


@suite.test("TAS 0, the other session gets no answer")
def tas_0(context: Context) -> None:
    session, tag = tas(context, 0)
    session.silent(tag, 0)
    become_ready(session)
    session.silent(tag, 0)


@suite.test("LUN RESET ends an SPC-2 reservation")
def reservation(context: Context) -> None:
    exported = ExportedTcmu(context)
    first, second = exported.session(), exported.session()
    equal(first.wait(first.command(RESERVE6)).code, GOOD, "status of RESERVE")
    read = read10(0, 8)
    equal(
        second.wait(second.command(read, read=8 * BLOCK)).code,
        RESERVATION_CONFLICT,
        "status at the other session",
    )
    equal(second.wait(second.task_management(LUN_RESET)), Answer(COMPLETE), "response")
    become_ready(second)
    equal(second.wait(second.command(read, read=8 * BLOCK)).code, GOOD, "status after the reset")


@suite.test("PREEMPT AND ABORT reaches only the nexuses whose key it removes")
def preempt(context: Context) -> None:
    exported = ExportedTcmu(context, persistent=True)
    holder, other, third = (exported.session() for _ in range(3))
    register(holder, other, third)
    tags = exported.hold(holder, 2)
    held = exported.daemon.held()
    # Not one of the holder, whose key C gives to everybody's commands.
    reserve(other, PREEMPT_AND_ABORT, 2, 3)
    equal(exported.daemon.wait_event("tmr")["type"], 128, "type of the first notification")
    equal(exported.daemon.held(), held, "commands still held")
    for tag in tags:
        holder.silent(tag, 0.2)
    reserve(other, PREEMPT_AND_ABORT, 2, 1)
    second = exported.daemon.wait_event("tmr", count=2)
    equal((second["type"], sorted(second["ids"])), (128, sorted(held)), "second notification")
    equal(exported.daemon.tmrs()[0][1], [], "ids of the first notification")
    for tag in tags:
        equal(holder.wait(tag), Answer(TASK_ABORTED), "answer at the preempted session")
    equal(exported.statistic("resets"), 2, "resets")
    become_ready(other)


if __name__ == "__main__":
    suite.run()
