#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""tcmu-runner that is killed, ended, stopped, and told of aborts, under load."""

import errno

from ksftlib.image import check, holds
from ksftlib.ktap import PACE, Context, equal, raises_errno
from ksftlib.wait import Task, until
from tcmulib.configfs import Device
from tcmulib.image import SIZE, Served
from tcmulib.load import Load
from tcmulib.rig import pattern
from tcmulib.ring import OP_CMD, OP_TMR, UFLAG_UNKNOWN_OP, Entry
from tcmulib.runner import Snapshot, clients
from tcmulib.scsi import BLOCK, EhLog
from tcmulib.suite import Suite

suite = Suite()


def commands(ring: Snapshot) -> list[Entry]:
    """Those that the daemon has not answered yet."""
    found = []
    while entry := ring.poll():
        found += [entry] if entry.op == OP_CMD else []
    return found


@suite.test("nothing is lost when tcmu-runner is killed, or ended, under load", limit=100)
def restarted(context: Context) -> None:
    served = Served(context, clients(suite, context), "restarted")
    runner = served.clients.runner
    orphan = Device(context, "orphan")
    orphan.control(f"dev_size={SIZE},dev_config=qcow/{served.image}")
    load = Load(context, served.disk)
    load.goes_on()
    runner.kill()
    # Nobody answers to this. The next start resets the netlink protocol, which ends it.
    work = Task(context, orphan.enable, "enabling a device without tcmu-runner")
    work.still_blocked(0.5)
    runner.start()
    raises_errno(errno.EINTR, work.wait, "enabling a device without tcmu-runner")
    load.goes_on()
    # This time with something in the ring for certain: the load's processes go on until
    # each waits, unless the stop came between an answer and telling the kernel of it.
    runner.pause()
    until(lambda: commands(Snapshot(runner, served.device)), "commands in the ring")
    runner.kill()
    runner.start()
    load.goes_on()
    # SIGTERM: it blocks the device, and answers what it has before it leaves.
    equal(runner.terminate(), 0, "exit status of tcmu-runner")
    check(served.image)
    runner.start()
    load.goes_on()
    written = load.stop()
    orphan.remove()
    orphan.hba.remove()
    holds(served.remove(), written)


@suite.test("tmr_notification does no harm to tcmu-runner, which does not know it", limit=80)
def notified(context: Context) -> None:
    served = Served(context, clients(suite, context), "notified")
    device, disk, runner = served.device, served.disk, served.clients.runner
    path = "/backstores/user:qcow/notified"
    served.clients.cli.run(f"{path} set attribute tmr_notification=1", "is now '1'")
    data = pattern(70, 8 * BLOCK)
    disk.write(128, data)
    eh = EhLog(context)
    disk.set_timeout(int(2 * PACE))
    runner.pause()
    context.defer(runner.resume)
    reading = disk.task_read(128, 8)
    eh.wait(disk.address, "aborting command")
    told = until(lambda: notification(Snapshot(runner, device)), "a notification in the ring")
    assert told is not None
    equal((told.tmr_type, len(told.ids)), (1, 1), "type, and number of ids")
    runner.resume()
    # The aborted command is sent again.
    assert reading.wait(40) == data, "data after the abort"
    equal(Snapshot(runner, device).uflags(told), UFLAG_UNKNOWN_OP, "tcmu-runner's answer")
    disk.set_timeout(int(120 * PACE))
    load = Load(context, disk)
    load.goes_on()
    written = load.stop()
    holds(served.remove(), written)


def notification(ring: Snapshot) -> "Entry | None":
    """The first task management entry that the daemon has not taken yet."""
    while entry := ring.poll():
        if entry.op == OP_TMR:
            return entry
    return None


if __name__ == "__main__":
    suite.run()
