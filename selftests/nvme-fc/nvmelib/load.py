# SPDX-License-Identifier: GPL-2.0
"""Reads and writes past the page cache, by threads of a process of their own, all checked."""

import errno
import mmap
import os
import random
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ksftlib.ktap import Context
from ksftlib.wait import Task, until

BLOCK = 4096


def content(number: int, generation: int = 0) -> bytes:
    """What is in a block."""
    return b"%07d %07d\n" % (number, generation) * (BLOCK // 16)


def fill(disk: Path, blocks: int) -> None:
    """Writes the first blocks of a disk."""
    descriptor = os.open(disk, os.O_WRONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, blocks * BLOCK)
    try:
        buffer[:] = b"".join(content(number) for number in range(blocks))
        assert os.pwrite(descriptor, buffer, 0) == blocks * BLOCK
    finally:
        os.close(descriptor)


def check(disk: Path, blocks: int) -> None:
    """Fails the test unless they are as `fill` has made them."""
    descriptor = os.open(disk, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, blocks * BLOCK)
    try:
        assert os.preadv(descriptor, [buffer], 0) == blocks * BLOCK
    finally:
        os.close(descriptor)
    expected = b"".join(content(number) for number in range(blocks))
    assert buffer[:] == expected, f"{disk} has something else in its first {blocks} blocks"


@dataclass(frozen=True)
class Totals:
    """What threads have done."""

    operations: int
    #: Calls that ended with an error.
    errors: int
    #: Seconds that the longest call took.
    longest: float

    def __str__(self) -> str:
        return (
            f"{self.operations} operations, {self.errors} errors, the longest took "
            f"{self.longest:.2f} s"
        )


def _all(moved: int) -> None:
    """A disk that is gone has no blocks left: nothing is moved."""
    if moved != BLOCK:
        raise OSError(errno.EIO, f"{moved} bytes of a block")


class _Thread:
    """What one thread has done; the process that watches sees the operations."""

    def __init__(self, number: int, shared: mmap.mmap) -> None:
        self._number = number
        self._shared = shared
        self.operations = self.errors = 0
        self.longest = 0.0
        self.failure: Exception | None = None

    def run(self, step: Callable[[], None]) -> None:
        """Does steps until it is told to stop."""
        try:
            while not self._shared[0]:
                start = time.monotonic()
                try:
                    step()
                except OSError:
                    self.errors += 1
                self.longest = max(self.longest, time.monotonic() - start)
                self.operations += 1
                struct.pack_into("Q", self._shared, 8 * (self._number + 1), self.operations)
        except Exception as failure:
            self.failure = failure
            self._shared[0] = 1


class Load:
    """Threads that read blocks of a disk, and write some, until they are stopped.

    Each has blocks of its own, and knows what must be in them. Errors are counted, and
    wrong data fails.
    """

    def __init__(
        self, context: Context, disk: Path, threads: int, writes: int = 0, blocks: int = 16
    ) -> None:
        """Each has so many blocks; `writes` of ten operations are writes."""
        fill(disk, threads * blocks)
        self._blocks = blocks
        self._disk = disk
        self._threads = threads
        self._writes = writes
        self._shared = mmap.mmap(-1, 8 * (threads + 1))
        self._task = Task(context, self._work, f"{threads} threads on {disk}")
        context.defer(self.tell)
        context.on_failure(lambda: f"operations of each thread: {self.done()}")

    def tell(self) -> None:
        """It is to end, which nobody waits for."""
        self._shared[0] = 1

    def _step(self, number: int) -> Callable[[], None]:
        descriptor = os.open(self._disk, os.O_RDWR | os.O_DIRECT)
        buffer = mmap.mmap(-1, BLOCK)
        choice = random.Random(number)
        # What may be in each block: a write that fails may have been done or not.
        possible = [{0} for _ in range(self._blocks)]
        newest = 0

        def write(which: int, block: int) -> None:
            nonlocal newest
            newest += 1
            buffer[:] = content(block, newest)
            possible[which].add(newest)
            _all(os.pwrite(descriptor, buffer, block * BLOCK))
            possible[which] = {newest}

        def step() -> None:
            which = choice.randrange(self._blocks)
            block = number * self._blocks + which
            if choice.randrange(10) < self._writes:
                write(which, block)
                return
            _all(os.preadv(descriptor, [buffer], block * BLOCK))
            found = buffer[:]
            expected = [content(block, generation) for generation in possible[which]]
            assert found in expected, f"block {block} has {found[:16]!r}, of {possible[which]}"

        return step

    def _work(self) -> Totals:
        all_of_them = [_Thread(number, self._shared) for number in range(self._threads)]
        running = [
            threading.Thread(target=one.run, args=(self._step(number),))
            for number, one in enumerate(all_of_them)
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        for one in all_of_them:
            if one.failure:
                raise one.failure
        return Totals(
            sum(one.operations for one in all_of_them),
            sum(one.errors for one in all_of_them),
            max(one.longest for one in all_of_them),
        )

    def done(self) -> list[int]:
        """Operations of each thread so far."""
        return [
            struct.unpack_from("Q", self._shared, 8 * (number + 1))[0]
            for number in range(self._threads)
        ]

    def progress(self, operations: int = 1, seconds: float = 60.0) -> None:
        """Waits until each thread has done so many more operations; one that ended has failed."""
        before = self.done()

        def all_have() -> bool:
            if self._task.done():
                self._task.wait()
                raise AssertionError("the threads have ended")
            return all(now - then >= operations for now, then in zip(self.done(), before))

        until(all_have, f"{operations} operations of each thread ({before} before)", seconds)

    def stop(self, seconds: float = 60.0) -> Totals:
        """Ends it."""
        self.tell()
        totals: Totals = self._task.wait(seconds)
        return totals
