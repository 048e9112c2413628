# SPDX-License-Identifier: GPL-2.0
"""An iSCSI initiator that sends what the test says (RFC 7143), above all task management.

A SCSI initiator of the kernel aborts only what its error recovery wants to abort. This one
chooses tags, never tries again, and keeps every answer.
"""

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

from ksftlib.ktap import PATIENCE, Context

from .iscsi import Target

_NONE = 0xFFFFFFFF

_BHS = 48

#: Tags of NOP-Outs are above this.
_PINGS = 0x40000000

#: Seconds without a word of the target before what has come is acknowledged again.
_QUIET = 0.5

#: Operation codes of requests, with the bit for immediate delivery where it is always set here.
_NOP_OUT, _SCSI, _TASK_MANAGEMENT, _LOGIN, _LOGOUT = 0x40, 0x01, 0x42, 0x43, 0x46

#: Operation codes of responses.
_NOP_IN, _SCSI_RSP, _TASK_RSP, _LOGIN_RSP = 0x20, 0x21, 0x22, 0x23
_DATA_IN, _LOGOUT_RSP, _R2T = 0x25, 0x26, 0x31

_FINAL, _READ, _WRITE, _SIMPLE = 0x80, 0x40, 0x20, 0x01

#: From operational negotiation to full feature phase.
_TO_FULL_FEATURE = 0x87

#: Task management functions.
ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET = 1, 2, 3, 4
LUN_RESET, TARGET_WARM_RESET, TARGET_COLD_RESET = 5, 6, 7

#: Responses to them.
COMPLETE, NO_TASK, NO_LUN, NOT_SUPPORTED, REJECTED = 0, 1, 2, 5, 255


@dataclass
class Answer:
    """What came back for a tag."""

    #: SAM status of a command, response of a task management function.
    code: int
    data: bytes = b""


@dataclass
class Pdu:
    """A protocol data unit."""

    header: bytes
    data: bytes = b""

    @property
    def opcode(self) -> int:
        """Operation code of a response."""
        return self.header[0] & 0x3F

    def word(self, offset: int) -> int:
        """Four bytes of the header."""
        return int(struct.unpack_from(">I", self.header, offset)[0])


class Closed(Exception):
    """The target has closed the connection."""


class RawSession:
    """A session with one connection. It is logged out at the end of the test, if it still is.

    A thread takes what comes, and acknowledges it as an initiator has to: the target keeps a
    command, and who waits for it, until then.
    """

    _next_isid = 1

    def __init__(
        self,
        context: Context,
        target: Target,
        seconds: float = 20.0,
        like: "RawSession | None" = None,
    ) -> None:
        number = RawSession._next_isid
        RawSession._next_isid += 1
        #: Each session is an I_T nexus of its own, also if the initiator is that of `like`: the two
        #: session identifiers differ in the qualifier then.
        self.name = like.name if like else f"iqn.2003-01.org.linux-iscsi.raw:{number}"
        host, port = target.portal.split(":")
        self._socket = socket.create_connection((host, int(port)), seconds * PATIENCE)
        self._open = True
        context.defer(self.close)
        self._isid = struct.pack(">BHBH", 0x80, 0x1234, 0x56, number & 0xFFFF)
        #: Protects what the thread shares with the test.
        self._changed = threading.Condition()
        self._next_tag = 1
        self._pings = 0
        self._command_number = 1
        #: CmdSN of each command, by tag.
        self._numbers: dict[int, int] = {}
        #: ExpStatSN; what is below is acknowledged.
        self._expected_status = 0
        #: Whether status is acknowledged as it comes.
        self.acknowledges = True
        self._data: dict[int, bytearray] = {}
        #: All answers of each tag, in order.
        self.answers: dict[int, list[Answer]] = {}
        self._asked: set[int] = set()
        #: Why the thread has ended.
        self._end: "Exception | None" = None
        self._log_in(target.iqn)
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _log_in(self, iqn: str) -> None:
        keys = {
            "InitiatorName": self.name, "TargetName": iqn, "SessionType": "Normal",
            "HeaderDigest": "None", "DataDigest": "None", "ErrorRecoveryLevel": "0",
            "InitialR2T": "Yes", "ImmediateData": "Yes", "MaxRecvDataSegmentLength": "262144",
            "FirstBurstLength": "65536", "MaxBurstLength": "262144",
            # What is left out here the target would propose, and wait for an answer.
            "MaxConnections": "1", "MaxOutstandingR2T": "1", "DefaultTime2Wait": "2",
            "DefaultTime2Retain": "0", "DataPDUInOrder": "Yes", "DataSequenceInOrder": "Yes",
        }  # fmt: skip
        text = b"".join(f"{key}={value}\0".encode() for key, value in keys.items())
        header = struct.pack(
            ">BBBBI6sHIHHII16x", _LOGIN, _TO_FULL_FEATURE, 0, 0, 0, self._isid, 0,
            self._tag(), 0, 0, self._command_number, self._expected_status,
        )  # fmt: skip
        self._send(header, text)
        answer = self._receive()
        assert answer.opcode == _LOGIN_RSP, f"login: {answer}"
        status = struct.unpack_from(">H", answer.header, 36)[0]
        assert status == 0, f"login refused with status {status:#06x}"
        assert answer.header[1] & 0x83 == 0x83, f"the target wants to negotiate: {answer.data!r}"
        self._expected_status = answer.word(24) + 1

    def _tag(self) -> int:
        tag = self._next_tag
        self._next_tag += 1
        return tag

    def _ping_tag(self) -> int:
        """A tag for a NOP-Out: not from those of commands, which tests count."""
        self._pings += 1
        return _PINGS + self._pings

    def _send(self, header: bytes, data: bytes = b"") -> None:
        assert len(header) == _BHS
        # The data length shares its word with that of additional headers, of which there are none.
        header = header[:4] + struct.pack(">I", len(data)) + header[8:]
        self._socket.sendall(header + data + bytes(-len(data) % 4))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                raise Closed(self.name)
            data += chunk
        return data

    def _receive(self) -> Pdu:
        header = self._exactly(_BHS)
        length = struct.unpack_from(">I", header, 4)[0] & 0xFFFFFF
        return Pdu(header, self._exactly(length + -length % 4)[:length])

    def _serve(self) -> None:
        try:
            while True:
                if not select.select([self._socket], [], [], _QUIET)[0]:
                    self.ping()
                    continue
                pdu = self._receive()
                with self._changed:
                    self._take(pdu)
                    self._changed.notify_all()
        except (Closed, OSError, AssertionError) as end:
            with self._changed:
                self._end = end
                self._changed.notify_all()

    def ping(self) -> None:
        """Acknowledges what has come once more.

        The target may miss an acknowledgement that comes before it has noted that it sent the
        status; it then keeps the command, and who waits for it, until the next one.
        """
        with self._changed:
            if self.acknowledges and self._open and not self._end:
                self._nop(self._ping_tag(), bytes(8), _NONE)

    def _take(self, pdu: Pdu) -> None:
        tag = pdu.word(16)
        has_status = True
        if pdu.opcode == _DATA_IN:
            data = self._data.setdefault(tag, bytearray())
            offset = pdu.word(40)
            assert offset == len(data), f"data at {offset} after {len(data)}"
            data += pdu.data
            has_status = bool(pdu.header[1] & 1)
            if has_status:
                self._answer(tag, pdu.header[3])
        elif pdu.opcode == _SCSI_RSP:
            assert pdu.header[2] == 0, f"tag {tag}: iSCSI response {pdu.header[2]:#x}"
            self._answer(tag, pdu.header[3])
        elif pdu.opcode in (_TASK_RSP, _LOGOUT_RSP):
            self._answer(tag, pdu.header[2])
        elif pdu.opcode == _NOP_IN:
            if pdu.word(20) != _NONE:
                self._nop(_NONE, pdu.header[8:16], pdu.word(20))
            if tag != _NONE and self.acknowledges:
                # The echo of an acknowledgement, which needs none of its own.
                self._expected_status = pdu.word(24) + 1
            return
        elif pdu.opcode == _R2T:
            # Only `command(promise=)` makes the target ask, and what it asks for never comes.
            self._asked.add(tag)
            return
        else:
            raise AssertionError(f"operation code {pdu.opcode:#x}: {pdu.header.hex()}")
        if has_status and self.acknowledges:
            self._expected_status = pdu.word(24) + 1
            # LIO takes notice of an acknowledgement only in a ping that wants an echo.
            self._nop(self._ping_tag(), bytes(8), _NONE)

    def _answer(self, tag: int, code: int) -> None:
        data = bytes(self._data.pop(tag, b""))
        self.answers.setdefault(tag, []).append(Answer(code, data))

    def _nop(self, tag: int, lun: bytes, transfer_tag: int) -> None:
        """Sends a ping, or answers one; either acknowledges what has come."""
        header = struct.pack(
            ">BBHI8sIIII16x", _NOP_OUT, _FINAL, 0, 0, lun, tag, transfer_tag,
            self._command_number, self._expected_status,
        )  # fmt: skip
        self._send(header)

    @property
    def next_number(self) -> int:
        """CmdSN of the next command."""
        return self._command_number

    def command(
        self, cdb: bytes, read: int = 0, write: bytes = b"", lun: int = 0, promise: int = 0
    ) -> int:
        """Sends a command and returns its tag. At most 64 KiB can be written.

        `promise` bytes follow `write`, it says, and sends none of them.
        """
        with self._changed:
            tag = self._tag()
            flags = _FINAL | _SIMPLE | (_READ if read else 0) | (_WRITE if write or promise else 0)
            header = struct.pack(
                ">BBHIHHIIIII16s", _SCSI, flags, 0, 0, lun, 0, 0, tag, read or len(write) + promise,
                self._command_number, self._expected_status, cdb,
            )  # fmt: skip
            self._numbers[tag] = self._command_number
            self._command_number += 1
            self._send(header, write)
        return tag

    def task_management(
        self, function: int, tag: int = _NONE, lun: int = 0, number: "int | None" = None
    ) -> int:
        """Sends a task management function, about the command `tag`; returns its own tag.

        RefCmdSN is that of the command unless it is given as `number`.
        """
        with self._changed:
            own = self._tag()
            if number is None:
                number = self._numbers.get(tag, 0)
            header = struct.pack(
                ">BBHIHHIIIIIII8x", _TASK_MANAGEMENT, _FINAL | function, 0, 0, lun, 0, 0, own, tag,
                self._command_number, self._expected_status, number, 0,
            )  # fmt: skip
            self._numbers[own] = self._command_number
            self._send(header)
        return own

    def answered(self, tag: int, seconds: float) -> bool:
        """Whether an answer to `tag` comes in this time; raises what ended the session."""
        with self._changed:
            self._changed.wait_for(lambda: tag in self.answers or self._end, seconds)
            if tag in self.answers:
                return True
            if self._end:
                raise self._end
            return False

    def wait(self, tag: int, seconds: float = 15.0) -> Answer:
        """The first answer to `tag`; fails the test if none comes."""
        assert self.answered(tag, seconds * PATIENCE), f"{self.name}: no answer to tag {tag}"
        return self.answers[tag][0]

    def wait_asked(self, tag: int, seconds: float = 15.0) -> None:
        """Waits until the target asks for the data of a write: it is in the task set then."""
        with self._changed:
            self._changed.wait_for(lambda: tag in self._asked or self._end, seconds * PATIENCE)
            assert tag in self._asked, f"{self.name}: not asked for the data of tag {tag}"

    def silent(self, tag: int, seconds: float = 0.5) -> None:
        """Fails the test if an answer to `tag` comes in this time."""
        time.sleep(seconds)
        with self._changed:
            assert tag not in self.answers, f"{self.name}: tag {tag} got {self.answers[tag]}"

    def log_out(self) -> None:
        """Ends the session in an orderly way."""
        with self._changed:
            tag = self._tag()
            header = struct.pack(
                ">BBHI8xIHHII16x", _LOGOUT, _FINAL, 0, 0, tag, 0, 0,
                self._command_number, self._expected_status,
            )  # fmt: skip
            self._send(header)
        self.wait(tag)
        self.drop()

    def drop(self) -> None:
        """Closes the connection without a word."""
        if self._open:
            self._open = False
            # Wakes the thread, which closing alone would not.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def close(self) -> None:
        """Logs out if the connection still is."""
        if self._open:
            try:
                self.log_out()
            except (Closed, OSError, AssertionError):
                self.drop()
