# SPDX-License-Identifier: GPL-2.0
"""Disk images that tcmu-runner serves, and what qemu-img finds in them."""

import json
import subprocess
from pathlib import Path

from .ktap import PACE, PATIENCE, Context, equal
from .runner import Clients
from .scsi import Disk, KernelLog

#: Bytes of an image.
SIZE = 4 << 20

#: Without their last digit, loopback targets; targetcli wants LIO's own naming authority.
WWN = "naa.500140517e50000"

#: Small rings and data areas; the defaults are made for large machines.
SMALL = "control=max_data_area_mb=8,cmd_ring_size_mb=1"

#: tcmu's own limit of time must not end the commands that a daemon leaves behind.
PATIENT = int(300 * PACE)


def qemu_img(*arguments: "str | Path") -> str:
    """Output of qemu-img, which must succeed."""
    done = subprocess.run(
        ["qemu-img", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60 * PATIENCE,
    )
    equal(done.returncode, 0, f"status of qemu-img {arguments[0]} ({done.stderr.strip()})")
    return done.stdout


def contents(image: Path, form: str = "qcow2") -> bytes:
    """What a guest would see in an image."""
    raw = image.with_suffix(".converted")
    qemu_img("convert", "-f", form, "-O", "raw", image, raw)
    data = raw.read_bytes()
    raw.unlink()
    return data


def check(image: Path) -> None:
    """Fails the test if the qcow2 image is inconsistent."""
    found = json.loads(qemu_img("check", "--output=json", image))
    equal((found["check-errors"], found.get("corruptions", 0)), (0, 0), "errors, corruptions")


def holds(found: bytes, written: dict[int, bytes]) -> None:
    """Fails the test unless `found` has these bytes at these offsets."""
    assert written, "nothing was written"
    for offset, data in written.items():
        assert found[offset : offset + len(data)] == data, f"other data at {offset}"


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
