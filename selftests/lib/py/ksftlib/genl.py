# SPDX-License-Identifier: GPL-2.0
"""Generic netlink, spoken byte by byte: a test can say what no well-behaved client does."""

import select
import socket
import struct
from collections import deque
from dataclasses import dataclass

from .ktap import PATIENCE, Context

_NETLINK_GENERIC = 16
_GENL_ID_CTRL = 16
_CTRL_CMD_GETFAMILY = 3
_CTRL_ATTR_FAMILY_ID, _CTRL_ATTR_FAMILY_NAME, _CTRL_ATTR_MCAST_GROUPS = 1, 2, 7
_CTRL_ATTR_MCAST_GRP_ID = 2
_NLM_F_REQUEST, _NLM_F_ACK = 1, 4
_NLMSG_ERROR = 2
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP = 270, 1


@dataclass(frozen=True)
class Message:
    """An event of the kernel: its command and its attributes, undecoded."""

    command: int
    attributes: dict[int, bytes]

    def number(self, attribute: int) -> int:
        """An attribute of 32 bits."""
        return int(struct.unpack("=I", self.attributes[attribute])[0])


def _attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def _parse(data: bytes) -> dict[int, bytes]:
    attributes = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        attributes[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return attributes


class Family:
    """A socket in the first multicast group of a family of this name."""

    def __init__(self, context: Context, name: str, version: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
        context.defer(self._socket.close)
        self._socket.bind((0, 0))
        self._socket.settimeout(10 * PATIENCE)
        self._version = version
        self._sequence = 0
        #: Events that came while an answer was waited for.
        self._events: deque[bytes] = deque()
        wanted = _attribute(_CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
        self._send(_GENL_ID_CTRL, _CTRL_CMD_GETFAMILY, wanted, 0)
        found = _parse(self._socket.recv(65536)[20:])
        self._id = struct.unpack("=H", found[_CTRL_ATTR_FAMILY_ID])[0]
        groups = _parse(found[_CTRL_ATTR_MCAST_GROUPS])
        group = _parse(next(iter(groups.values())))
        number = struct.unpack("=I", group[_CTRL_ATTR_MCAST_GRP_ID])[0]
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, number)

    def _send(self, family: int, command: int, attributes: bytes, flags: int) -> None:
        self._sequence += 1
        payload = struct.pack("=BBH", command, self._version, 0) + attributes
        header = struct.pack(
            "=IHHII", 16 + len(payload), family, _NLM_F_REQUEST | flags, self._sequence, 0
        )
        self._socket.send(header + payload)

    def request(self, command: int, attributes: dict[int, bytes]) -> int:
        """Sends a command; returns 0 or the negative errno of the kernel's answer."""
        packed = b"".join(_attribute(kind, payload) for kind, payload in attributes.items())
        self._send(self._id, command, packed, _NLM_F_ACK)
        while True:
            data = self._socket.recv(65536)
            kind, _flags, sequence = struct.unpack_from("=HHI", data, 4)
            if kind == _NLMSG_ERROR and sequence == self._sequence:
                return int(struct.unpack_from("=i", data, 16)[0])
            # Who waited for a reply goes on before the reply is acknowledged.
            self._events.append(data)

    def waiting(self, seconds: float) -> bool:
        """Whether an event is there, or comes within `seconds`."""
        return bool(self._events or select.select([self._socket], [], [], seconds)[0])

    def event(self, seconds: float = 10.0) -> Message:
        """The next event; fails the test if none comes."""
        assert self.waiting(seconds * PATIENCE), f"no netlink event in {seconds:g} s"
        data = self._next_event()
        kind = struct.unpack_from("=H", data, 4)[0]
        assert kind == self._id, f"a netlink message of type {kind}"
        return Message(data[16], _parse(data[20:]))

    def quiet(self, seconds: float) -> None:
        """Fails the test if an event comes."""
        if self.waiting(seconds):
            raise AssertionError(f"an unexpected netlink event: {self._next_event()!r}")

    def _next_event(self) -> bytes:
        return self._events.popleft() if self._events else self._socket.recv(65536)
