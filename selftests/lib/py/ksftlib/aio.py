# SPDX-License-Identifier: GPL-2.0
"""Many reads in flight at once through the kernel's asynchronous I/O."""

import ctypes
import mmap
import os
import platform
from pathlib import Path

from .ktap import Skip

#: io_setup, io_destroy, io_getevents, io_submit.
_SYSCALLS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}

_IOCB_CMD_PREAD = 0

#: Bytes of the block layer's unit.
SECTOR = 512

_libc = ctypes.CDLL(None, use_errno=True)


class _Iocb(ctypes.Structure):
    _fields_ = [
        ("aio_data", ctypes.c_uint64),
        ("aio_key", ctypes.c_uint32),
        ("aio_rw_flags", ctypes.c_uint32),
        ("aio_lio_opcode", ctypes.c_uint16),
        ("aio_reqprio", ctypes.c_int16),
        ("aio_fildes", ctypes.c_uint32),
        ("aio_buf", ctypes.c_uint64),
        ("aio_nbytes", ctypes.c_uint64),
        ("aio_offset", ctypes.c_int64),
        ("aio_reserved2", ctypes.c_uint64),
        ("aio_flags", ctypes.c_uint32),
        ("aio_resfd", ctypes.c_uint32),
    ]


class _IoEvent(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_uint64),
        ("obj", ctypes.c_uint64),
        ("res", ctypes.c_int64),
        ("res2", ctypes.c_int64),
    ]


class _Timespec(ctypes.Structure):
    _fields_ = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]


def _call(which: int, *arguments: object) -> int:
    numbers = _SYSCALLS.get(platform.machine())
    if numbers is None:
        raise Skip(f"the numbers of the AIO system calls on {platform.machine()} are not known")
    result = _libc.syscall(ctypes.c_long(numbers[which]), *arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


class Reads:
    """`depth` reads of `size` bytes each (one sector unless told otherwise).

    Use it in a process of its own: leaving one waits for the reads.
    """

    def __init__(self, node: Path, depth: int, size: int = SECTOR) -> None:
        self._fd = os.open(node, os.O_RDONLY | os.O_DIRECT)
        self._depth = depth
        self._size = size
        self._context = ctypes.c_ulong(0)
        _call(0, ctypes.c_uint(depth), ctypes.byref(self._context))
        # Private: a shared one would be a file in memory, with an index of its own.
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._buffer = mmap.mmap(-1, depth * size, private)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))
        self._iocbs = (_Iocb * depth)()
        self._events = (_IoEvent * depth)()

    def submit(self, slots: list[int], first: int, step: int) -> None:
        """Sends one read a slot, at `first` + slot * `step`."""
        pointers = (ctypes.POINTER(_Iocb) * len(slots))()
        for place, slot in enumerate(slots):
            self._iocbs[slot] = _Iocb(
                aio_data=slot,
                aio_lio_opcode=_IOCB_CMD_PREAD,
                aio_fildes=self._fd,
                aio_buf=self._address + slot * self._size,
                aio_nbytes=self._size,
                aio_offset=(first + slot * step) * SECTOR,
            )
            pointers[place] = ctypes.pointer(self._iocbs[slot])
        sent = 0
        while sent < len(slots):
            rest = ctypes.byref(pointers, sent * ctypes.sizeof(ctypes.c_void_p))
            sent += _call(3, self._context, ctypes.c_long(len(slots) - sent), rest)

    def reap(self, least: int) -> list[tuple[int, int]]:
        """Slot and result (bytes, or a negative errno) of at least so many finished reads."""
        count = _call(
            2, self._context, ctypes.c_long(least), ctypes.c_long(self._depth),
            ctypes.byref(self._events), None,
        )  # fmt: skip
        return [(event.data, event.res) for event in self._events[:count]]


def read_many(node: Path, count: int, depth: int, step: int = 1, first: int = 0) -> int:
    """Reads `count` single sectors from `first` on, at most `depth` at a time.

    Returns how many succeeded.
    """
    reads = Reads(node, depth)
    started = min(count, depth)
    reads.submit(list(range(started)), first, step)
    done = succeeded = 0
    while done < count:
        finished = reads.reap(1)
        done += len(finished)
        succeeded += sum(result == SECTOR for _, result in finished)
        again = [slot for slot, _ in finished][: count - started]
        started += len(again)
        if again:
            reads.submit(again, first, step)
    return succeeded
