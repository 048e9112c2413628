#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Notifications that wait for space in a full ring."""

from functools import partial
from pathlib import Path

from tcmulib.aio import read_many
from tcmulib.configfs import load_fabric, read, write
from tcmulib.ktap import Context, Suite, equal
from tcmulib.rig import Rig
from tcmulib.scsi import BLOCK, GOOD, CommandTrace, Disk, read10
from tcmulib.wait import Task, until

suite = Suite()

#: A READ of one block takes 128 of the 1048448 bytes of a 1 MiB ring: 8190 of them fit.
#: With these many there is room for 40 more, and not for a notification with all ids.
FLOOD = 8150

#: The READ that is sent while the notification waits.
MARKED = read10(0x3000, 8)


class Flooded:
    """A device whose ring is nearly full of READs that nobody has looked at."""

    def __init__(self, context: Context) -> None:
        load_fabric()
        parameters = Path("/sys/module/tcm_loop/parameters")
        for name in ("can_queue", "cmd_per_lun"):
            self._set(context, parameters / name, "4096")
        self.rig = Rig(
            context,
            options="max_data_area_mb=64,cmd_ring_size_mb=1",
            # No time-out ends a command before the test does, however slow the machine is: neither
            # the backend's, nor those of the SCSI layer, whose error recovery stops the host.
            attributes={"tmr_notification": 1, "cmd_time_out": 0},
        )
        self.disks = [self.rig.disk() for _ in range(2)]
        self.resetter = self.rig.disk()
        for disk in self.disks:
            disk.queue("nomerges", 2)
            disk.set_timeout(600)
        self._context = context
        self.rig.daemon.ctl("pause")
        each = FLOOD // 2
        self.tasks = [
            Task(
                context,
                partial(read_many, disk.block, each, each, step=2),
                f"{each} reads",
            )
            for disk in self.disks
        ]
        for disk in self.disks:
            until(partial(self._has_in_flight, disk, each), f"{each} reads in flight", 60)

    @staticmethod
    def _set(context: Context, path: Path, value: str) -> None:
        before = read(path)
        write(path, value)
        context.defer(lambda: write(path, before))

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


@suite.test("no command overtakes a notification, and no id that it lists is given away", limit=90)
def overtaking(context: Context) -> None:
    flooded = Flooded(context)
    daemon = flooded.rig.daemon
    reset = flooded.reset()
    reset.still_blocked(1.0)
    # Space for some commands, and free ids, but not yet enough for the notification.
    daemon.ctl("hold read")
    daemon.ctl("resume")
    held = daemon.wait_held(FLOOD, 60)
    for ident in held[:40]:
        daemon.ctl(f"release {ident}")
    marked = flooded.send_marked()
    marked.still_blocked(0.5)
    daemon.ctl("unhold")
    daemon.ctl("release all")
    reset.wait(40)
    equal(marked.wait(40).status, GOOD, "status of the marked READ")
    flooded.finish()
    events = daemon.events()
    at = next(place for place, event in enumerate(events) if event.name == "tmr")
    equal(events[at]["type_name"], "LUN_RESET", "notification")
    equal(sorted(events[at]["ids"]), sorted(held), "listed ids")
    early = [
        event["id"] for event in events[:at] if event.name == "cmd" and event["cdb"] == MARKED.hex()
    ]
    equal(early, [], "ids of commands that came before the notification, but were sent after it")


@suite.test("reset_ring discards notifications that wait, and everything goes on", limit=90)
def discarded(context: Context) -> None:
    flooded = Flooded(context)
    reset = flooded.reset()
    reset.still_blocked(1.0)
    flooded.rig.device.action("reset_ring", 1)
    flooded.rig.daemon.ctl("resume")
    reset.wait(40)
    flooded.finish()
    equal(flooded.rig.daemon.tmrs(), [], "notifications")
    # The next one comes again.
    flooded.resetter.lun_reset()
    flooded.rig.daemon.wait_event("tmr")
    equal(flooded.rig.daemon.tmrs(), [("LUN_RESET", [])], "notifications afterwards")


if __name__ == "__main__":
    suite.run()
