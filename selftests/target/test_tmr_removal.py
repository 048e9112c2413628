#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Task management while its LUN, its nexus or its target goes away, over iSCSI."""

from ksftlib.files import write
from ksftlib.ktap import Context, equal
from ksftlib.stacks import until_waiting
from ksftlib.wait import Task, until
from tcmulib.exported import ExportedTcmu, become_ready
from tcmulib.iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, Answer, RawSession
from tcmulib.suite import Suite
from tcmulib.tmr import functions_wait

suite = Suite()


def two_sessions(
    context: Context, notify: bool = False
) -> tuple[ExportedTcmu, RawSession, RawSession]:
    """An exported device and two sessions."""
    exported = ExportedTcmu(context, notify=notify)
    return exported, exported.session(), exported.session()


def waits(session: RawSession, tag: int) -> None:
    """Fails the test unless this task management function, which was just sent, waits."""
    session.silent(tag, 0.3)
    functions_wait()


def shutdown_waits() -> None:
    """Waits until the shutdown of a session waits for its commands."""
    until_waiting("transport_generic_free_cmd", "the shutdown to wait")


def only_left(exported: ExportedTcmu, session: RawSession) -> None:
    """Waits for the end of the other session; fails the test unless this one goes on."""
    until(lambda: exported.target.sessions() == 1, "the end of the other session")
    become_ready(session)


def ends_with_the_command(exported: ExportedTcmu, work: Task) -> None:
    """Fails the test unless `work` waits until the daemon lets go what it holds, and ends then."""
    work.still_blocked(0.3)
    exported.daemon.let_go()
    work.wait()


@suite.test("a session that goes away while its command is aborted leaves nothing waiting")
def dropped(context: Context) -> None:
    exported, first, second = two_sessions(context)
    (tag,) = exported.hold(first)
    waits(first, first.task_management(ABORT_TASK, tag))
    first.drop()
    # Whether it waits depends on how far the shutdown is, see below.
    reset_tag = second.task_management(LUN_RESET)
    exported.daemon.let_go()
    equal(second.wait(reset_tag), Answer(COMPLETE), "response to the reset")
    only_left(exported, second)


@suite.test("a session that goes away while its LUN RESET waits leaves nothing waiting")
def dropped_reset(context: Context) -> None:
    exported, first, second = two_sessions(context)
    exported.hold(first, 2)
    (other,) = exported.hold(second)
    waits(first, first.task_management(LUN_RESET))
    first.drop()
    exported.daemon.let_go()
    second.wait(other)
    until(lambda: exported.target.sessions() == 1, "the end of the other session")
    equal(exported.statistic("resets"), 1, "resets")
    become_ready(second)


@suite.test("LUN RESET leaves alone what belongs to the shutdown of a session")
def fabric_stop(context: Context) -> None:
    exported, first, second = two_sessions(context, notify=True)
    exported.hold(first, 2)
    held = exported.daemon.held()
    first.drop()
    # The fabric has marked the commands of the connection before it waits for them.
    shutdown_waits()
    # Neither aborted nor waited for, and so not announced: they are the shutdown's.
    equal(second.wait(second.task_management(LUN_RESET)), Answer(COMPLETE), "response")
    equal(exported.daemon.wait_event("tmr")["ids"], [], "ids")
    equal(exported.daemon.held(), held, "commands still held")
    exported.daemon.let_go()
    only_left(exported, second)


@suite.test("LUN RESET waits for the command of an ABORT TASK that belongs to the shutdown of a session")
def fabric_stop_of_abort(context: Context) -> None:
    exported, first, second = two_sessions(context)
    (tag,) = exported.hold(first)
    waits(first, first.task_management(ABORT_TASK, tag))
    first.drop()
    shutdown_waits()
    # The request is not the reset's to end, but its command could reach the medium.
    reset = second.task_management(LUN_RESET)
    second.silent(reset, 1.0)
    exported.daemon.let_go()
    equal(second.wait(reset), Answer(COMPLETE), "response")
    only_left(exported, second)


@suite.test("a reset that waits goes on waiting when the command's session is lost")
def dropped_meanwhile(context: Context) -> None:
    # The shutdown takes the command off the logical unit long before the daemon is done with it.
    exported, first, second = two_sessions(context)
    exported.hold(first)
    reset = second.task_management(LUN_RESET)
    functions_wait()
    first.drop()
    shutdown_waits()
    second.silent(reset, 1.0)
    equal(len(exported.daemon.held()), 1, "commands still held")
    exported.daemon.let_go()
    equal(second.wait(reset), Answer(COMPLETE), "response")
    only_left(exported, second)


@suite.test("the LUN can be removed while an ABORT TASK waits, and both end")
def lun_removed(context: Context) -> None:
    exported = ExportedTcmu(context, notify=False)
    session = exported.session()
    (tag,) = exported.hold(session)
    own = session.task_management(ABORT_TASK, tag)
    waits(session, own)
    removal = Task(context, exported.link.unlink, "removing the LUN")
    ends_with_the_command(exported, removal)
    equal(session.wait(own), Answer(COMPLETE), "response")


@suite.test("the LUN can be removed while a LUN RESET waits, and both end")
def lun_removed_reset(context: Context) -> None:
    exported, first, second = two_sessions(context)
    exported.hold(first, 2)
    exported.hold(second, 2)
    own = second.task_management(LUN_RESET)
    waits(second, own)
    removal = Task(context, exported.link.unlink, "removing the LUN")
    ends_with_the_command(exported, removal)
    equal(second.wait(own), Answer(COMPLETE), "response")
    equal(exported.statistic("resets"), 1, "resets")


@suite.test("the target can be disabled while a LUN RESET waits, and both end")
def target_disabled(context: Context) -> None:
    exported, first, second = two_sessions(context)
    exported.hold(first, 2)
    exported.hold(second, 2)
    waits(first, first.task_management(LUN_RESET))
    off = Task(context, lambda: write(exported.target.tpg / "enable", "0"), "disabling the target")
    ends_with_the_command(exported, off)
    until(lambda: exported.target.sessions() == 0, "the end of all sessions")
    equal(exported.statistic("resets"), 1, "resets")
    equal(exported.daemon.held(), [], "commands still held")
    # The device is as good as before.
    write(exported.target.tpg / "enable", "1")
    exported.session()


if __name__ == "__main__":
    suite.run()
