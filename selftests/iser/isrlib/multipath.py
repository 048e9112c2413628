# SPDX-License-Identifier: GPL-2.0
"""One disk over two paths, by the kernel's dm-multipath.

The tests fail and reinstate paths themselves, where multipathd would: it is dm-multipath that
takes another path when one fails.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ksftlib.files import read
from ksftlib.ktap import Context, Skip, equal
from ksftlib.module import modprobe

from .initiator import Disk
from .system import run

_NAME = "isr"


class Multipath(Disk):
    """The disk, of which the first path is taken as long as it works."""

    def __init__(self, context: Context, paths: Sequence[Disk]) -> None:
        if not shutil.which("dmsetup"):
            raise Skip("dmsetup is not in PATH (Debian package dmsetup)")
        if modprobe("dm_multipath").returncode:
            raise Skip("the kernel has no dm_multipath")
        sizes = {read(path.folder / "size") for path in paths}
        equal(len(sizes), 1, "number of sizes of the paths' disks")
        # A group of paths for each, so that only one is used at a time.
        groups = " ".join(f"round-robin 0 1 1 {read(path.folder / 'dev')} 1" for path in paths)
        table = f"0 {sizes.pop()} multipath 1 queue_if_no_path 0 {len(paths)} 1 {groups}"
        run("dmsetup", "create", _NAME, "--noudevsync", "--noudevrules", "--table", table)
        context.defer(lambda: run("dmsetup", "remove", "--noudevsync", _NAME))
        # Otherwise I/O that is left would keep the device for ever.
        context.defer(lambda: self.message("fail_if_no_path"))
        number = run("dmsetup", "info", "-c", "--noheadings", "-o", "minor", _NAME).strip()
        super().__init__(Path(f"/dev/dm-{number}"))

    @staticmethod
    def message(text: str) -> None:
        """Tells dm-multipath something."""
        run("dmsetup", "message", _NAME, "0", text)

    @staticmethod
    def status() -> str:
        """What dm-multipath says of the paths: A is one that works, F one that has failed."""
        return run("dmsetup", "status", _NAME).strip()
