# SPDX-License-Identifier: GPL-2.0
"""What may be on the medium, slot by slot, when some WRITEs were aborted.

A slot has one command at a time, so it has few possible contents: that of the last WRITE that
was good, and those of WRITEs in doubt since then. A READ decides among them: what was aborted
must not reach the medium any more.
"""

import struct
from dataclasses import dataclass, field

from ..scsi import BLOCK

#: Blocks and bytes of a slot; what a command transfers.
BLOCKS = 8
SIZE = BLOCKS * BLOCK

#: Marks data of this program.
_MAGIC = 0x50414B21

_STAMP = struct.Struct(">IIII")


def pattern(place: int, slot: int, version: int) -> bytes:
    """Contents of a slot; version 0 is a medium that was never written."""
    if not version:
        return bytes(SIZE)
    return _STAMP.pack(_MAGIC, place, slot, version) * (SIZE // _STAMP.size)


@dataclass
class Slot:
    """One slot of a region."""

    place: int
    number: int
    #: Whether a command uses it.
    busy: bool = False
    #: Commands so far; goes into their CDBs.
    used: int = 0
    #: The last version that was sent.
    version: int = 0
    #: What it may contain.
    possible: set[int] = field(default_factory=lambda: {0})
    #: What may reach the medium at any time: a daemon still has WRITEs that the target gave up.
    late: set[int] = field(default_factory=set)

    def next_write(self) -> bytes:
        """Data of the next WRITE, which is in doubt from now on."""
        self.version += 1
        self.possible.add(self.version)
        return pattern(self.place, self.number, self.version)

    def written(self) -> None:
        """The WRITE was good."""
        self.possible = {self.version} | self.late

    def refused(self) -> None:
        """The WRITE was not carried out."""
        self.possible.discard(self.version)

    def given_up(self) -> None:
        """The WRITE may still be carried out at any time."""
        self.late.add(self.version)

    def check(self, data: bytes) -> str:
        """What is wrong with `data` that was read; empty if nothing."""
        for version in self.possible:
            if data == pattern(self.place, self.number, version):
                self.possible = {version} | self.late
                return ""
        stamps = {_STAMP.unpack_from(data, at) for at in range(0, len(data) - 15, 16)}
        seen = sorted(stamps)[:4]
        return (
            f"place {self.place} slot {self.number}: {len(data)} bytes with {seen}, "
            f"expected one of the versions {sorted(self.possible)}"
        )
