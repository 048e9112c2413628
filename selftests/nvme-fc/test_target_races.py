#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The receiver of commands, completions, aborts and the end of associations, all at once."""

import errno

from ksftlib.ktap import Context, Skip, diag, equal
from ksftlib.wait import until
from nvmelib.lldd import Suite
from nvmelib.nvme_command import PLAIN
from nvmelib.rig_lldd import LlddRig, statistics_shown

suite = Suite()

#: Milliseconds for which the receiver is held up.
STALL = 4000

#: How often that is tried, for on a busy machine the jobs may become idle too late.
ATTEMPTS = 5

#: Rounds of the mixture, commands of each sender in one, and milliseconds until a response
#: completes.
ROUNDS, BATCH, LATE = 40, 12, (1, 30)


@suite.test("all jobs become idle while the receiver is held up")
def stranded(context: Context) -> None:
    rig = LlddRig(context, 2)
    rig.lldd.order(f"stall {STALL}")
    context.defer(lambda: rig.lldd.order("stall 0"))
    # The LLDD is not loaded unless its probe finds an allocation that it makes for that.
    before = rig.lldd.state()["stalls"]
    for attempt in range(1, ATTEMPTS + 1):
        running = rig.fill(2)
        number = rig.lldd.take(1)
        task = rig.lldd.later(rig.lldd.words(number, rig.connection, PLAIN, hold="rsp"))
        until(lambda: number in rig.lldd.commands(), "the command")
        for each in running:
            rig.lldd.complete(each)
        rig.lldd.wait_released(*running)
        inside = rig.lldd.command(number).returned is None
        rig.lldd.wait_order(task)
        stalls = rig.lldd.state()["stalls"] - before
        diag(f"attempt {attempt}: held up {stalls} times, all jobs idle meanwhile: {inside}")
        # Nobody else completes anything that could give the command a job.
        rig.lldd.wait_asked(number, "rsp")
        rig.finish(number)
        if statistics_shown():
            equal(stalls, 0, "times that it was held up: it allocates nothing")
            return
        if inside and stalls:
            return
    assert rig.lldd.state()["stalls"] > before, "the receiver was never held up"
    raise Skip("the jobs never became idle while the receiver was held up")


def mix(rig: LlddRig, late: int) -> int:
    """Two senders at once, with aborts of what waits; how many aborts there were."""
    first = rig.lldd.take(2 * BATCH)
    tasks = [
        rig.lldd.later(rig.lldd.words(number, rig.connection, PLAIN, BATCH, hold="rsp", late=late))
        for number in (first, first + BATCH)
    ]
    aborted = 0
    out = 1
    while out or not all(task.done() for task in tasks):
        alive = [number for number, command in rig.lldd.commands().items()
                 if command.deferred and not command.released]  # fmt: skip
        for number in alive[1:2]:
            rig.lldd.order(f"abort {number}")
            aborted += 1
        out = rig.lldd.state()["commands_out"]
    for task in tasks:
        rig.lldd.wait_order(task)
    return aborted


@suite.test("commands, completions and aborts at once", limit=120)
def mixture(context: Context) -> None:
    rig = LlddRig(context, 4)
    aborted = 0
    for number in range(ROUNDS):
        # Responses complete soon, so that commands end while others are received; or so late that
        # those which wait are found while they do.
        aborted += mix(rig, LATE[number % len(LATE)])
    commands = list(rig.lldd.commands().values())
    outcomes = {command.returned for command in commands}
    diag(f"{len(commands)} commands, {aborted} aborts, returned {sorted(map(str, outcomes))}")
    assert outcomes <= {0, -errno.EOVERFLOW, -errno.EBUSY}, f"returned {outcomes}"
    assert -errno.EOVERFLOW in outcomes, "none had to wait"
    # They have met: of those that had to wait, some were executed, and some were aborted before.
    waited = [command for command in commands if command.deferred]
    executed = sum(command.operations > 0 for command in waited)
    diag(f"{len(waited)} had to wait, {executed} of them were executed")
    assert 0 < executed, "none of those that had to wait was executed"
    if statistics_shown():
        assert executed < len(waited), "no abort came before a command that waited was executed"
    for command in commands:
        accepted = command.returned in (0, -errno.EOVERFLOW)
        equal(command.released, int(accepted), f"how often it was given back ({command})")
        equal(command.defer_rcv, int(command.deferred), f"how often its buffer was ({command})")


@suite.test("what is counted agrees with what the LLDD has seen")
def counted(context: Context) -> None:
    if not statistics_shown():
        raise Skip("the C module counts nothing")
    rig = LlddRig(context, 4)
    before = rig.statistics()
    running = rig.fill(4)
    waiting = rig.send(4)
    rig.send(3)
    rig.lldd.order(f"abort {waiting[1]}")
    rig.lldd.complete(running[0])
    rig.lldd.wait_asked(waiting[0], "rsp")
    rig.association.wait_ended(rig.association.end())
    rig.lldd.order("flow")
    rig.lldd.wait_released(*running, *waiting)
    after = rig.statistics()
    names = ("deferred", "defer_rcv", "promoted", "cancelled", "refused_full",
             "refused_no_deferral")  # fmt: skip
    equal({name: after[name] - before[name] for name in names},
          {"deferred": 4, "defer_rcv": 4, "promoted": 1, "cancelled": 0, "refused_full": 3,
           "refused_no_deferral": 0}, "counts")  # fmt: skip


if __name__ == "__main__":
    suite.run()
