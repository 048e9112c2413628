#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Task management without end while the daemon sleeps: bounded memory, and nothing lost."""

import statistics
from collections.abc import Callable

from ksftlib import memory
from ksftlib.ktap import PACE, Context, diag, equal
from ksftlib.wait import Task, until
from tcmulib.debugfs import Status
from tcmulib.exported import Exported
from tcmulib.flooded import REST, Flooded
from tcmulib.impl import implementation
from tcmulib.iscsi_raw import ABORT_TASK, NO_TASK, RawSession
from tcmulib.scsi import Disk
from tcmulib.suite import Suite

suite = Suite()

#: Task management functions that are announced while nothing gets onto the ring.
FUNCTIONS = 12000

#: cmd_time_out: the last READs must still be in flight when the LUN RESET after them begins.
TIME_OUT = int(3 * PACE)

#: What they may take, in KiB: half of what the smallest object that C could have for each takes.
ALLOWED = FUNCTIONS * 16 >> 10

#: The kernel's own counter of slab memory.
SLABS = "SUnreclaim KiB"

#: The rest of the system moves it by 150 KiB up and down: the middle one of so many samples counts.
SAMPLES = 3

#: ABORT TASKs that an initiator sends before it waits for the answers.
AT_ONCE = 50

#: A tag that no command of the session has.
UNKNOWN_TAG = 0x10000


def reset_often(disk: Disk) -> None:
    """Sends the LUN RESETs."""
    for _ in range(FUNCTIONS):
        disk.lun_reset()


def abort_often(session: RawSession) -> None:
    """Sends ABORT TASKs for tags that no command has."""
    for first in range(UNKNOWN_TAG, UNKNOWN_TAG + FUNCTIONS, AT_ONCE):
        own = [
            # iscsi_target asks the core about a command that may still come.
            session.task_management(ABORT_TASK, tag, number=session.next_number)
            for tag in range(first, first + AT_ONCE)
        ]
        for tag in own:
            equal(session.wait(tag).code, NO_TASK, "response")


def slabs() -> list[int]:
    """Slab memory of the settled kernel, in KiB."""
    # What goes in batches has gone before the first one.
    waits = [memory.BATCHES, *[1.0] * (SAMPLES - 1)]
    return [memory.sample(0, seconds=wait).counters[SLABS] for wait in waits]


def flood(flooded: Flooded, kind: str, send: Callable[[], None]) -> None:
    """After a notification with ids that does not fit come those that `send` causes, of `kind`."""
    daemon = flooded.rig.daemon
    for task in flooded.tasks:
        equal(task.wait(60), 0, "reads that succeeded although nobody answered")
    # They have ended for LIO, and the daemon still has them: the ring stays full.
    live = flooded.send_rest()
    # It names these, does not fit, and is done when they time out.
    flooded.reset().wait(60)
    before = slabs()
    # At most they find the same READs, tried again, in the qfull queue.
    send()
    after = slabs()
    grown = statistics.median(after) - statistics.median(before)
    diag(f"slab memory from {before} to {after} KiB, {ALLOWED} KiB more are allowed")
    if implementation() == "rust":
        status = Status.of(flooded.rig.device)
        status.check()
        equal(status["tmrs_waiting"], FUNCTIONS + 1, "notifications that wait")
    # The daemon wakes.
    daemon.ctl("resume")
    until(lambda: len(daemon.events("tmr")) == FUNCTIONS + 1, "every notification", 60)
    told = [(name, len(ids)) for name, ids in daemon.tmrs()]
    equal(told[0], ("LUN_RESET", REST), "the first notification")
    equal(set(told[1:]), {(kind, 0)}, "all others")
    live.wait(60)
    assert grown <= ALLOWED, f"slab memory grew by {grown} KiB"


@suite.test("a flood of LUN RESETs takes no memory, and every notification comes", limit=200)
def flood_of_resets(context: Context) -> None:
    flooded = Flooded(context, timeout=TIME_OUT)
    flood(
        flooded,
        "LUN_RESET",
        lambda: Task(context, lambda: reset_often(flooded.resetter), "resets").wait(90),
    )


@suite.test("a flood of ABORT TASKs for unknown tags takes no memory, nothing is lost", limit=200)
def flood_of_aborts(context: Context) -> None:
    flooded = Flooded(context, timeout=TIME_OUT)
    session = RawSession(context, Exported(context, flooded.rig.device).target)
    flood(flooded, "ABORT_TASK", lambda: abort_often(session))


if __name__ == "__main__":
    suite.run()
