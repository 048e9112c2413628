# SPDX-License-Identifier: GPL-2.0
"""The kernel's log."""

import os

from .ktap import Context
from .wait import until


class KernelLog:
    """What the kernel prints from now on."""

    def __init__(self, context: Context) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)
        context.defer(lambda: os.close(self._fd))
        self._records: list[tuple[int, str]] = []

    def records(self) -> list[tuple[int, str]]:
        """Level and text of all messages so far."""
        while True:
            try:
                record = os.read(self._fd, 8192)
            except BlockingIOError:
                return self._records
            except BrokenPipeError:
                # Messages were overwritten before they were read; go on with the next.
                continue
            prefix, _, text = record.decode(errors="replace").partition(";")
            # The first number is facility * 8 + level.
            self._records.append((int(prefix.partition(",")[0]) & 7, text))

    def lines(self) -> list[str]:
        """All messages so far, without their prefix."""
        return [text for _, text in self.records()]

    def count(self, *parts: str) -> int:
        """Number of messages so far that contain all `parts`."""
        return sum(all(part in line for part in parts) for line in self.lines())

    def wait(self, *parts: str, count: int = 1, seconds: float = 15.0) -> None:
        """Waits for so many messages that contain all `parts`."""
        what = f"{count} kernel messages with {parts}"
        until(lambda: self.count(*parts) >= count, what, seconds)
