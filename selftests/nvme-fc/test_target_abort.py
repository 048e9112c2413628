#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ABTS for commands that wait for a job, have just got one, and are executed."""

import errno

from ksftlib.ktap import Context, equal
from ksftlib.wait import until
from nvmelib.lldd import Suite
from nvmelib.nvme_command import connect
from nvmelib.rig_lldd import LlddRig

suite = Suite()

JOBS = 2

OVERFLOW = -errno.EOVERFLOW


@suite.test("an ABTS for a command that waits takes it out of the queue")
def waiting(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    running = rig.fill(JOBS)
    (first, second) = rig.send(2)
    rig.lldd.order(f"abort {first}")
    # Within the call, and the target does not abort what the initiator has aborted.
    command = rig.lldd.command(first)
    equal(command.history, (1, 1, 0), "callbacks of the one that was aborted")
    equal((command.operations, command.status), (0, None), "operations, response")
    rig.lldd.complete(running[0])
    rig.lldd.wait_asked(second, "rsp")
    equal(rig.lldd.command(first).history, (1, 1, 0), "callbacks later")
    rig.finish(running[1], second)


@suite.test("aborting what waits makes room, and keeps the order of the rest")
def middle(context: Context) -> None:
    rig = LlddRig(context, JOBS + 1)
    running = rig.fill(JOBS + 1)
    queue = rig.send(3)
    rig.lldd.order(f"abort {queue[1]}")
    queue += rig.send()
    del queue[1]
    for number in queue:
        rig.lldd.complete(running.pop(0))
        rig.lldd.wait_asked(number, "rsp")
    rig.finish(*queue)


@suite.test("aborting all that wait, from each end")
def all_of_them(context: Context) -> None:
    rig = LlddRig(context, 3)
    running = rig.fill(3)
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)):
        queue = rig.send(3)
        equal(rig.lldd.returned(queue), [OVERFLOW] * 3, "what the receiver returns")
        for index in order:
            rig.lldd.order(f"abort {queue[index]}")
            equal(rig.lldd.command(queue[index]).history, (1, 1, 0), "callbacks")
    rig.finish(*running)


@suite.test("an ABTS for a command whose response is on its way")
def responding(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    (number,) = rig.fill(1)
    rig.lldd.order(f"abort {number}")
    equal(rig.lldd.command(number).history, (0, 0, 0), "callbacks before the operation ends")
    rig.lldd.complete(number, 1)
    (command,) = rig.lldd.wait_released(number)
    equal(command.history, (0, 1, 0), "callbacks")


@suite.test("an ABTS for a command that waits for data of the initiator")
def writing(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    (number,) = rig.lldd.send(rig.connection, connect(rig.target.nqn, 1), hold="write")
    rig.lldd.wait_asked(number, "write")
    rig.lldd.order(f"abort {number}")
    equal(rig.lldd.command(number).history, (0, 0, 0), "callbacks before the operation ends")
    rig.lldd.complete(number, 1)
    (command,) = rig.lldd.wait_released(number)
    equal((command.history, command.status), ((0, 1, 0), None), "callbacks, response")


@suite.test("an ABTS twice, and one for a command that has ended")
def again(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    running = rig.fill(JOBS)
    (waiter,) = rig.send()
    for _ in range(2):
        rig.lldd.order(f"abort {waiter}")
    equal(rig.lldd.command(waiter).history, (1, 1, 0), "callbacks")
    rig.lldd.complete(running[0])
    (command,) = rig.lldd.wait_released(running[0])
    rig.lldd.order(f"abort {running[0]}")
    equal(rig.lldd.command(running[0]).history, command.history, "callbacks of the one that ended")
    for _ in range(2):
        rig.lldd.order(f"abort {running[1]}")
    rig.finish(running[1])


@suite.test("an ABTS does not reach the next command of the job")
def successor(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    (first, other) = rig.fill(JOBS)
    (second,) = rig.send()
    rig.lldd.complete(first)
    rig.lldd.wait_asked(second, "rsp")
    rig.lldd.order(f"abort {first}")
    rig.lldd.complete(second)
    (command,) = rig.lldd.wait_released(second)
    equal(command.history, (1, 1, 0), "callbacks of the second")
    rig.finish(other)


@suite.test("ABTS for all, while they are answered and promoted", limit=90)
def storm(context: Context) -> None:
    rig = LlddRig(context, 4)
    for _ in range(20):
        numbers = rig.lldd.send(rig.connection, count=8, hold="rsp", late=1)
        for number in numbers:
            rig.lldd.order(f"abort {number}")
        for command in rig.lldd.wait_released(*numbers):
            equal(command.released, 1, "how often it was given back")
            equal(command.defer_rcv, int(command.deferred), "how often its buffer was")
            equal(command.fcp_abort, 0, "exchanges that the target aborts")
    until(lambda: rig.lldd.state()["commands_out"] == 0, "all commands to be given back")


if __name__ == "__main__":
    suite.run()
