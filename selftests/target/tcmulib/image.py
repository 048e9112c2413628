# SPDX-License-Identifier: GPL-2.0
"""Disk images that tcmu-runner serves."""

from ksftlib.image import check, contents, qemu_img
from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PACE, Context

from .runner import Clients
from .scsi import Disk

#: Bytes of an image.
SIZE = 4 << 20

#: Without their last digit, loopback targets; targetcli wants LIO's own naming authority.
WWN = "naa.500140517e50000"

#: Small rings and data areas; the defaults are made for large machines.
SMALL = "control=max_data_area_mb=8,cmd_ring_size_mb=1"

#: tcmu's own limit of time must not end the commands that a daemon leaves behind.
PATIENT = int(300 * PACE)


class Served:
    """A qcow2 image, served by tcmu-runner, as a disk.

    Its clusters are allocated beforehand: the handler would have the file system fill
    new ones with zeros (FALLOC_FL_ZERO_RANGE), which tmpfs cannot do.
    """

    def __init__(self, context: Context, clients: Clients, name: str, *options: str) -> None:
        self.clients = clients
        self.image = self.clients.image(f"{name}.qcow2")
        context.defer(lambda: self.image.unlink(missing_ok=True))
        qemu_img("create", "-f", "qcow2", "-o", "preallocation=metadata", self.image, str(SIZE))
        self.device = clients.create("qcow", name, SIZE, str(self.image), SMALL, *options)
        self.device.set_attrib("cmd_time_out", PATIENT)
        log = KernelLog(context)
        self.target = self.clients.target(WWN + "1")
        self.disk = Disk(context, self.clients.export(self.target, "qcow", name), log)
        self.disk.set_timeout(int(120 * PACE))

    def remove(self) -> bytes:
        """Removes it by targetcli, checks what is left, and returns the image's contents."""
        self.clients.clear()
        assert not self.disk.sysfs.exists(), "the SCSI device is left"
        check(self.image)
        return contents(self.image)
