# SPDX-License-Identifier: GPL-2.0
"""What drivers show in debugfs."""

from pathlib import Path

from .ktap import Skip

_ROOT = Path("/sys/kernel/debug")


def folder(name: str) -> Path:
    """A driver's folder; skips the test if it is not there."""
    path = _ROOT / name
    if not path.is_dir():
        raise Skip("debugfs is not mounted, or not in this kernel")
    return path


class Values:
    """The lines ``name value`` of a file."""

    def __init__(self, text: str) -> None:
        self._values = dict(line.split(" ", 1) for line in text.splitlines())

    def text(self, name: str) -> str:
        """A value."""
        return self._values[name]

    def __getitem__(self, name: str) -> int:
        return int(self._values[name])

    def __str__(self) -> str:
        return str(self._values)
