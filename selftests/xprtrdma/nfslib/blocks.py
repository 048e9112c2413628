# SPDX-License-Identifier: GPL-2.0
"""A file of numbered blocks, of which many are read or written at the same time."""

import mmap
import os
from pathlib import Path

from .server import Server

#: Bytes of a block: more than fits into a message, so that memory is registered for it.
BLOCK = 4096


def content(number: int, generation: int = 0) -> bytes:
    """What is in a block."""
    return b"%07d %07d\n" % (number, generation) * (BLOCK // 16)


class Blocks:
    """A file of `count` blocks that the server has from the start."""

    def __init__(self, server: Server, folder: Path, count: int, name: str = "blocks") -> None:
        self.behind = server.folder / name
        self.behind.write_bytes(b"".join(content(number) for number in range(count)))
        self.path = folder / name
        self.count = count

    def read(self, number: int) -> None:
        """Reads a block past the client's memory, and checks it."""
        buffer = mmap.mmap(-1, BLOCK)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECT)
        try:
            got = os.preadv(descriptor, [buffer], number * BLOCK)
        finally:
            os.close(descriptor)
        assert (got, buffer[:]) == (BLOCK, content(number)), f"block {number} is wrong"

    def write(self, number: int, generation: int, length: int = BLOCK) -> None:
        """Writes the beginning of a block past the client's memory."""
        buffer = mmap.mmap(-1, BLOCK)
        buffer[:] = content(number, generation)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_DIRECT)
        try:
            with memoryview(buffer)[:length] as part:
                written = os.pwrite(descriptor, part, number * BLOCK)
        finally:
            os.close(descriptor)
        assert written == length, f"{written} bytes of block {number} were written"

    def check(self, generation: int, length: int = BLOCK, first: int = 0) -> None:
        """Fails the test unless the server has the blocks from `first` on as `write` made them."""
        data = self.behind.read_bytes()
        for number in range(first, self.count):
            start = number * BLOCK
            found = data[start : start + length]
            assert found == content(number, generation)[:length], f"block {number} at the server"
