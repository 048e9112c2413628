# SPDX-License-Identifier: GPL-2.0
"""One place at the target: sends commands at random, and task management about them.

A place has one session at a time and a region of the disk. Its session is replaced now and then:
the iSCSI target never gives back the place in the command window of a command that ended without
an answer, so a session that aborts much comes to its end.
"""

import random
import time
from dataclasses import dataclass
from typing import Protocol

from ..iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, REJECTED
from ..scsi import GOOD
from .books import Books, Command, End, Kind
from .medium import BLOCKS, SIZE, Slot
from .session import Came, Session

#: Slots of a region.
SLOTS = 48

#: Commands in flight.
_DEPTH = 8

#: Least free places in the command window.
_LEAST_WINDOW = 2 * _DEPTH

#: Seconds without anything before a session is logged out.
_QUIET = 0.5

#: Blocks between two regions.
_REGION = SLOTS * BLOCKS

#: Service actions of PERSISTENT RESERVE OUT.
_RESERVE, _PREEMPT_AND_ABORT, _REGISTER_AND_IGNORE = 0x01, 0x05, 0x06

#: Reservation types: for writing, or for all access, by registrants only.
_TYPES = (0x05, 0x06)


@dataclass
class Odds:
    """How likely each step is to be something else than a command."""

    abort: float = 0.12
    reset: float = 0.006
    preempt: float = 0.006
    #: An ABORT TASK for a command that is complete.
    late: float = 0.2


class Control(Protocol):
    """What a nexus needs to know of the others."""

    books: Books
    odds: Odds
    #: Whether what was given up may still reach the medium.
    expires: bool

    def open_session(self) -> Session:
        """A new session."""

    def open_resets(self, but: int) -> set[int]:
        """Tags of the LUN RESETs of other nexuses that are not answered."""

    def may_reset(self) -> bool:
        """Whether a LUN RESET may be sent now."""

    def may_reserve(self) -> bool:
        """Whether a PERSISTENT RESERVE OUT may be sent now."""

    def may_preempt(self) -> bool:
        """Whether it may be a PREEMPT AND ABORT."""

    def wrong(self, what: str) -> None:
        """Something is not as it must be."""


@dataclass
class _Flight:
    """A command that has not ended, as far as is known."""

    command: Command
    slot: "Slot | None" = None


class Nexus:
    """A place and its session."""

    def __init__(self, place: int, control: Control, chance: random.Random) -> None:
        self.place = place
        self._control = control
        self._books = control.books
        self._chance = chance
        self._slots = [Slot(place, number) for number in range(SLOTS)]
        self.session = control.open_session()
        self.logins = 1
        self._flights: dict[int, _Flight] = {}
        self._aborts: set[int] = set()
        #: The own LUN RESET.
        self.reset: "int | None" = None
        #: The own PERSISTENT RESERVE OUT, and whether it is a PREEMPT AND ABORT.
        self.reserve: "int | None" = None
        self.preempts = False
        #: Commands whose ABORT TASK was ended by resets of others, and the tags of these. Whom the
        #: ABORT TASK had taken gets no answer, whom a reset took gets its own before the reset.
        self._undecided: dict[int, set[int]] = {}
        #: What is to come once nothing is in flight: "preempt", "leave", or nothing.
        self._then = ""
        self._quiet_since = 0.0
        #: The tag of the PERSISTENT RESERVE command that others wait for, and what comes next.
        self._script: "tuple[int, str] | None" = None
        self._wants_key = False
        self._recent: list[int] = []
        self.stopped = False

    # What happens.

    def came(self, came: Came) -> None:
        """An answer came in, and is in the books already."""
        self._quiet_since = 0.0
        if came.tag in self._books.commands:
            self._command_came(came)
        elif came.tag in self._books.functions:
            self._function_came(came)

    def _command_came(self, came: Came) -> None:
        command = self._books.commands[came.tag]
        flight = self._flights.pop(came.tag, None)
        self._undecided.pop(came.tag, None)
        self._recent = [*self._recent[-3:], came.tag]
        if command.end is End.CONFLICT:
            self._wants_key = True
        self._reserve_ended(came.tag)
        if flight and flight.slot:
            self._slot_came(flight.slot, command, came.data)
        if self._script and self._script[0] == came.tag:
            self._continue(self._script[1], came)

    def _slot_came(self, slot: Slot, command: Command, data: bytes) -> None:
        slot.busy = False
        end = command.end
        if command.kind is Kind.READ:
            wrong = slot.check(data) if end is End.GOOD else ""
            if wrong:
                self._control.wrong(f"READ {command.tag:#x}: {wrong}")
        elif end is End.GOOD:
            slot.written()
        elif end in (End.UNIT_ATTENTION, End.CONFLICT, End.FULL):
            slot.refused()
        elif self._control.expires:
            slot.given_up()

    def _function_came(self, came: Came) -> None:
        function = self._books.functions[came.tag]
        self._aborts.discard(came.tag)
        if function.function == ABORT_TASK:
            if came.code == COMPLETE:
                self._ended_silently(function.about)
            elif came.code == REJECTED and function.about in self._flights:
                self._undecided[function.about] = self._control.open_resets(self.place)
                self.others_reset()
        elif came.tag == self.reset:
            self.reset = None
            # Nothing was sent after it. Who gets an answer all the same was complete before.
            self._aborts.clear()
            for tag in list(self._flights):
                self._ended_silently(tag)

    def _reserve_ended(self, tag: int) -> None:
        if self.reserve == tag:
            self.reserve, self.preempts = None, False

    def _ended_silently(self, tag: int) -> None:
        self._reserve_ended(tag)
        self._undecided.pop(tag, None)
        flight = self._flights.pop(tag, None)
        if flight and flight.slot:
            flight.slot.busy = False
            if flight.command.kind is Kind.WRITE and self._control.expires:
                flight.slot.given_up()

    def others_reset(self, tag: int = 0) -> None:
        """A LUN RESET of another nexus was answered; all that it answers came before that."""
        for about, resets in list(self._undecided.items()):
            resets.discard(tag)
            if not resets:
                self._ended_silently(about)

    def functions_lost(self, reset: int) -> None:
        """Any ABORT TASK sent before this reset was answered may have been lost, as C does it."""
        for tag in list(self._aborts):
            if self._books.functions[tag].overlaps(self._books.functions[reset]):
                self._aborts.discard(tag)
                # Its command stays where it is: nobody knows.
                about = self._books.functions[tag].about
                self._flights.pop(about, None)
                self._reserve_ended(about)

    def outstanding(self) -> int:
        """Number of commands and functions that may still be answered."""
        return len(self._flights) + len(self._aborts) + (self.reset is not None)

    def story(self) -> str:
        """What is outstanding, for people."""
        tags = [*self._flights, *self._aborts, *([] if self.reset is None else [self.reset])]
        return ", ".join(f"{tag:#x}" for tag in tags)

    # What is sent.

    def step(self) -> None:
        """Sends something, or nothing."""
        reason = self.session.broken()
        if reason:
            self._control.wrong(f"session {self.session.number}: {reason}")
            self.stopped = True
        if self.stopped or self.reset is not None or self._script:
            return
        if self._then:
            self._when_idle()
            return
        if self.session.window() < _LEAST_WINDOW and self.session.window() != 1:
            self._then = "leave"
            return
        odds, number = self._control.odds, self._chance.random()
        if number < odds.abort:
            self._abort()
        elif number < odds.abort + odds.reset:
            if self._control.may_reset():
                self._lun_reset()
        elif number < odds.abort + odds.reset + odds.preempt:
            self._then = "preempt"
        elif len(self._flights) < _DEPTH:
            self._issue()

    def _send(self, kind: Kind, cdb: bytes, slot: "Slot | None" = None, **transfer: object) -> int:
        now = time.monotonic()
        tag = self.session.command(cdb, **transfer)  # type: ignore[arg-type]
        command = self._books.command(tag, self.session.number, kind, cdb, now)
        self._flights[tag] = _Flight(command, slot)
        return tag

    def _issue(self) -> None:
        if self._wants_key and self._control.may_reserve():
            self._wants_key = False
            self._prout(_REGISTER_AND_IGNORE, 0, self._key())
            return
        free = [slot for slot in self._slots if not slot.busy]
        what = self._chance.random()
        if what < 0.1 or not free:
            # Unique, in bytes that mean nothing.
            count = len(self._books.commands) & 0xFFFFFF
            self._send(Kind.READY, b"\0\0" + count.to_bytes(3, "big") + b"\0")
            return
        slot = self._chance.choice(free)
        slot.busy = True
        slot.used += 1
        write = what < 0.55
        cdb = bytes([0x8A if write else 0x88, 0])
        cdb += (self.place * _REGION + slot.number * BLOCKS).to_bytes(8, "big")
        # The group number tells the daemon's log which of the slot's commands it is.
        cdb += BLOCKS.to_bytes(4, "big") + bytes([slot.used & 0x1F, 0])
        if write:
            self._send(Kind.WRITE, cdb, slot, write=slot.next_write())
        else:
            self._send(Kind.READ, cdb, slot, read=SIZE)

    def _abort(self) -> None:
        late = self._chance.random() < self._control.odds.late
        tags = self._recent if late else list(self._flights)
        if len(self._aborts) < 2 and tags:
            about = self._chance.choice(tags)
            tag = self.session.task_management(ABORT_TASK, about)
            self._books.function(tag, self.session.number, ABORT_TASK, about)
            self._aborts.add(tag)

    def _lun_reset(self) -> None:
        self.reset = self.session.task_management(LUN_RESET)
        self._books.function(self.reset, self.session.number, LUN_RESET)

    def _when_idle(self) -> None:
        """Goes on with what needs a session without anything in flight."""
        if self.outstanding():
            return
        if self._then == "preempt":
            if self._control.may_preempt():
                self._then = ""
                tag = self._send(Kind.RESERVE, bytes([0x5E, 1, 0, 0, 0, 0, 0, 0, 24, 0]), read=24)
                self._script = (tag, "register")
            return
        now = time.monotonic()
        self._quiet_since = self._quiet_since or now
        if now - self._quiet_since > _QUIET:
            self._then = ""
            self._recent.clear()
            self.session.log_out()
            self.session = self._control.open_session()
            self.logins += 1

    # Reservations.

    def _key(self) -> int:
        """The reservation key of the session."""
        return 0x1000 + self.session.number

    def _prout(self, action: int, key: int, action_key: int) -> int:
        kind = Kind.PREEMPT if action == _PREEMPT_AND_ABORT else Kind.RESERVE
        scope_type = 0 if action == _REGISTER_AND_IGNORE else self._chance.choice(_TYPES)
        cdb = bytes([0x5F, action, scope_type, 0, 0, 0, 0, 0, 24, 0])
        parameters = key.to_bytes(8, "big") + action_key.to_bytes(8, "big") + bytes(8)
        self.reserve, self.preempts = self._send(kind, cdb, write=parameters), kind is Kind.PREEMPT
        return self.reserve

    def _continue(self, what: str, came: Came) -> None:
        """The next step to a PREEMPT AND ABORT.

        Nothing else of this session may be in flight: the target carries it out in the thread that
        also takes the acknowledgements that it waits for.
        """
        self._script = None
        if came.code != GOOD or self.stopped or not self._control.may_reserve():
            return
        key = self._key()
        if what == "register":
            holder = 0
            if int.from_bytes(came.data[4:8], "big"):
                holder = int.from_bytes(came.data[8:16], "big")
            self._script = (self._prout(_REGISTER_AND_IGNORE, 0, key), f"take {holder}")
        elif what.startswith("take ") and self._control.may_preempt():
            holder = int(what[5:])
            if not holder:
                self._script = (self._prout(_RESERVE, key, 0), "done")
            elif holder != key:
                self._script = (self._prout(_PREEMPT_AND_ABORT, key, holder), "done")
