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

from ..iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET
from ..reserve import PREEMPT_AND_ABORT, REGISTER_AND_IGNORE
from ..scsi import GOOD
from .books import UNIT_ATTENTION, Books, Command, End, Kind
from .medium import BLOCKS, SIZE, Slot
from .registry import NONE, Order, Registry
from .scripts import RESERVATION, WAIT, Clerk, Script
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

#: Seconds without commands after a RESERVATION CONFLICT, which comes at once.
_REST = 0.03

#: After one, how often a nexus registers, or changes the reservation if it is registered.
_REGISTERS, _ACTS = 0.5, 0.1

#: How often the commands of a nexus go on while it deals with reservations.
_BUSY = 0.5

#: How often it preempts, too, whom another nexus is preempting.
_FOLLOWS = 0.2

#: Additional sense codes of the unit attention of who has lost its registration: registrations
#: preempted, reservations preempted (by CLEAR).
_LOST = ((UNIT_ATTENTION, 0x2A, 0x05), (UNIT_ATTENTION, 0x2A, 0x03))

#: Nobody is reached.
_NOBODY: "tuple[frozenset[int], frozenset[int]]" = (frozenset(), frozenset())


@dataclass
class Odds:
    """How likely each step is to be something else than a command."""

    abort: float = 0.12
    reset: float = 0.006
    #: Something about reservations, most often a PREEMPT AND ABORT.
    reserve: float = 0.006
    #: An ABORT TASK for a command that is complete.
    late: float = 0.2


class Control(Protocol):
    """What a nexus needs to know of the others."""

    books: Books
    registry: Registry
    odds: Odds
    #: Whether what was given up may still reach the medium.
    expires: bool

    def open_session(self) -> Session:
        """A new session."""

    def may_reset(self) -> bool:
        """Whether a LUN RESET may be sent now."""

    def may_preempt(self, busy: bool) -> bool:
        """Whether a PREEMPT AND ABORT may be sent now, by a nexus with commands if `busy`."""

    def may_be_busy(self) -> bool:
        """Whether one with commands may be sent at all."""

    def reach(self, nexus: int, order: Order) -> "tuple[frozenset[int], frozenset[int]]":
        """Whom a PERSISTENT RESERVE OUT may reach, and whom it does for sure if it is good."""

    def wrong(self, what: str) -> None:
        """Something is not as it must be."""


@dataclass
class _Flight:
    """A command that has not ended, as far as is known."""

    command: Command
    slot: "Slot | None" = None


class Nexus:
    """A place and its session. One that is a `bystander` never registers."""

    def __init__(
        self, place: int, control: Control, chance: random.Random, bystander: bool
    ) -> None:
        self.place = place
        self._control = control
        self._books = control.books
        self._registry = control.registry
        self._chance = chance
        self._bystander = bystander
        self._slots = [Slot(place, number) for number in range(SLOTS)]
        self.logins = 0
        self._log_in()
        self._flights: dict[int, _Flight] = {}
        self._aborts: set[int] = set()
        #: The own LUN RESET.
        self.reset: "int | None" = None
        #: The own PERSISTENT RESERVE OUT, whether it is a PREEMPT AND ABORT, and whether it was sent
        #: with other commands in flight.
        self.reserve: "int | None" = None
        self.preempts = self.busy = False
        #: What is to come, for which nothing new is sent: "act", "register", "follow", "leave", or
        #: nothing.
        self._then = ""
        #: Whether it waits until nothing is in flight.
        self._idle_first = True
        self._quiet_since = 0.0
        #: What is going on about reservations, and the tag of the command that it waits for.
        self._script: "Script | None" = None
        self._waits: "int | None" = None
        #: Whether nothing was in flight when that began. Nothing else is sent until it ends.
        self._began_idle = True
        #: No command is sent before.
        self._rest_until = 0.0
        self._recent: list[int] = []
        self.stopped = False

    def _log_in(self) -> None:
        self.session = self._control.open_session()
        self.logins += 1
        self._registry.enter(self.session.number)
        self._clerk = Clerk(self.session.number, self._registry, self._chance)
        #: Number of the event since which it is registered, unless it was preempted later.
        self._registered = float("inf")

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
        self._recent = [*self._recent[-3:], came.tag]
        self._look_at_registration(command, came)
        self._reserve_ended(command)
        if flight and flight.slot:
            self._slot_came(flight.slot, command, came.data)
        if self._waits == came.tag:
            self._waits = None
            if came.code == GOOD and not self.stopped:
                self._advance(came.data)
            else:
                self._drop_script()

    def _look_at_registration(self, command: Command, came: Came) -> None:
        own = self.session.number
        # One that came after the registration is about nothing before it.
        if came.sense in _LOST and command.sent > self._registered:
            self._registered = float("inf")
            self._registry.lost(own)
            self._wish("register", _REGISTERS, hurry=True)
        elif command.end is End.CONFLICT:
            self._rest_until = time.monotonic() + _REST
            registered = self._registry.key(own) not in (None, NONE)
            self._wish(*(("act", _ACTS) if registered else ("register", _REGISTERS)))

    def _wish(self, what: str, odds: float, hurry: bool = False) -> None:
        """Maybe this is to come, in a `hurry` without waiting for commands in flight."""
        if not self._then and not self._bystander and self._chance.random() < odds:
            self._then = what
            busy = hurry or self._chance.random() < _BUSY
            self._idle_first = not busy or not self._control.may_be_busy()

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
        elif came.tag == self.reset:
            self.reset = None
            # Nothing was sent after it. Who gets an answer all the same was complete before.
            self._aborts.clear()
            for tag in list(self._flights):
                self._ended_silently(tag)

    def _reserve_ended(self, command: Command) -> None:
        """The end of a PERSISTENT RESERVE OUT: the session takes the next request after it."""
        if self.reserve != command.tag:
            return
        self.reserve, self.preempts, self.busy = None, False, False
        done = {End.GOOD: True, End.UNIT_ATTENTION: False, End.CONFLICT: False, End.FULL: False}
        self._registry.ended(command.tag, done.get(command.end))
        if command.end is End.GOOD and self._registry.key(self.session.number):
            self._registered = min(self._registered, command.ended)

    def _ended_silently(self, tag: int) -> None:
        flight = self._flights.pop(tag, None)
        if not flight:
            return
        self._reserve_ended(flight.command)
        if self._waits == tag:
            self._waits = None
            self._drop_script()
        if flight.slot:
            flight.slot.busy = False
            if flight.command.kind is Kind.WRITE and self._control.expires:
                flight.slot.given_up()

    def functions_lost(self, reset: int) -> None:
        """Any ABORT TASK sent before this reset was answered may have been lost, as C does it."""
        for tag in list(self._aborts):
            if self._books.functions[tag].overlaps(self._books.functions[reset]):
                self._aborts.discard(tag)
                # Its command stays where it is: nobody knows.
                self._flights.pop(self._books.functions[tag].about, None)

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
        if self.stopped or self.reset is not None or self._waits is not None:
            return
        if self._script:
            self._advance(None)
            return
        if self._then:
            self._begin_script()
            return
        if self.session.window() < _LEAST_WINDOW and self.session.window() != 1:
            self._then = "leave"
            return
        if self._control.may_be_busy() and self._registry.renewed(self.session.number):
            self._wish("follow", _FOLLOWS, hurry=True)
        odds, number = self._control.odds, self._chance.random()
        if number < odds.abort:
            self._abort()
        elif number < odds.abort + odds.reset:
            if self._control.may_reset():
                self._lun_reset()
        elif number < odds.abort + odds.reset + odds.reserve:
            self._wish("act", 1)
        elif len(self._flights) < _DEPTH and time.monotonic() > self._rest_until:
            self._issue()

    def _send(
        self, kind: Kind, cdb: bytes, slot: "Slot | None" = None,
        reach: "tuple[frozenset[int], frozenset[int]]" = _NOBODY, **transfer: object,
    ) -> int:  # fmt: skip
        now = time.monotonic()
        tag = self.session.command(cdb, **transfer)  # type: ignore[arg-type]
        command = self._books.command(tag, self.session.number, kind, cdb, now, *reach)
        self._flights[tag] = _Flight(command, slot)
        return tag

    def _issue(self) -> None:
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

    # Reservations.

    def _begin_script(self) -> None:
        """Begins what is to come, if it may begin now."""
        waits = self._idle_first or self._then == "leave"
        if self._aborts or (waits and self._flights):
            return
        self._began_idle = waits
        if self._then == "leave":
            now = time.monotonic()
            self._quiet_since = self._quiet_since or now
            if now - self._quiet_since < _QUIET:
                return
            self._script = self._clerk.leave()
        else:
            clerk = self._clerk
            scripts = {"act": clerk.act, "register": clerk.register, "follow": clerk.follow}
            self._script = scripts[self._then]()
            self._then = ""
        self._advance(None)

    def _advance(self, data: "bytes | None") -> None:
        """Goes on with the script, with what the last command gave."""
        assert self._script
        try:
            want = next(self._script) if data is None else self._script.send(data)
        except StopIteration:
            self._script = None
            if self._then == "leave":
                self._leave()
            return
        if want is RESERVATION:
            cdb = bytes([0x5E, 1, 0, 0, 0, 0, 0, 0, 24, 0])
            self._waits = self._send(Kind.RESERVE, cdb, read=24)
        elif isinstance(want, Order):
            self._send_order(want)
        else:
            assert want is WAIT

    def _drop_script(self) -> None:
        if self._script:
            self._script.close()
            self._script = None

    def _send_order(self, order: Order) -> None:
        """Sends a PERSISTENT RESERVE OUT, or gives the script up."""
        own = self.session.number
        aborts = order.action == PREEMPT_AND_ABORT
        # A session that has just become idle may have to acknowledge once more.
        busy = not self._began_idle
        allowed = self._control.may_preempt(busy) if aborts else True
        if not allowed or not self._registry.may(own, order):
            self._drop_script()
            return
        key, reach = self._registry.key(own) or NONE, self._control.reach(own, order)
        cdb = bytes([0x5F, order.action, order.kind, 0, 0, 0, 0, 0, 24, 0])
        parameters = key.to_bytes(8, "big") + order.key.to_bytes(8, "big") + bytes(8)
        kind = Kind.PREEMPT if aborts else Kind.RESERVE
        tag = self._send(kind, cdb, reach=reach, write=parameters)
        self._registry.sent(tag, own, order)
        if order.action == REGISTER_AND_IGNORE:
            self._registered = float("inf")
        self.reserve, self.preempts, self.busy = tag, aborts, busy
        self._waits = tag

    def _leave(self) -> None:
        """Another session takes the place of this one, which is not registered."""
        self._then = ""
        self._recent.clear()
        self.session.log_out()
        self._registry.leave(self.session.number)
        self._log_in()
