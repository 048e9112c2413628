# SPDX-License-Identifier: GPL-2.0
"""The usual arrangements: a served device with disks on loopback ports."""

import os
import random
import tempfile
from pathlib import Path

from ksftlib.files import read
from ksftlib.ktap import LONG, Context, equal
from ksftlib.wait import Task, until

from .configfs import Device
from .daemon import Daemon
from .ring import Ring
from .scsi import BLOCK, GOOD, OWN, OWN_READS, Disk, attach, read10

#: Bytes of the disk.
SIZE = 16 << 20


def pattern(seed: int, length: int) -> bytes:
    """Bytes that only this seed gives."""
    return random.Random(seed).randbytes(length)


class Rig:
    """A served device. `options` are for the control file, `attributes` for attrib/.

    `backing` is as for the daemon. Its size must be that of the device.
    """

    def __init__(
        self,
        context: Context,
        *daemon_arguments: str,
        options: str = "max_data_area_mb=8,cmd_ring_size_mb=1",
        attributes: "dict[str, str | int] | None" = None,
        backing: "str | None" = None,
        size: int = SIZE,
    ) -> None:
        self.context = context
        self._backing = backing or f"ram:{size}"
        self.device = Device(context)
        self.device.control(f"dev_size={size},{options}")
        for name, value in ({"cmd_time_out": int(LONG)} | (attributes or {})).items():
            self.device.set_attrib(name, value)
        self.device.enable()
        # A daemon that starts late, even during the cleanup, must outlive the disks too.
        self._daemons = Context()
        context.defer(self._stop_daemons)
        context.on_failure(lambda: self.daemon.story())
        self.daemon = Daemon(self._daemons, self.device, *daemon_arguments, backing=self._backing)

    def disk(self) -> Disk:
        """A disk on a port of its own: another I_T nexus to the same device."""
        disk = attach(self.context, self.device)
        # Before the disk goes: nothing may wait for a held command then.
        self.context.defer(self.relax)
        return disk

    def restart(self, *arguments: str, reset_ring: bool = True) -> Daemon:
        """A new daemon instead of the one that ended; empties the ring first unless told not to."""
        more = ("--reset-ring", "1") if reset_ring else ()
        self.daemon = Daemon(self._daemons, self.device, *more, *arguments, backing=self._backing)
        return self.daemon

    def relax(self) -> None:
        """Makes sure that every command gets an answer, also those of the disk's removal."""
        if self.daemon.process.poll() is None:
            self.daemon.let_go()
        else:
            self.restart()

    def _stop_daemons(self) -> None:
        errors = self._daemons.clean_up()
        assert not errors, "\n".join(errors)

    def statistics(self, group: str) -> dict[str, int]:
        """The numbers in a group of the device's statistics in configfs."""
        numbers = {}
        for path in (self.device.path / "statistics" / group).iterdir():
            text = read(path)
            if text.isdigit():
                numbers[path.name] = int(text)
        return numbers


def file_backed(context: Context) -> Rig:
    """A rig whose data outlives its daemon."""
    handle, name = tempfile.mkstemp(prefix="tcmu-disk-")
    os.ftruncate(handle, SIZE)
    os.close(handle)
    context.defer(lambda: Path(name).unlink())
    return Rig(context, backing=f"file:{name}")


class Fill:
    """Held READs that take the whole data area of a device made with `OPTIONS`."""

    OPTIONS = "max_data_area_mb=1,cmd_ring_size_mb=1,hw_max_sectors=256"

    #: Eight of 128 KiB are the 1 MiB of the data area.
    _COUNT, _BLOCKS = 8, 256

    def __init__(self, rig: Rig, disk: Disk, first_timeout: float = LONG) -> None:
        self._rig = rig
        rig.daemon.ctl(f"hold {OWN_READS}")
        self.tasks: list[Task] = []
        #: Ids in the order of `tasks`.
        self.held: list[int] = []
        for number in range(self._COUNT):
            timeout = LONG if number else first_timeout
            cdb = read10(OWN + number * self._BLOCKS, self._BLOCKS)
            self.tasks.append(disk.task_sg(cdb, data_in=self._BLOCKS * BLOCK, timeout=timeout))
            self.held += rig.daemon.ids(cdb)

    def check(self) -> None:
        """Fails the test unless all are still held."""
        equal(self._rig.daemon.held(), self.held, "held commands")

    def release(self) -> None:
        """Lets them go, and nothing is held from now on."""
        self._rig.daemon.ctl("unhold")
        self._rig.daemon.ctl("release all")
        self.finish()

    def finish(self, first: int = 0) -> None:
        """Waits for the end of all from number `first` on, which must be a good one."""
        for task in self.tasks[first:]:
            equal(task.wait().status, GOOD, "status of a READ that was held")


class Served:
    """A disk whose daemon has left: the test plays its part, one entry at a time."""

    def __init__(
        self, context: Context, options: str = "max_data_area_mb=1,cmd_ring_size_mb=1"
    ) -> None:
        rig = Rig(context, options=options)
        self.disk = rig.disk()
        self.device = rig.device
        rig.daemon.stop()
        self.ring = Ring(context, rig.device)
        # The daemon has answered everything: go on where it ended.
        until(lambda: self.ring.tail == self.ring.head, "an idle ring")
        self.ring.position = self.ring.tail
