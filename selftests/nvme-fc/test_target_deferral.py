#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Commands that come while all jobs of a target queue are in use."""

import errno
from functools import partial

from ksftlib.ktap import Context, equal, raises_errno
from nvmelib.lldd import Lldd, Suite
from nvmelib.nvme_command import CONTRADICTORY, INVALID_OPCODE, PLAIN
from nvmelib.rig_lldd import LlddRig

suite = Suite()

#: Jobs of the queue that most tests use.
JOBS = 4

OVERFLOW = -errno.EOVERFLOW


@suite.test("a command that finds a job is answered and given back")
def admitted(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    numbers = rig.lldd.send(rig.connection, count=3 * JOBS, hold="none", late=0)
    for command in rig.lldd.wait_released(*[n for n in numbers if not rig.refused(n)]):
        equal((command.status, command.fcp_abort), (INVALID_OPCODE, 0), "status, aborts")
    assert rig.lldd.command(numbers[0]).returned == 0, "the first command found no job"


@suite.test("a job is in use until the LLDD has sent the response")
def held(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    numbers = rig.fill(JOBS)
    equal(rig.lldd.returned(numbers), [0] * JOBS, "what the receiver returns")
    for number in numbers:
        command = rig.lldd.command(number)
        equal((command.waits, command.status), ("rsp", INVALID_OPCODE), f"command {number}")
        equal(command.history, (0, 0, 0), f"callbacks of command {number}")
    for number in numbers:
        rig.lldd.complete(number)
    for command in rig.lldd.wait_released(*numbers):
        equal(command.history, (0, 1, 0), "callbacks")


@suite.test("a command that finds none waits, and gets the next job")
def deferred(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    running = rig.fill(JOBS)
    (waiting,) = rig.send()
    command = rig.lldd.command(waiting)
    equal((command.returned, command.history), (OVERFLOW, (0, 0, 0)), "return, callbacks")
    rig.lldd.complete(running[1])
    rig.lldd.wait_asked(waiting, "rsp")
    command = rig.lldd.command(waiting)
    equal((command.status, command.history), (INVALID_OPCODE, (1, 0, 0)), "status, callbacks")
    rig.finish(running[0], *running[2:], waiting)
    equal(rig.lldd.command(waiting).history, (1, 1, 0), "callbacks at the end")


@suite.test("what waits gets jobs in the order in which it was received")
def fifo(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    running = rig.fill(JOBS)
    waiting = rig.send(JOBS)
    equal(rig.lldd.returned(waiting), [OVERFLOW] * JOBS, "what the receiver returns")
    # Jobs become idle in no order.
    order = (2, 0, 3, 1)
    for served, index in enumerate(order, start=1):
        rig.lldd.complete(running[index])
        rig.lldd.wait_asked(waiting[served - 1], "rsp")
        commands = rig.lldd.commands()
        equal([commands[number].defer_rcv for number in waiting],
              [1] * served + [0] * (JOBS - served), "defer_rcv of those that wait")  # fmt: skip
    rig.finish(*waiting)


@suite.test("a job goes from one command that waits to the next")
def chain(context: Context) -> None:
    rig = LlddRig(context, 2)
    numbers = rig.fill(2) + rig.send(2)
    for _ in range(20):
        rig.lldd.complete(numbers.pop(0))
        rig.lldd.wait_asked(numbers[1], "rsp")
        numbers += rig.send()
        equal(rig.lldd.command(numbers[-1]).returned, OVERFLOW, "what the receiver returns")
    rig.finish(*numbers)


@suite.test("without defer_rcv there is no waiting")
def no_deferral(context: Context) -> None:
    rig = LlddRig(context, JOBS, defers=False)
    running = rig.fill(JOBS)
    refused = rig.send(2)
    equal(rig.lldd.returned(refused), [-errno.ENOENT] * 2, "what the receiver returns")
    rig.lldd.complete(running[0])
    rig.lldd.wait_released(running[0])
    (next_one,) = rig.send()
    equal(rig.lldd.command(next_one).returned, 0, "what it returns when a job is idle")
    rig.finish(*running[1:], next_one)
    for number in refused:
        equal(rig.lldd.command(number).history, (0, 0, 0), "callbacks of one that was refused")


@suite.test("connections that do not exist")
def not_connected(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    for connection in (0, rig.connection | 0xFFFF, rig.connection + 1, 0x1234_0000,
                       rig.association.admin ^ (1 << 63)):  # fmt: skip
        numbers = rig.lldd.send(connection)
        equal(rig.lldd.returned(numbers), [-errno.ENOTCONN], f"connection {connection:#x}")
        equal(rig.lldd.command(numbers[0]).history, (0, 0, 0), "callbacks")


@suite.test("command IUs that are none")
def bad_iu(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    for bad in ("length", "format", "fc_id", "iu_len"):
        numbers = rig.lldd.send(rig.connection, bad=bad)
        equal(rig.lldd.returned(numbers), [-errno.EIO], f"bad {bad}")
        equal(rig.lldd.command(numbers[0]).history, (0, 0, 0), "callbacks")


@suite.test("more commands wait than the queue has entries")
def flood(context: Context) -> None:
    rig = LlddRig(context, JOBS)
    before = rig.refusals()
    running = rig.fill(JOBS)
    waiting = rig.send(JOBS)
    more = rig.send(100)
    equal(rig.lldd.returned(more), [-errno.EBUSY] * 100, "what the receiver returns")
    equal(rig.lldd.returned(waiting), [OVERFLOW] * JOBS, "and returned before")
    equal(rig.refusals() - before, 100, "refusals that were counted")
    # One that leaves makes room for one.
    rig.lldd.complete(running[0])
    rig.lldd.wait_asked(waiting[0], "rsp")
    late = rig.send(2)
    equal(rig.lldd.returned(late), [OVERFLOW, -errno.EBUSY], "what it returns for two more")
    rig.finish(*running[1:], *waiting, late[0])
    for number in more:
        equal(rig.lldd.command(number).history, (0, 0, 0), "callbacks of one that was refused")


@suite.test("a command that the target aborts in the receiver gives its job to the next")
def contradictory(context: Context) -> None:
    rig = LlddRig(context, 2)
    (running,) = rig.fill(1)
    for _ in range(10):
        (bad,) = rig.lldd.send(rig.connection, CONTRADICTORY)
        (command,) = rig.lldd.wait_released(bad)
        equal((command.returned, command.history), (0, (0, 1, 1)), "return, callbacks")
    (second,) = rig.fill(1)
    bads = rig.lldd.send(rig.connection, CONTRADICTORY, 2)
    equal(rig.lldd.returned(bads), [OVERFLOW] * 2, "what the receiver returns")
    # The next one ends in the workqueue, and gives its job to the one after it.
    rig.lldd.complete(running)
    for command in rig.lldd.wait_released(*bads):
        equal(command.history, (1, 1, 1), "callbacks")
    rig.finish(second)


@suite.test("an LLDD that refuses to send responses")
def refusing(context: Context) -> None:
    rig = LlddRig(context, 2)
    running = rig.fill(2)
    waiting = rig.lldd.send(rig.connection, PLAIN, 2, refuse="rsp")
    equal(rig.lldd.returned(waiting), [OVERFLOW] * 2, "what the receiver returns")
    rig.lldd.complete(running[0])
    for command in rig.lldd.wait_released(*waiting):
        equal(command.history, (1, 1, 1), "callbacks")
    (at_once,) = rig.lldd.send(rig.connection, PLAIN, refuse="rsp")
    (command,) = rig.lldd.wait_released(at_once)
    equal((command.returned, command.history), (0, (0, 1, 1)), "return, callbacks")
    rig.finish(running[1])


@suite.test("orders that are none")
def bad_orders(context: Context) -> None:
    lldd = Lldd(context)
    for text in ("", "nothing", "register", "register nn=1 pn=2", "abort", "complete x",
                 "command 1 conn=1", "command 1 conn=1 sqe=00", "complete 1 twice=1",
                 "command 1 conn=1 sqe=0", "silent", "stall 100000"):  # fmt: skip
        raises_errno(errno.EINVAL, partial(lldd.order, text), repr(text))
    for text, error in (
        ("abort 7", errno.ENOENT), ("complete 7", errno.ENOENT), ("clear", errno.EBUSY),
        ("register nn=1 pn=2 defer=1", errno.EEXIST),
    ):  # fmt: skip
        raises_errno(error, partial(lldd.order, text), repr(text))


if __name__ == "__main__":
    suite.run()
