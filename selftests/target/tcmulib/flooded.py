# SPDX-License-Identifier: GPL-2.0
"""A ring that is nearly full of commands that nobody has looked at."""

from functools import partial
from pathlib import Path

from ksftlib.aio import read_many
from ksftlib.files import read, set_for_test
from ksftlib.ktap import Context, equal
from ksftlib.wait import Task, until

from .configfs import load_fabric
from .rig import Rig
from .scsi import BLOCK, OWN, CommandTrace, Disk, read10

#: A READ of one block takes 128 of the 1048448 bytes of a 1 MiB ring: 8190 of them fit.
#: With these many there is room for 40 more, and not for a notification with all ids.
FLOOD = 8150
REST = 40

#: The READ that is sent while the notification waits.
MARKED = read10(0x3000, 8)


class Flooded:
    """A device whose ring is nearly full of READs that nobody has looked at."""

    def __init__(self, context: Context, timeout: int = 0) -> None:
        load_fabric()
        parameters = Path("/sys/module/tcm_loop/parameters")
        for name in ("can_queue", "cmd_per_lun"):
            set_for_test(context, parameters / name, "4096")
        self.rig = Rig(
            context,
            options="max_data_area_mb=64,cmd_ring_size_mb=1",
            # No time-out ends a command before the test does, however slow the machine is: neither
            # the backend's, nor those of the SCSI layer, whose error recovery stops the host.
            # With a `timeout` the READs end while more are sent; they stay on the ring.
            attributes={"tmr_notification": 1, "cmd_time_out": timeout},
        )
        self.disks = [self.rig.disk() for _ in range(2)]
        self.resetter = self.rig.disk()
        for disk in self.disks:
            disk.queue("nomerges", 2)
            disk.set_timeout(600)
        self._context = context
        self.rig.daemon.ctl("pause")
        each = FLOOD // 2
        self.tasks = [self._send(disk, each) for disk in self.disks]
        if not timeout:
            for disk in self.disks:
                self._wait_in_flight(disk, each)

    def send_rest(self) -> Task:
        """So many READs more that not even the shortest notification fits any longer."""
        task = self._send(self.disks[0], REST)
        self._wait_in_flight(self.disks[0], REST)
        return task

    def _send(self, disk: Disk, reads: int) -> Task:
        # Every other block: `sent_by` tells by the block which disk sent a command.
        first = OWN + self.disks.index(disk)
        work = partial(read_many, disk.block, reads, reads, step=2, first=first)
        return Task(self._context, work, f"{reads} reads")

    def sent_by(self, number: int, idents: list[int]) -> list[int]:
        """Those of the ids, which the daemon has, that are of READs of disk `number`."""
        lbas = {event["id"]: int(event["cdb"][4:12], 16) for event in self.rig.daemon.events("cmd")}
        return [ident for ident in idents if (lbas[ident] - OWN) % 2 == number]

    def _wait_in_flight(self, disk: Disk, reads: int) -> None:
        until(partial(self._has_in_flight, disk, reads), f"{reads} reads in flight", 60)

    @staticmethod
    def _has_in_flight(disk: Disk, reads: int) -> bool:
        return int(read(Path("/sys/block") / disk.block.name / "inflight").split()[0]) == reads

    def reset(self) -> Task:
        """LUN RESET, which cannot be announced yet."""
        return self.resetter.task_reset()

    def send_marked(self) -> Task:
        """Another READ, through a host that is not busy with a reset."""
        trace = CommandTrace(self._context)
        task = self.disks[0].task_sg(MARKED, data_in=8 * BLOCK)
        trace.wait_start(MARKED)
        return task

    def finish(self) -> None:
        """Everything is served, at last also what was aborted and tried again."""
        for task in self.tasks:
            equal(task.wait(40), FLOOD // 2, "reads that succeeded")
