#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Link services that make target queues, right ones and wrong ones."""

import errno

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import Context, equal
from nvmelib import link_service
from nvmelib.lldd import Lldd, Suite
from nvmelib.link_service import INVALID_ASSOCIATION, LOGICAL_ERROR
from nvmelib.nvme_command import SUCCESS, connect, enable, identify_controller
from nvmelib.rig_lldd import LlddRig
from nvmelib.target import Target

suite = Suite()

#: The highest number of a queue.
HIGHEST = 128

#: As many entries as the field has room for: more than there can be memory for.
HUGE = 65535


def _warnings(log: KernelLog) -> "list[str]":
    """Of the kernel, about itself."""
    return [line for line in log.lines() if "WARNING:" in line or "BUG:" in line]


@suite.test("an initiator connects with a controller, and reads what that says of itself")
def controller(context: Context) -> None:
    rig = LlddRig(context, 4)
    admin = rig.association.admin
    for command in (connect(rig.target.nqn), enable(), identify_controller()):
        (number,) = rig.lldd.send(admin, command)
        (record,) = rig.lldd.wait_released(number)
        equal((record.returned, record.status), (0, SUCCESS), "return, status")
    (number,) = rig.lldd.send(admin, identify_controller(), hold="read")
    rig.lldd.wait_asked(number, "read")
    rig.lldd.complete(number)
    (record,) = rig.lldd.wait_released(number)
    equal((record.status, record.operations), (SUCCESS, 2), "status, operations")
    request = rig.association.end()
    rig.association.wait_ended(request)


@suite.test("a queue is made once", c_wedges=True)
def duplicate(context: Context) -> None:
    rig = LlddRig(context, 4)
    log = KernelLog(context)
    running = rig.fill(4)
    for _ in range(3):
        response = rig.association.request_connection(1, 8)
        equal(link_service.reason(response), LOGICAL_ERROR, "reason")
    response = rig.association.request_connection(0, 8)
    equal(link_service.reason(response), LOGICAL_ERROR, "reason for the admin queue")
    rig.wait_queues(2)
    # The one that there is remains as it was.
    (waiting,) = rig.send()
    equal(rig.lldd.command(waiting).returned, -errno.EOVERFLOW, "what the receiver returns")
    rig.finish(*running)
    rig.finish(waiting)
    rig.association.wait_ended(rig.association.end())
    rig.wait_queues(0)
    equal(_warnings(log), [], "warnings")


@suite.test("the same queue is asked for several times at once", c_wedges=True)
def at_once(context: Context) -> None:
    rig = LlddRig(context, 4)
    log = KernelLog(context)
    for qid in range(2, 10):
        content = link_service.create_connection(rig.association.number, qid, 4)
        requests = [rig.lldd.request(content) for _ in range(8)]
        made = [link_service.accepted(rig.lldd.answer(request)) for request in requests]
        equal(made.count(True), 1, f"queues {qid} that were made")
    equal(_warnings(log), [], "warnings")


@suite.test("numbers of queues")
def numbers(context: Context) -> None:
    rig = LlddRig(context, 4)
    for qid in (2, HIGHEST):
        (number,) = rig.lldd.send(rig.association.connect(qid))
        rig.lldd.wait_released(number)
    for qid in (HIGHEST + 1, 0xFFFF):
        equal(link_service.reason(rig.association.request_connection(qid)), LOGICAL_ERROR,
              f"reason for queue {qid}")  # fmt: skip
        numbers_ = rig.lldd.send(rig.association.connection(qid))
        equal(rig.lldd.returned(numbers_), [-errno.ENOTCONN], "what the receiver returns")


@suite.test("a queue as large as an initiator may have it")
def large(context: Context) -> None:
    rig = LlddRig(context, 4)
    size = 1024
    connection = rig.association.connect(2, size)
    running = rig.lldd.send(connection, count=size, hold="rsp")
    (waiting,) = rig.lldd.send(connection, hold="rsp")
    equal(rig.lldd.returned(running), [0] * size, "what the receiver returns")
    equal(rig.lldd.command(waiting).returned, -errno.EOVERFLOW, "and for one more")
    rig.lldd.order("flow")
    rig.lldd.wait_released(*running, waiting)


@suite.test("a queue for which there cannot be memory", c_wedges=True)
def huge(context: Context) -> None:
    rig = LlddRig(context, 4)
    log = KernelLog(context)
    response = rig.association.request_connection(2, HUGE)
    equal(link_service.reason(response), LOGICAL_ERROR, "reason")
    rig.association.connect(2, 4)
    response = rig.lldd.answer(rig.lldd.request(link_service.create_association(HUGE)))
    equal(link_service.reason(response), LOGICAL_ERROR, "reason for an admin queue")
    equal(_warnings(log), [], "warnings")


@suite.test("requests that are none")
def bad(context: Context) -> None:
    rig = LlddRig(context, 4)
    right = link_service.create_connection(rig.association.number, 2, 4)
    for content in (right[:-4], right[:4] + bytes(4) + right[8:], bytes(8),
                    link_service.create_association(4)[:100]):  # fmt: skip
        response = rig.lldd.answer(rig.lldd.request(content))
        assert not link_service.accepted(response), f"{content[:16].hex()} is accepted"
    # As many entries as responses that are not sent at length: none of the former.
    for sqsize in (0, 1):
        response = rig.association.request_connection(2, sqsize)
        equal(link_service.reason(response), LOGICAL_ERROR, f"reason for {sqsize} entries")
    for content in (link_service.create_connection(rig.association.number ^ 1 << 40, 2, 4),
                    link_service.disconnect(rig.association.number ^ 1 << 40)):  # fmt: skip
        response = rig.lldd.answer(rig.lldd.request(content))
        equal(link_service.reason(response), INVALID_ASSOCIATION, "reason")
    rig.association.connect(2, 4)


@suite.test("an association whose port offers nothing")
def no_port(context: Context) -> None:
    lldd = Lldd(context)
    response = lldd.answer(lldd.request(link_service.create_association(4)))
    equal(link_service.reason(response), LOGICAL_ERROR, "reason")
    Target(context, lldd.address, number=9)
    lldd.associate().connect(1)


@suite.test("many associations with many queues", limit=120)
def many(context: Context) -> None:
    rig = LlddRig(context, 4)
    for _ in range(3):
        associations = [rig.lldd.associate() for _ in range(8)]
        connections = [each.connect(qid) for each in associations for qid in range(1, 5)]
        commands = [number for each in connections for number in rig.lldd.send(each, count=3)]
        rig.lldd.wait_released(*commands)
        for request in [each.end() for each in associations]:
            assert link_service.accepted(rig.lldd.answer(request)), "an association does not end"
        rig.wait_queues(2)


if __name__ == "__main__":
    suite.run()
