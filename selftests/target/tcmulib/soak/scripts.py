# SPDX-License-Identifier: GPL-2.0
"""What a nexus does about reservations, step by step.

A script is a generator. It yields what is to be sent next, and is resumed with the answer if that
is good; after any other answer it is closed. It yields `WAIT` to be asked again later.
"""

import random
from collections.abc import Generator
from enum import Enum

from ..reserve import (
    CLEAR,
    EXCLUSIVE_ACCESS,
    EXCLUSIVE_ALL_REGISTRANTS,
    EXCLUSIVE_REGISTRANTS_ONLY,
    PREEMPT,
    PREEMPT_AND_ABORT,
    REGISTER_AND_IGNORE,
    RELEASE,
    RESERVE,
    WRITE_ALL_REGISTRANTS,
    WRITE_EXCLUSIVE,
    WRITE_REGISTRANTS_ONLY,
)
from .registry import NONE, Order, Registry


class Ask(Enum):
    """What a script wants beside orders."""

    WAIT = "nothing now"
    RESERVATION = "PERSISTENT RESERVE IN, READ RESERVATION"


WAIT, RESERVATION = Ask.WAIT, Ask.RESERVATION

#: It is sent parameter data, if there are any.
Script = Generator["Ask | Order", bytes, None]

#: Reservation types and how often each is chosen. Where others may not even read, little is in flight.
_TYPES = {
    WRITE_EXCLUSIVE: 3, EXCLUSIVE_ACCESS: 2, WRITE_REGISTRANTS_ONLY: 4,
    EXCLUSIVE_REGISTRANTS_ONLY: 4, WRITE_ALL_REGISTRANTS: 4, EXCLUSIVE_ALL_REGISTRANTS: 4,
}  # fmt: skip

_ALL_REGISTRANTS = (WRITE_ALL_REGISTRANTS, EXCLUSIVE_ALL_REGISTRANTS)

#: Keys that more than one nexus takes, and how often one is taken.
_SHARED, _SHARES = (0x51, 0x52), 0.35

#: How often a nexus sees to it that nobody else changes anything meanwhile.
_ALONE = 0.25

#: How often a registered nexus takes another key first.
_CHANGES = 0.1


class Clerk:
    """Writes the scripts of one nexus, which is number `number` in the registry."""

    def __init__(self, number: int, registry: Registry, chance: random.Random) -> None:
        self._number = number
        self._registry = registry
        self._chance = chance
        self._keys = 0

    def _new_key(self) -> int:
        if self._chance.random() < _SHARES:
            return self._chance.choice(_SHARED)
        self._keys += 1
        return self._number << 16 | self._keys

    def _kind(self) -> int:
        return self._chance.choices(list(_TYPES), list(_TYPES.values()))[0]

    def register(self) -> Script:
        """Becomes a registrant."""
        yield Order(REGISTER_AND_IGNORE, self._new_key())

    def act(self) -> Script:
        """Becomes a registrant, and changes the reservation or preempts somebody."""
        alone = self._chance.random() < _ALONE
        try:
            while alone and not self._registry.begin(self._number):
                yield WAIT
            if not self._registry.key(self._number) or self._chance.random() < _CHANGES:
                yield Order(REGISTER_AND_IGNORE, self._new_key())
            data = yield RESERVATION
            choice = self._choose(data, alone)
            if choice:
                yield choice
        finally:
            self._registry.finish(self._number)

    def follow(self) -> Script:
        """Preempts somebody whom another one still is preempting."""
        keys = self._registry.renewed(self._number)
        if keys and self._registry.key(self._number):
            yield Order(PREEMPT_AND_ABORT, self._chance.choice(keys), self._kind())

    def leave(self) -> Script:
        """Unregisters. Alone: whoever goes on with the registration must have ended before."""
        while not self._registry.begin(self._number):
            yield WAIT
        if self._registry.key(self._number) != NONE:
            yield Order(REGISTER_AND_IGNORE, NONE)

    def _choose(self, data: bytes, alone: bool) -> "Order | None":
        """Something that is possible with this registration and the reservation in `data`.

        Nobody has changed the reservation since it was read if this nexus is alone.
        """
        kind = data[21] if len(data) > 21 else 0
        holder = int.from_bytes(data[8:16], "big")
        own, others = self._registry.key(self._number), self._registry.others(self._number)
        if not own:
            return None
        choices: dict[Order, float] = {}
        if not kind:
            choices[Order(RESERVE, kind=self._kind())] = 3
        elif kind in _ALL_REGISTRANTS or holder == own:
            choices[Order(RELEASE, kind=kind)] = 2
        others = [
            key for key in others
            if self._registry.may(self._number, Order(PREEMPT_AND_ABORT, key))
        ]  # fmt: skip
        if others:
            # The holder, or anybody.
            known = holder in others and self._chance.randrange(2) == 0
            victim = holder if known else self._chance.choice(others)
            choices[Order(PREEMPT_AND_ABORT, victim, self._kind())] = 5
            choices[Order(PREEMPT, victim, self._kind())] = 1
        if alone:
            choices[Order(CLEAR)] = 0.5
            if kind in _ALL_REGISTRANTS:
                choices[Order(PREEMPT_AND_ABORT, NONE, self._kind())] = 3
            elif kind and holder == own:
                choices[Order(PREEMPT_AND_ABORT, own, self._kind())] = 3
        if not choices:
            return None
        return self._chance.choices(list(choices), list(choices.values()))[0]
