# SPDX-License-Identifier: GPL-2.0
"""What iscsid asks the kernel for, asked for by the tests themselves.

A request is handled while it is sent: how long that takes is how long the kernel takes.
"""

import ctypes
import os
import select
import socket
import struct
import time
from pathlib import Path

from ksftlib.ktap import PATIENCE, Context

_NETLINK_ISCSI = 8
_NLMSG = struct.Struct("=IHHII")

#: Types of requests, and of what the kernel tells everybody.
_CREATE_SESSION, _DESTROY_SESSION, _CREATE_CONN, _DESTROY_CONN, _BIND_CONN = 11, 12, 13, 14, 15
_START_CONN, _STOP_CONN = 17, 18
_EP_CONNECT, _EP_POLL, _EP_DISCONNECT, _CREATE_BOUND_SESSION = 22, 23, 24, 28
_CONN_ERROR, _IF_ERROR = 102, 103

#: How a connection is stopped.
STOP_TERM, STOP_RECOVER = 0x1, 0x3

#: struct iscsi_uevent: type, error and transport, what is asked, what is answered.
_HEAD = struct.Struct("=IIQ")
_ASKED, _ANSWERED = 24, 16
_SIZE = _HEAD.size + _ASKED + _ANSWERED


class Netlink:
    """The kernel's side of the iSCSI transport class, for one transport."""

    def __init__(self, context: Context, transport: str = "iser") -> None:
        self._requests = self._open(context, 0)
        self._events = self._open(context, 1)
        path = Path("/sys/class/iscsi_transport") / transport / "handle"
        self._handle = int(path.read_text(encoding="ascii"))

    @staticmethod
    def _open(context: Context, groups: int) -> socket.socket:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ISCSI)
        context.defer(made.close)
        made.bind((0, groups))
        return made

    def ask(self, kind: int, asked: bytes, payload: bytes = b"") -> bytes:
        """What the kernel answers; OSError if it does not do it."""
        event = _HEAD.pack(kind, 0, self._handle) + asked.ljust(_ASKED, b"\0")
        event += b"\0" * _ANSWERED + payload
        head = _NLMSG.pack(_NLMSG.size + len(event), kind, 1, 0, 0)
        self._requests.send(head + event)
        ready = select.select([self._requests], [], [], 20 * PATIENCE)[0]
        assert ready, f"no answer to request {kind}"
        answer = self._requests.recv(65536)[_NLMSG.size :]
        got, error, _ = _HEAD.unpack_from(answer)
        if got == _IF_ERROR:
            number = -ctypes.c_int32(error).value
            raise OSError(number, os.strerror(number))
        return answer[_HEAD.size + _ASKED : _SIZE]

    def _code(self, kind: int, asked: bytes) -> int:
        code = int(struct.unpack_from("=i", self.ask(kind, asked))[0])
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        return code

    def ep_connect(self, address: str, port: int, non_blocking: bool = True) -> int:
        """An endpoint, with a connection that is being made."""
        where = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port)
        where += socket.inet_aton(address) + b"\0" * 8
        answer = self.ask(_EP_CONNECT, struct.pack("=I", int(non_blocking)), where)
        return int(struct.unpack_from("=Q", answer)[0])

    def ep_poll(self, endpoint: int, milliseconds: int) -> int:
        """1 if the connection is there, 0 if it is still being made; OSError if it failed."""
        return self._code(_EP_POLL, struct.pack("=QI", endpoint, milliseconds))

    def ep_disconnect(self, endpoint: int) -> float:
        """How many seconds that took."""
        start = time.monotonic()
        self.ask(_EP_DISCONNECT, struct.pack("=Q", endpoint))
        return time.monotonic() - start

    def create_unbound_session(self) -> int:
        """A session of a transport that needs no device."""
        asked = struct.pack("=IHH", 1, 32, 32)
        return int(struct.unpack_from("=I", self.ask(_CREATE_SESSION, asked))[0])

    def create_session(self, endpoint: int) -> int:
        """A session over this device."""
        asked = struct.pack("=QIHH", endpoint, 1, 32, 32)
        return int(struct.unpack_from("=I", self.ask(_CREATE_BOUND_SESSION, asked))[0])

    def destroy_session(self, session: int) -> None:
        """Ends a session without connections."""
        self.ask(_DESTROY_SESSION, struct.pack("=I", session))

    def create_conn(self, session: int) -> None:
        """Connection 0 of a session, not bound."""
        self.ask(_CREATE_CONN, struct.pack("=II", session, 0))

    def bind_conn(self, session: int, endpoint: int) -> None:
        """Binds it to what an endpoint has connected."""
        self._code(_BIND_CONN, struct.pack("=IIQI", session, 0, endpoint, 1))

    def start_conn(self, session: int) -> None:
        """Has it take commands."""
        self._code(_START_CONN, struct.pack("=II", session, 0))

    def stop_conn(self, session: int, flag: int = STOP_TERM) -> None:
        """Stops it."""
        self.ask(_STOP_CONN, struct.pack("=IIQI", session, 0, 0, flag))

    def destroy_conn(self, session: int) -> None:
        """Destroys it."""
        self.ask(_DESTROY_CONN, struct.pack("=II", session, 0))

    def conn_errors(self, seconds: float = 0.0) -> list[int]:
        """Sessions with a connection of which the kernel has said that it failed, as often as it
        did; waits so long for the first."""
        found: list[int] = []
        while select.select([self._events], [], [], 0 if found else seconds * PATIENCE)[0]:
            answer = self._events.recv(65536)[_NLMSG.size :]
            if _HEAD.unpack_from(answer)[0] == _CONN_ERROR:
                found.append(int(struct.unpack_from("=I", answer, _HEAD.size + _ASKED)[0]))
        return found
