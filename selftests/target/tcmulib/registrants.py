# SPDX-License-Identifier: GPL-2.0
"""Loopback disks of one device that are registered for persistent reservations."""

from ksftlib.cpu import running_on
from ksftlib.ktap import LONG, Context, equal
from ksftlib.wait import Task

from . import reserve
from .reserve import PREEMPT_AND_ABORT, REGISTER, RESERVE
from .rig import Rig
from .scsi import CHECK_CONDITION, GOOD, Disk


def prout(disk: Disk, action: int, key: int, action_key: int = 0, limit: float = LONG) -> int:
    """PERSISTENT RESERVE OUT; returns the status."""
    cdb, parameters = reserve.prout(action, key, action_key)
    answer = disk.sg_io(cdb, data_out=parameters, timeout=limit)
    assert answer.status != CHECK_CONDITION, f"sense data {answer.sense_triple}"
    return answer.status


class Reserved:
    """Registered nexuses with the keys 1, 2, ...; the first one holds the reservation."""

    def __init__(self, context: Context, notify: int = 1, nexuses: int = 2) -> None:
        self.rig = Rig(context, attributes={"tmr_notification": notify, "cmd_time_out": 0})
        reserve.allow(context, self.rig.device)
        self.disks = [self.rig.disk() for _ in range(nexuses)]
        for key, disk in enumerate(self.disks, start=1):
            equal(prout(disk, REGISTER, 0, key), GOOD, f"status of REGISTER with key {key}")
        equal(prout(self.disks[0], RESERVE, 1), GOOD, "status of RESERVE")


def preempt_on(context: Context, cpu: int, disk: Disk, key: int, action_key: int) -> Task:
    """A PREEMPT AND ABORT in a process of its own, submitted on `cpu`."""
    with running_on(cpu):
        return Task(
            context, lambda: prout(disk, PREEMPT_AND_ABORT, key, action_key), "PREEMPT AND ABORT"
        )
