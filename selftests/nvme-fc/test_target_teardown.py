#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Associations, ports and LLDDs that go while commands wait, are executed, or are late."""

import errno
from collections.abc import Callable

from ksftlib.ktap import Context, equal
from ksftlib.wait import until
from nvmelib.lldd import Suite
from nvmelib.nvme_command import PLAIN, connect
from nvmelib.rig_lldd import LlddRig

suite = Suite()

JOBS = 3

OVERFLOW = -errno.EOVERFLOW


@suite.test("an association ends while commands wait for jobs", c_wedges=True)
def while_deferred(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    running = rig.fill(JOBS)
    waiting = rig.send(JOBS)
    request = rig.association.end()
    # They are given back while those that run are not.
    for command in rig.lldd.wait_released(*waiting):
        equal(command.history, (1, 1, 1), "callbacks of those that wait")
        equal((command.operations, command.status), (0, None), "operations, response")
    rig.association.wait_ended(request)
    equal(rig.lldd.returned(rig.send()), [-errno.ENOTCONN], "what the receiver returns")
    for number in running:
        rig.lldd.complete(number)
    for command in rig.lldd.wait_released(*running):
        equal((command.defer_rcv, command.released), (0, 1), "callbacks of those that ran")
    rig.wait_queues(0)


@suite.test("responses that are sent long after the association has ended", c_wedges=True)
def late(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    admin = rig.lldd.send(rig.association.admin, hold="rsp")
    running = rig.fill(JOBS)
    rig.association.wait_ended(rig.association.end())
    rig.wait_queues(2)
    equal([command.released for command in map(rig.lldd.command, running)], [0] * JOBS,
          "commands that were given back")  # fmt: skip
    for number in (*running, *admin):
        rig.lldd.complete(number)
    rig.lldd.wait_released(*running, *admin)
    rig.wait_queues(0)


@suite.test("responses that are late over the end of the port", c_wedges=True)
def late_port(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    running = rig.fill(JOBS)
    waiting = rig.send(JOBS)
    rig.target.withdraw()
    rig.lldd.unregister()
    rig.lldd.wait_released(*waiting)
    # The commands that are left keep the port, and so the LLDD.
    equal(rig.lldd.state()["ports_deleted"], 0, "ports that are deleted")
    for number in running:
        equal(rig.lldd.state()["ports_deleted"], 0, "ports that are deleted")
        rig.lldd.complete(number)
    rig.lldd.wait_released(*running)
    rig.lldd.wait_deleted()
    rig.wait_queues(0)
    rig.lldd.order("clear")


@suite.test("the last response comes from the workqueue of the queue", c_wedges=True)
def in_the_workqueue(context: Context) -> None:
    rig = LlddRig(context, 2)
    running = rig.fill(2)
    promoted = rig.send(1)
    rig.lldd.complete(running[0])
    rig.lldd.wait_asked(promoted[0], "rsp")
    rig.finish(running[1])
    rig.association.wait_ended(rig.association.end())
    rig.lldd.complete(promoted[0])
    (command,) = rig.lldd.wait_released(promoted[0])
    equal((command.defer_rcv, command.released), (1, 1), "callbacks")
    rig.wait_queues(0)


@suite.test("an association ends while a command waits for its first data", c_wedges=True)
def first_data(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    (number,) = rig.lldd.send(rig.connection, connect(rig.target.nqn, 1), hold="write")
    rig.lldd.wait_asked(number, "write")
    rig.association.wait_ended(rig.association.end())
    (command,) = rig.lldd.wait_released(number)
    equal((command.history, command.status), ((0, 1, 1), None), "callbacks, response")


@suite.test(
    "an LLDD that does nothing about an abort holds up the association's end", c_wedges=True
)
def silent(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    rig.lldd.order("silent 1")
    (number,) = rig.lldd.send(rig.connection, connect(rig.target.nqn, 1), hold="write")
    rig.lldd.wait_asked(number, "write")
    other = rig.lldd.associate()
    request = rig.association.end()
    rig.lldd.wait(number, lambda command: command.fcp_abort == 1, "is aborted")
    # Others are served meanwhile.
    connection = other.connect(1)
    answered = rig.lldd.send(connection, count=2)
    rig.lldd.wait_released(*answered)
    equal(rig.lldd.answers(request), [], "answers to the one that ends")
    rig.lldd.complete(number, 1)
    rig.association.wait_ended(request)
    (command,) = rig.lldd.wait_released(number)
    equal(command.history, (0, 1, 1), "callbacks")


@suite.test("an association ends that never had a command")
def unused(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    for _ in range(5):
        association = rig.lldd.associate()
        association.connect(1)
        association.connect(5, 100)
        association.wait_ended(association.end())
    rig.wait_queues(2)


@suite.test("the association ends under a flood of commands", limit=90, c_wedges=True)
def flood(context: Context) -> None:
    rig = LlddRig(context, 8)
    for _ in range(5):
        association = rig.lldd.associate(8)
        connection = association.connect(1, 8)
        flow = rig.lldd.words(rig.lldd.take(2000), connection, PLAIN, 2000, hold="rsp", late=1)
        task = rig.lldd.later(flow)
        until(lambda: rig.lldd.state()["commands"] > 20, "commands")
        request = association.end()
        association.wait_ended(request)
        rig.lldd.wait_order(task)
        until(lambda: rig.lldd.state()["commands_out"] == 0, "all to be given back", 60)
    equal(rig.lldd.faults(), [], "what the transport must not do")


def _unload(name: str, prepare: "Callable[[LlddRig], object]", c_wedges: bool = True) -> None:
    @suite.test(f"the LLDD is unloaded {name}", limit=90, c_wedges=c_wedges)
    def unload(context: Context) -> None:
        rig = LlddRig(context, JOBS)
        prepare(rig)
        rig.lldd.remove()
        rig.wait_queues(0)


def _deferred(rig: LlddRig) -> None:
    rig.fill(JOBS)
    equal(rig.lldd.returned(rig.send(JOBS)), [OVERFLOW] * JOBS, "what the receiver returns")


def _data(rig: LlddRig) -> None:
    (number,) = rig.lldd.send(rig.connection, connect(rig.target.nqn, 1), hold="write")
    rig.lldd.wait_asked(number, "write")


def _silent(rig: LlddRig) -> None:
    rig.lldd.order("silent 1")
    _data(rig)
    _deferred_after_data(rig)


def _deferred_after_data(rig: LlddRig) -> None:
    rig.fill(JOBS - 1)
    rig.send(JOBS)


def _ending(rig: LlddRig) -> None:
    rig.lldd.order("silent 1")
    _data(rig)
    rig.association.end()


def _late(rig: LlddRig) -> None:
    running = rig.fill(JOBS)
    rig.association.wait_ended(rig.association.end())
    equal([rig.lldd.command(number).released for number in running], [0] * JOBS, "given back")


_unload("when nothing is under way", lambda rig: None, c_wedges=False)
_unload("while responses are held", lambda rig: rig.fill(JOBS))
_unload("while commands wait for jobs", _deferred)
_unload("while a command waits for data", _data)
_unload("while it does nothing about anything", _silent)
_unload("while an association cannot end", _ending)
_unload("while responses are late", _late)


if __name__ == "__main__":
    suite.run()
