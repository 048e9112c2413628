# SPDX-License-Identifier: GPL-2.0
"""A session that hands everything that comes in to one queue."""

import queue
import time
from dataclasses import dataclass

from ksftlib.ktap import Context

from .. import scsi
from ..iscsi import Target
from ..iscsi_raw import Pdu, RawSession

#: Operation code of a SCSI response. What comes with it is sense data.
_SCSI_RESPONSE = 0x21

#: Tags of a session begin at its number times this: no two sessions use the same.
_TAGS = 1 << 20


@dataclass(frozen=True)
class Came:
    """An answer."""

    session: "Session"
    tag: int
    code: int
    data: bytes
    sense: tuple[int, int, int]
    #: CLOCK_MONOTONIC in seconds, after it came.
    time: float


class Session(RawSession):
    """An I_T nexus of its own."""

    def __init__(self, context: Context, target: Target, inbox: "queue.Queue[Came]") -> None:
        self._inbox = inbox
        self._sense = b""
        #: From now on an answer is one to the logout, which is nobody's business.
        self._leaves = False
        self._last_number = 0
        self.number = RawSession._next_isid
        super().__init__(context, target)
        self._next_tag = self.number * _TAGS

    def _take(self, pdu: Pdu) -> None:
        self._last_number = pdu.word(32)
        self._sense = b""
        if pdu.opcode == _SCSI_RESPONSE and len(pdu.data) > 2:
            self._sense = pdu.data[2 : 2 + int.from_bytes(pdu.data[:2], "big")]
        super()._take(pdu)

    def _answer(self, tag: int, code: int) -> None:
        super()._answer(tag, code)
        if self._leaves:
            return
        # The books remember, not this: it would take memory for each command.
        (answer,) = self.answers.pop(tag)
        sense = scsi.Answer(code, 0, self._sense, b"", 0).sense_triple
        self._inbox.put(Came(self, tag, code, answer.data, sense, time.monotonic()))

    def window(self) -> int:
        """How many more commands the target takes now; all until it has said something."""
        return self._last_number - self._command_number + 1 if self._last_number else 1

    def broken(self) -> str:
        """Why nothing comes in any more; empty if all is well."""
        return repr(self._end) if self._end and self._open else ""

    def log_out(self) -> None:
        """Ends the session in an orderly way."""
        self._leaves = True
        super().log_out()
