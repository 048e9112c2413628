# SPDX-License-Identifier: GPL-2.0
"""A tcmu device's shared memory from user space's side, down to single fields.

For tests only: nothing here stops a test from breaking the protocol.
"""

import mmap
import os
import resource
import signal
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from ksftlib.files import read
from ksftlib.ktap import Context
from ksftlib.wait import until, wait_status

from .configfs import Device

OP_PAD, OP_CMD, OP_TMR = 0, 1, 2

FLAG_OOOC, FLAG_READ_LEN, FLAG_TMR, FLAG_KEEP_BUF = 1, 2, 4, 8

UFLAG_UNKNOWN_OP, UFLAG_READ_LEN, UFLAG_KEEP_BUF = 1, 2, 4

#: Offsets in struct tcmu_mailbox.
_CMD_HEAD, _CMD_TAIL = 12, 64

#: Offsets in an entry: header, then request or response.
_UFLAGS, _IOV_CNT, _CDB_OFF, _IOV = 7, 8, 24, 48
_RSP_STATUS, _RSP_READ_LEN, _RSP_SENSE = 8, 12, 16
_TMR_TYPE, _TMR_CNT, _TMR_IDS = 8, 12, 32

SAM_STAT_GOOD = 0x00
SAM_STAT_CHECK_CONDITION = 0x02

#: Bytes of sense data in a response.
SENSE_SIZE = 96


@dataclass(frozen=True)
class Entry:
    """An entry as it stood in the ring. `offset` counts from the ring's start."""

    offset: int
    op: int
    length: int
    cmd_id: int
    #: Offset and length of each data buffer; only commands have these three.
    iov: tuple[tuple[int, int], ...] = ()
    cdb: bytes = b""
    #: Only for task management entries.
    tmr_type: int = 0
    ids: tuple[int, ...] = ()


class Ring:
    """The UIO node of `device`, opened and mapped."""

    def __init__(self, context: Context, device: Device) -> None:
        self.node = device.node()
        self.fd = os.open(self.node, os.O_RDWR)
        context.defer(self.close)
        self.size = region_size(self.node)
        shared = mmap.mmap(self.fd, self.size, mmap.MAP_SHARED)
        # A forked process must not keep the node open.
        shared.madvise(mmap.MADV_DONTFORK)
        self.use(shared)

    def use(self, memory: "mmap.mmap | bytearray") -> None:
        """Takes the mailbox at the start of `memory`, and the ring behind it."""
        self.map = memory
        # A store through a view of machine words is one store, as an index needs it.
        self._words = memoryview(memory).cast("I")
        self.version, self.flags, self.cmdr_off, self.cmdr_size = struct.unpack_from(
            "=HHII", memory
        )
        #: Where the next entry is read.
        self.position = self.tail

    @property
    def head(self) -> int:
        """cmd_head: written by the kernel."""
        return self._words[_CMD_HEAD // 4]

    @head.setter
    def head(self, value: int) -> None:
        self._words[_CMD_HEAD // 4] = value

    @property
    def tail(self) -> int:
        """cmd_tail: written by user space."""
        return self._words[_CMD_TAIL // 4]

    @tail.setter
    def tail(self, value: int) -> None:
        self._words[_CMD_TAIL // 4] = value

    def kick(self) -> None:
        """Tells the kernel to look at the tail."""
        os.write(self.fd, struct.pack("=i", 0))

    def poke(self, offset: int, data: bytes) -> None:
        """Writes into the command ring, `offset` from its start."""
        start = self.cmdr_off + offset
        self.map[start : start + len(data)] = data

    def at(self, offset: int) -> Entry:
        """The entry at this offset in the ring."""
        start = self.cmdr_off + offset
        len_op, cmd_id = struct.unpack_from("=IH", self.map, start)
        entry = Entry(offset, len_op & 7, len_op & ~7, cmd_id)
        if entry.op == OP_TMR:
            kind = self.map[start + _TMR_TYPE]
            count = struct.unpack_from("=I", self.map, start + _TMR_CNT)[0]
            ids = struct.unpack_from(f"={count}H", self.map, start + _TMR_IDS)
            return Entry(offset, OP_TMR, entry.length, cmd_id, tmr_type=kind, ids=ids)
        if entry.op != OP_CMD:
            return entry
        count = struct.unpack_from("=I", self.map, start + _IOV_CNT)[0]
        iov = tuple(
            struct.unpack_from("=QQ", self.map, start + _IOV + 16 * i) for i in range(count)
        )
        cdb_off = struct.unpack_from("=Q", self.map, start + _CDB_OFF)[0]
        cdb = bytes(self.map[cdb_off : cdb_off + _cdb_length(self.map[cdb_off])])
        return Entry(offset, OP_CMD, entry.length, cmd_id, iov, cdb)

    def uflags(self, entry: Entry) -> int:
        """What user space says about `entry`."""
        return self.map[self.cmdr_off + entry.offset + _UFLAGS]

    def poll(self) -> "Entry | None":
        """The next entry that is no padding; None if there is none yet."""
        while self.position != self.head:
            entry = self.at(self.position)
            self.position = (self.position + entry.length) % self.cmdr_size
            if entry.op != OP_PAD:
                return entry
        return None

    def next(self, seconds: float = 15.0) -> Entry:
        """The next entry that is no padding; fails the test if none comes."""
        entry = until(self.poll, f"an entry in the ring of {self.node}", seconds)
        assert entry is not None
        return entry

    def respond(
        self,
        entry: Entry,
        status: int = SAM_STAT_GOOD,
        cmd_id: "int | None" = None,
        uflags: int = 0,
        sense: bytes = b"",
        read_len: int = 0,
    ) -> None:
        """Writes a response into the place of `entry`, by default for its own command."""
        start = self.cmdr_off + entry.offset
        struct.pack_into("=H", self.map, start + 4, entry.cmd_id if cmd_id is None else cmd_id)
        self.map[start + _UFLAGS] = uflags
        struct.pack_into("=B", self.map, start + _RSP_STATUS, status)
        struct.pack_into("=I", self.map, start + _RSP_READ_LEN, read_len)
        self.map[start + _RSP_SENSE : start + _RSP_SENSE + SENSE_SIZE] = sense.ljust(
            SENSE_SIZE, b"\0"
        )

    def advance(self, entry: Entry) -> None:
        """Moves the tail behind `entry` and tells the kernel."""
        self.tail = (entry.offset + entry.length) % self.cmdr_size
        self.kick()

    def complete(self, entry: Entry, status: int = SAM_STAT_GOOD, **response: object) -> None:
        """Answers `entry`, which must be the one at the tail (after padding)."""
        self.respond(entry, status, **response)  # type: ignore[arg-type]
        self.advance(entry)

    def close(self) -> None:
        """Unmaps and closes, once."""
        if self.fd >= 0:
            self._words.release()
            assert isinstance(self.map, mmap.mmap)
            self.map.close()
            os.close(self.fd)
            self.fd = -1


def touch_in_child(device: Device, address: int) -> int:
    """Wait status of a child that maps the node, which nobody has open, and reads one byte."""
    node = device.node()
    size = region_size(node)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        mapping = mmap.mmap(os.open(node, os.O_RDWR), size)
        os._exit(0 if mapping[address] >= 0 else 1)
    return wait_status(pid)


def region_size(node: Path) -> int:
    """Bytes of the one memory region of a UIO device."""
    return int(read(Path("/sys/class/uio") / node.name / "maps/map0/size"), 16)


def _cdb_length(opcode: int) -> int:
    group = opcode >> 5
    return {0: 6, 1: 10, 2: 10, 4: 16, 5: 12}.get(group, 16)
