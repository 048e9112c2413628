# SPDX-License-Identifier: GPL-2.0
"""NVMe commands as an initiator sends them."""

import struct
from dataclasses import dataclass

#: Status of a response, with the bit that says that it is no use to try again.
INVALID_OPCODE = 0x4001
SUCCESS = 0

#: Status codes, without that bit.
CONNECT_INVALID_PARAMETER = 0x182

#: Data are described by a list.
_SGL = 0x40

_FABRICS, _IDENTIFY = 0x7F, 0x06
_PROPERTY_SET, _CONNECT = 0x00, 0x01


@dataclass(frozen=True)
class NvmeCommand:
    """A command, and its data."""

    sqe: bytes
    direction: str = "none"
    size: int = 0
    data: bytes = b""


def _sqe(opcode: int, *fields: "tuple[int, str, int]") -> bytes:
    """A command with these values: where, as what, which."""
    sqe = bytearray(64)
    struct.pack_into("<BB", sqe, 0, opcode, _SGL)
    for offset, kind, value in fields:
        struct.pack_into("<" + kind, sqe, offset, value)
    return bytes(sqe)


#: One that is answered at once with `INVALID_OPCODE` by a queue that is not connected.
PLAIN = NvmeCommand(_sqe(_IDENTIFY))

#: One whose opcode and direction do not agree: the target aborts the exchange.
CONTRADICTORY = NvmeCommand(_sqe(0x01), "read", 512)


def connect(nqn: str, qid: int = 0, sqsize: int = 31, controller: int = 0xFFFF) -> NvmeCommand:
    """Connects a queue with a controller, which data of the initiator name."""
    data = bytearray(1024)
    struct.pack_into("<16sH", data, 0, b"ksft-host-number", controller)
    struct.pack_into("256s256s", data, 256, nqn.encode("ascii"), b"ksft-host")
    fields = ((4, "B", _CONNECT), (42, "H", qid), (44, "H", sqsize))
    return NvmeCommand(_sqe(_FABRICS, *fields), "write", len(data), bytes(data))


def enable() -> NvmeCommand:
    """Enables the controller."""
    fields = ((4, "B", _PROPERTY_SET), (44, "I", 0x14), (48, "Q", 0x460001))
    return NvmeCommand(_sqe(_FABRICS, *fields))


def identify_controller() -> NvmeCommand:
    """Reads what the controller says of itself."""
    return NvmeCommand(_sqe(_IDENTIFY, (40, "B", 1)), "read", 4096)
