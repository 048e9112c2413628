# SPDX-License-Identifier: GPL-2.0
"""Link services of FC-NVME: what an initiator requests, and what it is answered."""

import struct

#: Commands in the first byte of a request, or of its response.
RJT, ACC, CREATE_ASSOCIATION, CREATE_CONNECTION, DISCONNECT_ASSOCIATION = 1, 2, 3, 4, 5

#: Reasons of a reject.
LOGICAL_ERROR, UNABLE, INVALID_ASSOCIATION = 0x03, 0x09, 0x40

#: Tags of descriptors.
_CREATE_ASSOCIATION_CMD, _CREATE_CONNECTION_CMD, _DISCONNECT_CMD, _ASSOCIATION_ID = 3, 4, 5, 7

#: Length of what comes before the descriptors of a response.
_HEADER = 24


def _descriptor(tag: int, content: bytes) -> bytes:
    return struct.pack(">II", tag, len(content)) + content


def _request(command: int, descriptors: bytes) -> bytes:
    return struct.pack(">B3xI", command, len(descriptors)) + descriptors


def create_association(sqsize: int, ersp_ratio: int = 1, nqn: str = "") -> bytes:
    """For an association whose admin queue has so many entries."""
    content = struct.pack(">H2x36xHH4x16x", ersp_ratio, 0xFFFF, sqsize)
    content += b"ksft-host".ljust(256, b"\0") + nqn.encode("ascii").ljust(256, b"\0")
    content = content.ljust(1008, b"\0")
    return _request(CREATE_ASSOCIATION, _descriptor(_CREATE_ASSOCIATION_CMD, content))


def create_connection(association: int, qid: int, sqsize: int, ersp_ratio: int = 1) -> bytes:
    """For a queue of an association."""
    content = struct.pack(">H2x36xHH4x", ersp_ratio, qid, sqsize)
    descriptors = _descriptor(_ASSOCIATION_ID, struct.pack(">Q", association))
    return _request(CREATE_CONNECTION, descriptors + _descriptor(_CREATE_CONNECTION_CMD, content))


def disconnect(association: int) -> bytes:
    """For the end of an association."""
    descriptors = _descriptor(_ASSOCIATION_ID, struct.pack(">Q", association))
    return _request(
        DISCONNECT_ASSOCIATION, descriptors + _descriptor(_DISCONNECT_CMD, bytes(16))
    )


def accepted(response: bytes) -> bool:
    """Whether the target has done what was requested."""
    return response[:1] == bytes([ACC])


def reason(response: bytes) -> int:
    """Why it has not."""
    assert response[:1] == bytes([RJT]), f"no reject: {response.hex()}"
    return response[_HEADER + 9]


def identifier(response: bytes) -> int:
    """The number in the first descriptor of a response."""
    number: int = struct.unpack_from(">Q", response, _HEADER + 8)[0]
    return number
