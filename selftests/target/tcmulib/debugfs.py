# SPDX-License-Identifier: GPL-2.0
"""What debugfs shows of a device."""

from pathlib import Path

from .configfs import Device
from .ktap import Skip, implementation

FOLDER = Path("/sys/kernel/debug/target_core_user")


def need() -> None:
    """Skips the test unless devices show their state."""
    if implementation() == "c":
        raise Skip("the C module has nothing in debugfs")
    if not FOLDER.is_dir():
        raise Skip("debugfs is not mounted, or not in this kernel")


def path(device: Device) -> Path:
    """The file of an enabled device."""
    need()
    return FOLDER / f"user_{device.hba.number}.{device.name}"


class Status:
    """The lines of such a file."""

    def __init__(self, text: str) -> None:
        self._values = dict(line.split(" ", 1) for line in text.splitlines())

    @classmethod
    def of(cls, device: Device) -> "Status":
        """The state of a device now."""
        return cls(path(device).read_text(encoding="ascii"))

    def text(self, name: str) -> str:
        """A value."""
        return self._values[name]

    def __getitem__(self, name: str) -> int:
        return int(self._values[name])

    def check(self) -> None:
        """Fails the test unless the totals add up."""
        ends = sum(self[f"total_{end}"] for end in (
            "completed", "expired", "aborted_waiting", "failed"
        ))  # fmt: skip
        owed = self["commands_on_ring"] + self["commands_waiting"]
        assert self["total_queued"] == ends + owed, f"commands are missing: {self._values}"
        tmrs = self["total_tmrs_delivered"] + self["total_tmrs_dropped"] + self["tmrs_waiting"]
        assert self["total_tmrs_announced"] == tmrs, f"notifications are missing: {self._values}"
        assert self["ring_used"] < self["ring_size"], self._values
        assert self["data_blocks_used"] <= self["data_blocks"], self._values
