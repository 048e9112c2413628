# SPDX-License-Identifier: GPL-2.0
"""EXTENDED COPY(LID1) (SPC-4 6.4): a target copies blocks by itself."""

import struct

from ksftlib.files import write

from .configfs import Device
from .iscsi_raw import RawSession
from .scsi import BLOCK, GOOD

#: Designator type NAA of the device identification page.
_NAA = 3


def name(device: Device, text: str) -> None:
    """Gives a device the serial number from which its NAA name is made."""
    write(device.path / "wwn" / "vpd_unit_serial", text)


def naa(session: RawSession, lun: int = 0) -> bytes:
    """The 16-byte NAA name of a logical unit, from its device identification page."""
    length = 255
    inquiry = bytes([0x12, 1, 0x83, 0, length, 0])
    answer = session.wait(session.command(inquiry, read=length, lun=lun))
    assert answer.code == GOOD, f"INQUIRY: status {answer.code:#x}"
    page = answer.data[4 : 4 + int.from_bytes(answer.data[2:4], "big")]
    while len(page) >= 4:
        designator = page[4 : 4 + page[3]]
        if page[1] & 0x3F == _NAA and len(designator) == 16:
            return designator
        page = page[4 + page[3] :]
    raise AssertionError(f"no NAA name of 16 bytes in {answer.data!r}")


def extended_copy(source: bytes, destination: bytes, blocks: int, to: int) -> tuple[bytes, bytes]:
    """CDB and parameter list: copies `blocks` blocks from block 0 of one NAA name to block `to`."""
    targets = b""
    for designator in (source, destination):
        descriptor = struct.pack(">BBHBBBB16s", 0xE4, 0, 0, 1, _NAA, 0, 16, designator)
        targets += descriptor + struct.pack(">I", 0) + BLOCK.to_bytes(4, "big")
    segment = struct.pack(">BBHHHHHQQ", 0x02, 0, 0x18, 0, 1, 0, blocks, 0, to)
    header = struct.pack(">BBHIII", 0, 0, len(targets), 0, len(segment), 0)
    parameters = header + targets + segment
    return struct.pack(">BBQIBB", 0x83, 0, 0, len(parameters), 0, 0), parameters
