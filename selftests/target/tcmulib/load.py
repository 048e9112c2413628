# SPDX-License-Identifier: GPL-2.0
"""Input and output that goes on while something else happens, every byte checked."""

import mmap
import random
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from ksftlib.ktap import Context
from ksftlib.wait import Task, until

from .scsi import BLOCK, Disk

T = TypeVar("T")

#: Seconds before a command that failed is sent again.
_AGAIN = 0.02

#: Bytes of one write.
_CHUNK = 32768

#: Chunks that one process writes, again and again.
_CHUNKS = 16


class Load:
    """Processes that write past the page cache, and read back, each its own part of `disk`.

    A process ends, and the test fails, at the first error or wrong byte. With `persistent`, one
    whose command fails sends it again until that succeeds or the load is stopped.
    """

    def __init__(
        self,
        context: Context,
        disk: Disk,
        processes: int = 3,
        start: int = 0,
        pause: float = 0.0,
        persistent: bool = False,
    ) -> None:
        self._disk = disk
        self._persistent = persistent
        # Seconds after each chunk.
        self._pause = pause
        self._processes = processes
        self._start = start
        # A word to stop them all, and one each with the number of chunks done.
        self._shared = mmap.mmap(-1, 8 * (1 + processes))
        context.defer(self._stop)
        self._tasks = [
            Task(context, partial(self._work, number), f"load {number}")
            for number in range(processes)
        ]

    def _work(self, number: int) -> dict[int, bytes]:
        generator = random.Random(number)
        written: dict[int, bytes] = {}
        done = 0
        while not self._shared[0]:
            place = generator.randrange(_CHUNKS)
            offset = self._start + (number * _CHUNKS + place) * _CHUNK
            data = generator.randbytes(_CHUNK)
            self._send(partial(self._disk.write, offset // BLOCK, data))
            written[offset] = data
            self._check(offset, data)
            done += 1
            struct.pack_into("=Q", self._shared, 8 * (1 + number), done)
            time.sleep(self._pause)
        for offset, data in written.items():
            self._check(offset, data)
        return written

    def _check(self, offset: int, data: bytes) -> None:
        found = self._send(partial(self._disk.read, offset // BLOCK, _CHUNK // BLOCK))
        assert found == data, f"data at {offset}"

    def _send(self, command: Callable[[], T]) -> T:
        while True:
            try:
                return command()
            except OSError:
                if not self._persistent or self._shared[0]:
                    raise
                time.sleep(_AGAIN)

    def done(self) -> list[int]:
        """Chunks that each process has written and read back."""
        return list(struct.unpack_from(f"={self._processes}Q", self._shared, 8))

    def goes_on(self, chunks: int = 4, seconds: float = 30.0) -> None:
        """Waits until every process has done so many chunks more."""
        before = self.done()

        def look() -> bool:
            for task in self._tasks:
                if task.done():
                    task.wait()
                    raise AssertionError("a process of the load ended early")
            return all(now >= then + chunks for now, then in zip(self.done(), before, strict=True))

        until(look, f"{chunks} chunks more of every process", seconds)

    def stop(self, seconds: float = 30.0) -> dict[int, bytes]:
        """Ends it; returns what must be on the disk, by offset in bytes."""
        self._stop()
        written: dict[int, bytes] = {}
        for task in self._tasks:
            written.update(task.wait(seconds))
        return written

    def _stop(self) -> None:
        self._shared[0] = 1
