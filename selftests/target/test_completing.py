#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Commands that the backend has answered and that the core has not yet given back to the fabric.

The loopback fabric has them in the initiator's memory, which is used again as soon as task
management says that the command is gone.
"""

from ksftlib.cpu import Occupied, running_on, two_cpus
from ksftlib.files import write
from ksftlib.ktap import PACE, Context, Skip, equal
from ksftlib.stacks import until_waiting
from ksftlib.wait import Task
from tcmulib.configfs import LOOPBACK
from tcmulib.registrants import Reserved, preempt_on
from tcmulib.rig import Rig
from tcmulib.scsi import BLOCK, DID_TIME_OUT, GOOD, OWN, OWN_READS, Disk, EhLog, read10
from tcmulib.suite import Suite

suite = Suite()


class Stuck:
    """A READ that the daemon has answered and that waits for a CPU that has other things to do."""

    def __init__(self, context: Context, timeout: float) -> None:
        here, there = two_cpus()
        self.rig = Rig(context, attributes={"cmd_time_out": 0, "tmr_notification": 1})
        self.disk, self.other = self.rig.disk(), self.rig.disk()
        complete_on(self.disk, there)
        self.rig.daemon.ctl(f"hold {OWN_READS},count=1")
        self.cpu = Occupied(context, there, here)
        # What it and its error recovery queue, runs where it was sent.
        with running_on(here):
            cdb = read10(OWN, 8)
            self.task = self.disk.task_sg(cdb, data_in=8 * BLOCK, timeout=timeout)
            self.rig.daemon.wait_held(1)
        self.cpu.begin()
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
    here, there = two_cpus()
    log = EhLog(context)
    # A PREEMPT AND ABORT in the work item of a submission queue keeps the ABORT TASK from searching
    # until everything is in its place: the initiator's timer does not run on a busy CPU.
    reserved = Reserved(context, notify=0, nexuses=3)
    daemon = reserved.rig.daemon
    preempted, preempting, disk = reserved.disks
    for each, cpu in ((preempted, here), (preempting, here), (disk, there)):
        complete_on(each, cpu)
    daemon.ctl(f"hold {OWN_READS}")
    # The ABORT TASK is carried out where it is sent, by what is not bound to a CPU.
    occupied = Occupied(context, there, here)
    with running_on(here):
        task = disk.task_sg(read10(OWN, 8), data_in=8 * BLOCK, timeout=6 * PACE)
        other = preempted.task_sg(read10(OWN + 8, 8), data_in=8 * BLOCK)
    read, kept = daemon.ids(read10(OWN, 8), read10(OWN + 8, 8))
    preempt = preempt_on(context, here, preempting, 2, 1)
    until_waiting("core_tmr_lun_reset", "the PREEMPT AND ABORT to wait")
    log.wait(disk.address, "aborting command")
    until_waiting("core_tmr_abort_task", "the ABORT TASK to wait")
    occupied.begin()
    daemon.ctl(f"release {read}")
    daemon.ctl(f"release {kept}")
    equal(preempt.wait(), GOOD, "status of PREEMPT AND ABORT")
    task.still_blocked(1.5)
    assert not log.count("cmd abort"), "the abort was answered before the command"
    occupied.release()
    equal(task.wait().host_status, DID_TIME_OUT, "host status of the READ")
    other.wait()
    # It has not failed, or a LUN RESET would have followed: this one is the PREEMPT AND ABORT.
    assert not log.count("cmd abort"), "the abort has failed"
    equal(reserved.rig.statistics("scsi_tgt_dev")["resets"], 1, "resets")


if __name__ == "__main__":
    suite.run()
