#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Task management without end while the daemon sleeps: bounded memory, and nothing lost."""

from tcmulib import memory
from tcmulib.debugfs import Status
from tcmulib.flooded import REST, Flooded
from tcmulib.ktap import PACE, Context, Suite, diag, equal, implementation
from tcmulib.scsi import Disk
from tcmulib.wait import Task, until

suite = Suite()

#: LUN RESETs that are announced while nothing gets onto the ring.
RESETS = 10000

#: cmd_time_out: the ring must be full before the first command ends, and a LUN RESET that waits for
#: the last one must not look like a task that hangs, which takes a minute.
TIME_OUT = int(min(15 * PACE, 45))

#: What they may take, in KiB: far less than the smallest object of a slab cache for each.
ALLOWED = RESETS * 8 >> 10

#: The kernel's own counter of slab memory.
SLABS = "SUnreclaim KiB"


def reset_often(disk: Disk) -> None:
    """Sends them."""
    for _ in range(RESETS):
        disk.lun_reset()


@suite.test("a flood of LUN RESETs takes no memory, and every notification comes", limit=150)
def flood(context: Context) -> None:
    flooded = Flooded(context, timeout=TIME_OUT)
    daemon = flooded.rig.daemon
    for task in flooded.tasks:
        equal(task.wait(60), 0, "reads that succeeded although nobody answered")
    # They have ended for LIO, and the daemon still has them: the ring stays full.
    live = flooded.send_rest()
    # It names these, does not fit, and is done when they time out.
    flooded.reset().wait(60)
    before = memory.sample(0)
    # At most they find the same READs, tried again, in the qfull queue.
    Task(context, lambda: reset_often(flooded.resetter), f"{RESETS} resets").wait(90)
    after = memory.sample(RESETS)
    grown = after.counters[SLABS] - before.counters[SLABS]
    diag(f"{RESETS} resets: {grown} KiB of slab memory, {ALLOWED} KiB are allowed")
    if implementation() == "rust":
        status = Status.of(flooded.rig.device)
        status.check()
        equal(status["tmrs_waiting"], RESETS + 1, "notifications that wait")
    # The daemon wakes.
    daemon.ctl("resume")
    until(lambda: len(daemon.events("tmr")) == RESETS + 1, "every notification", 60)
    told = [(name, len(ids)) for name, ids in daemon.tmrs()]
    equal(told[0], ("LUN_RESET", REST), "the first notification")
    equal(set(told[1:]), {("LUN_RESET", 0)}, "all others")
    live.wait(60)
    assert grown <= ALLOWED, f"slab memory grew by {grown} KiB"


if __name__ == "__main__":
    suite.run()
