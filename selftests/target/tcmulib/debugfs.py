# SPDX-License-Identifier: GPL-2.0
"""What debugfs shows of a device."""

from pathlib import Path

from ksftlib.debugfs import Values, folder
from ksftlib.ktap import Skip

from .configfs import Device
from .impl import implementation


def need() -> Path:
    """The folder of all devices; skips the test unless they show their state."""
    if implementation() == "c":
        raise Skip("the C module has nothing in debugfs")
    return folder("target_core_user")


def path(device: Device) -> Path:
    """The file of an enabled device."""
    return need() / f"user_{device.hba.number}.{device.name}"


class Status(Values):
    """The lines of such a file."""

    @classmethod
    def of(cls, device: Device) -> "Status":
        """The state of a device now."""
        return cls(path(device).read_text(encoding="ascii"))

    def check(self) -> None:
        """Fails the test unless the totals add up."""
        ends = sum(self[f"total_{end}"] for end in (
            "completed", "timed_out", "aborted_qfull", "failed"
        ))  # fmt: skip
        owed = self["commands_on_ring"] + self["commands_qfull"]
        assert self["total_queued"] == ends + owed, f"commands are missing: {self}"
        tmrs = self["total_tmrs_delivered"] + self["total_tmrs_dropped"] + self["tmrs_waiting"]
        assert self["total_tmrs_announced"] == tmrs, f"notifications are missing: {self}"
        assert self["ring_used"] < self["ring_size"], str(self)
        assert self["data_blocks_used"] <= self["data_blocks"], str(self)
