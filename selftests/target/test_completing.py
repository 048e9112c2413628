#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Commands that the backend has answered and that the core has not yet given back to the fabric.

The loopback fabric has them in the initiator's memory, which is used again as soon as task
management says that the command is gone.
"""

from tcmulib.configfs import LOOPBACK, write
from tcmulib.cpu import Occupied, running_on, two_cpus
from tcmulib.ktap import PACE, Context, Skip, Suite, equal
from tcmulib.rig import Rig
from tcmulib.scsi import BLOCK, DID_TIME_OUT, GOOD, OWN, OWN_READS, Disk, EhLog, read10
from tcmulib.wait import Task

suite = Suite()


class Stuck:
    """A READ that the daemon has answered and that waits for a CPU that has other things to do."""

    def __init__(self, context: Context, timeout: float) -> None:
        here, there = two_cpus()
        self.rig = Rig(context, attributes={"cmd_time_out": 0, "tmr_notification": 1})
        self.disk, self.other = self.rig.disk(), self.rig.disk()
        complete_on(self.disk, there)
        self.rig.daemon.ctl(f"hold {OWN_READS},count=1")
        # What it and its error recovery queue, runs where it was sent.
        with running_on(here):
            cdb = read10(OWN, 8)
            self.task = self.disk.task_sg(cdb, data_in=8 * BLOCK, timeout=timeout)
            self.rig.daemon.wait_held(1)
        self.cpu = Occupied(context, there, here)
        self.rig.daemon.ctl("release all")


def complete_on(disk: Disk, cpu: int) -> None:
    """Ends of commands of a disk's port run on `cpu`."""
    address = disk.address.rpartition(":")[0]
    for tpg in LOOPBACK.glob("naa.*/tpgt_1"):
        path = tpg.parent / "param" / "cmd_completion_affinity"
        if (tpg / "address").read_text().strip() == address:
            if not path.exists():
                raise Skip("the kernel has no cmd_completion_affinity")
            write(path, str(cpu))
            return
    raise AssertionError(f"no port with the address {address}")


@suite.test("a LUN RESET waits for a command that is complete")
def reset(context: Context) -> None:
    here, _ = two_cpus()
    stuck = Stuck(context, 120)
    with running_on(here):
        task = Task(context, stuck.other.lun_reset, "LUN RESET")
        task.still_blocked(1.5)
        stuck.task.still_blocked(0.0)
    stuck.cpu.release()
    task.wait()
    equal(stuck.task.wait().status, GOOD, "status of the READ")
    equal(stuck.rig.daemon.tmrs(), [("LUN_RESET", [])], "notifications")


@suite.test("an ABORT TASK waits for a command that is complete, and needs no reset", c_wedges=True)
def abort(context: Context) -> None:
    log = EhLog(context)
    stuck = Stuck(context, 4 * PACE)
    log.wait(stuck.disk.address, "aborting command")
    stuck.task.still_blocked(1.5)
    assert not log.count("cmd abort"), "the abort was answered before the command"
    stuck.cpu.release()
    equal(stuck.task.wait().host_status, DID_TIME_OUT, "host status of the READ")
    equal(stuck.rig.daemon.tmrs(), [("ABORT_TASK", [])], "notifications")


if __name__ == "__main__":
    suite.run()
