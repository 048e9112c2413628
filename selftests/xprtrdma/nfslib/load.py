# SPDX-License-Identifier: GPL-2.0
"""Input and output that checks what it reads, in processes beside the test."""

import mmap
import os
import random
import struct
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ksftlib.ktap import PATIENCE, Context
from ksftlib.wait import Task, until

KIB, MIB = 1024, 1024 * 1024

#: Lengths from a page to the most that one call carries.
LARGE = (4 * KIB, 8 * KIB, 64 * KIB, 256 * KIB, MIB)

#: Lengths that fit into the Send itself: what is copied into its buffer, and what is longer than
#: that buffer and sent from where it lies, which the Send must have given back before it goes.
COPIED = (1, 100, 1000)
MAPPED = (2100, 2500, 3000, 3300)


@dataclass(frozen=True)
class Work:
    """What one process does with its file."""

    lengths: Sequence[int] = LARGE
    direct: bool = False
    #: Each write goes to the server at once.
    sync: bool = False
    #: Size of the file.
    size: int = 2 * MIB
    #: Of ten operations so many are writes.
    writes: int = 5
    #: Nothing stays in the client's memory for the next read.
    forget: bool = False
    #: Error numbers with which a call may end for reasons outside; it is made again then.
    again: Sequence[int] = ()


class _File:
    """A file and what must be in it."""

    def __init__(self, path: Path, work: Work, seed: int) -> None:
        self._work = work
        self._random = random.Random(seed)
        flags = os.O_RDWR | os.O_CREAT
        flags |= os.O_DIRECT if work.direct else 0
        flags |= os.O_SYNC if work.sync else 0
        self._path = path
        self._fd = os.open(path, flags, 0o600)
        self._content = bytearray(self._random.randbytes(work.size))
        # Memory of its own pages, as O_DIRECT likes it.
        self._buffer = mmap.mmap(-1, work.size)
        self._buffer[:] = bytes(self._content)
        self._write(0, work.size)

    def _write(self, offset: int, length: int) -> None:
        done = 0
        while done < length:
            with memoryview(self._buffer)[done:length] as part:
                done += self._again(os.pwrite, self._fd, part, offset + done)

    def _again(self, call: "Callable[..., Any]", *arguments: Any) -> Any:
        while True:
            try:
                return call(*arguments)
            except OSError as error:
                if error.errno not in self._work.again:
                    raise

    def step(self) -> None:
        """One operation, with a check if it is a read."""
        length = min(self._random.choice(self._work.lengths), self._work.size)
        offset = self._random.randrange(0, self._work.size - length + 1)
        if self._random.randrange(10) < self._work.writes:
            data = self._random.randbytes(length)
            self._buffer[:length] = data
            self._content[offset : offset + length] = data
            self._write(offset, length)
        else:
            self._check(offset, length)

    def _check(self, offset: int, length: int) -> None:
        if self._work.forget:
            self._again(os.fsync, self._fd)
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        done = 0
        while done < length:
            with memoryview(self._buffer)[done:length] as part:
                got = self._again(os.preadv, self._fd, [part], offset + done)
            assert got > 0, f"{self._path}: read {got} bytes at {offset + done}"
            done += got
        if self._buffer[:length] != self._content[offset : offset + length]:
            wrong = next(n for n in range(length) if self._buffer[n] != self._content[offset + n])
            raise AssertionError(f"{self._path}: wrong from {offset + wrong} on, of {length}")

    def finish(self) -> bytes:
        """All of it is checked once more, and closed; returns what must be at the server."""
        self._check(0, self._work.size)
        os.fsync(self._fd)
        os.close(self._fd)
        return bytes(self._content)


class Load:
    """Processes that work until they are stopped, or have done their number of operations.

    `folder` is where they see the files, `behind` where the server does.
    """

    def __init__(
        self,
        context: Context,
        folder: Path,
        behind: Path,
        works: Sequence[Work],
        operations: "int | None" = None,
        seed: int = 1,
    ) -> None:
        self._behind = behind
        self._shared = mmap.mmap(-1, 8 * (len(works) + 1))
        self._names = [f"load-{seed}-{number}" for number in range(len(works))]
        self._operations = operations
        self._tasks = [
            Task(context, partial(self._work, folder / name, work, number, seed), name)
            for number, (name, work) in enumerate(zip(self._names, works))
        ]

    def _work(self, path: Path, work: Work, number: int, seed: int) -> bytes:
        file = _File(path, work, 1000 * seed + number)
        done = 0
        while not self._shared[0] and done != self._operations:
            file.step()
            done += 1
            struct.pack_into("Q", self._shared, 8 * (number + 1), done)
        return file.finish()

    def done(self) -> list[int]:
        """Operations of each process so far."""
        return [
            struct.unpack_from("Q", self._shared, 8 * (number + 1))[0]
            for number in range(len(self._tasks))
        ]

    def progress(self, operations: int = 1, seconds: float = 60.0) -> None:
        """Waits until each process has done so many more operations; one that ended has failed."""
        before = self.done()

        def all_have() -> bool:
            for task in self._tasks:
                if task.done():
                    task.wait()
            return all(now - then >= operations for now, then in zip(self.done(), before))

        until(all_have, f"{operations} operations of each process ({before} before)", seconds)

    def stop(self, seconds: float = 60.0) -> int:
        """Ends it and compares with what the server has; returns the number of operations."""
        self._shared[0] = 1
        return self.wait(seconds)

    def wait(self, seconds: float = 60.0) -> int:
        """Waits for the end instead, and compares as well."""
        deadline = time.monotonic() + seconds * PATIENCE
        for name, task in zip(self._names, self._tasks):
            expected = task.wait(max(1.0, (deadline - time.monotonic()) / PATIENCE))
            found = (self._behind / name).read_bytes()
            assert found == expected, f"{name}: the server has something else"
        return sum(self.done())


class Parallel:
    """`function` called with 0, 1, 2, ... to `count`, in so many threads of a process at once."""

    def __init__(
        self, context: Context, count: int, function: Callable[[int], object], what: str
    ) -> None:
        def work() -> int:
            with ThreadPoolExecutor(count) as pool:
                return len(list(pool.map(function, range(count))))

        self._count = count
        self._task = Task(context, work, f"{count} times at once {what}")

    def wait(self, seconds: float = 60.0) -> None:
        """Waits for the end of all; raises what one of them raised."""
        done = self._task.wait(seconds)
        assert done == self._count, f"{done} of {self._count} have ended"

    def done(self) -> bool:
        """Whether all have ended."""
        return self._task.done()
