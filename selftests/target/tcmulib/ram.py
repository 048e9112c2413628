# SPDX-License-Identifier: GPL-2.0
"""Disks of the sample backend (samples/target)."""

from pathlib import Path

from ksftlib.ktap import Context, Skip
from ksftlib.wait import until

from .configfs import Device, Hba
from .scsi import Disk, attach

#: Bytes of a disk.
SIZE = 4 << 20


def ram(context: Context) -> Device:
    """A device of the sample backend, not enabled."""
    if not Path("/sys/module/tcm_ramtmr").is_dir():
        raise Skip("tcm_ramtmr is not loaded")
    return Device(context, hba=Hba(context, "ramtmr"))


class Ram:
    """A disk of the sample backend."""

    def __init__(self, context: Context) -> None:
        self.device = ram(context)
        self.device.control(f"dev_size={SIZE}")
        self.device.enable()
        self.context = context

    def disk(self) -> Disk:
        """The disk on a port of its own."""
        disk = attach(self.context, self.device)
        self.context.defer(self.relax)
        return disk

    def relax(self) -> None:
        """Ends all holding."""
        self.device.set_attrib("hold", 0)
        self.device.action("release", 1)

    def hold(self) -> None:
        """Keeps reads and writes from now on."""
        self.device.set_attrib("hold", 1)

    def number(self, name: str) -> int:
        """An attribute that is a number."""
        return int(self.device.attrib(name))

    def wait_held(self, count: int) -> None:
        """Waits until so many commands are kept."""
        until(lambda: self.number("held") == count, f"{count} kept commands")

    def told(self) -> tuple[int, int, int]:
        """How many ABORT TASKs, LUN RESETs and PREEMPT AND ABORTs the backend was told of."""
        return self.number("aborts_told"), self.number("resets_told"), self.number("preempts_told")
