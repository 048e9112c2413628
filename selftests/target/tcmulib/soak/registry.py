# SPDX-License-Identifier: GPL-2.0
"""Who may be registered with which key, as far as requests and answers tell.

It answers two questions. Whom may a PREEMPT AND ABORT reach? The books need that. And which
PERSISTENT RESERVE OUT may be sent now? target_core_pr.c looks for the registrations that it removes
with `dev_reservation_lock` held, and spins until nobody uses them. Who executes a PERSISTENT RESERVE
OUT uses its own registration, and may be waiting for that lock, or for commands. So a nexus that has
one outstanding is not preempted, and a nexus that may be preempted sends none. For the same file's
sake what removes registrations outside of that lock is done alone, and so is what would remove the
sender's own registration if the reservation were not what it was a moment ago.
"""

from dataclasses import dataclass, field

from ..reserve import CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE

#: A nexus that is not registered has this for a key.
NONE = 0


@dataclass(frozen=True)
class Order:
    """A PERSISTENT RESERVE OUT. `key` is the one to register, or the one to preempt."""

    action: int
    key: int = NONE
    kind: int = 0

    @property
    def preempts(self) -> bool:
        """Whether it removes the registrations with a key."""
        return self.action in (PREEMPT, PREEMPT_AND_ABORT)


@dataclass
class _Outstanding:
    """An order that was sent."""

    nexus: int
    order: Order
    victims: frozenset[int]
    #: What the sender may have been registered with before.
    before: set[int] = field(default_factory=set)


class Registry:
    """All nexuses, by number. With `one_at_a_time` each order has to be the only one."""

    def __init__(self, one_at_a_time: bool = False) -> None:
        self._one_at_a_time = one_at_a_time
        #: Keys that a nexus may be registered with.
        self._keys: dict[int, set[int]] = {}
        self._outstanding: dict[int, _Outstanding] = {}
        #: Who alone may send orders.
        self._alone: "int | None" = None

    # Nexuses.

    def enter(self, nexus: int) -> None:
        """A new one, which is not registered."""
        self._keys[nexus] = {NONE}

    def leave(self, nexus: int) -> None:
        """It has gone."""
        del self._keys[nexus]
        self.finish(nexus)

    def key(self, nexus: int) -> "int | None":
        """What it is registered with for sure, `NONE` if it is not; `None` if that is not known."""
        keys = self._keys[nexus]
        return next(iter(keys)) if len(keys) == 1 else None

    def others(self, nexus: int) -> list[int]:
        """Keys that others may have and this one has not, in order."""
        found = {key for other, keys in self._keys.items() if other != nexus for key in keys}
        return sorted(found - self._keys[nexus] - {NONE})

    def renewed(self, nexus: int) -> list[int]:
        """Keys of others that have registered again while who has preempted them is not done."""
        found = (self.key(n) for n in self._keys if n != nexus and self.threatened(n))
        return sorted({key for key in found if key} - self._keys[nexus])

    def lost(self, nexus: int) -> None:
        """Its registration has been removed for sure."""
        self._keys[nexus] = {NONE}

    # Being alone.

    def begin(self, nexus: int) -> bool:
        """Whether from now on no other one sends orders, or has one outstanding, until `finish`."""
        if self._alone is None:
            self._alone = nexus
        return self._alone == nexus and not any(o.nexus != nexus for o in self._outstanding.values())

    def finish(self, nexus: int) -> None:
        """Others may send orders again."""
        if self._alone == nexus:
            self._alone = None

    # Orders.

    def victims(self, nexus: int, order: Order) -> frozenset[int]:
        """Nexuses other than the sender whose registration the order may remove."""
        if order.action == CLEAR or (order.preempts and order.key == NONE):
            return frozenset(n for n, keys in self._keys.items() if n != nexus and keys != {NONE})
        if not order.preempts:
            return frozenset()
        return frozenset(n for n, keys in self._keys.items() if n != nexus and order.key in keys)

    def _needs_to_be_alone(self, nexus: int, order: Order) -> bool:
        removes_own = order.action in (CLEAR, REGISTER_AND_IGNORE) and order.key == NONE
        unsure = order.preempts and (order.key == NONE or order.key in self._keys[nexus])
        return removes_own or unsure

    def may(self, nexus: int, order: Order) -> bool:
        """Whether the order may be sent now."""
        alone = self._alone == nexus and self.begin(nexus)
        if self._alone not in (None, nexus) or self.has_order(nexus):
            return False
        if self._one_at_a_time and self._outstanding:
            return False
        if self._needs_to_be_alone(nexus, order) and not alone:
            return False
        registers = order.action == REGISTER_AND_IGNORE
        for other in self._outstanding.values():
            if nexus in other.victims and not (registers and self._keys[nexus] == {NONE}):
                return False
            # A registration that another one may remove at once.
            if registers and other.order.preempts and other.order.key == order.key:
                return False
        return not any(self.has_order(victim) for victim in self.victims(nexus, order))

    def has_order(self, nexus: int) -> bool:
        """Whether it has one outstanding."""
        return any(o.nexus == nexus for o in self._outstanding.values())

    def threatened(self, nexus: int) -> bool:
        """Whether an outstanding order of another one may remove its registration."""
        return any(nexus in o.victims for o in self._outstanding.values())

    def sent(self, tag: int, nexus: int, order: Order) -> None:
        """An order that may be sent was sent."""
        victims, before = self.victims(nexus, order), set(self._keys[nexus])
        self._outstanding[tag] = _Outstanding(nexus, order, victims, before)
        if order.action == REGISTER_AND_IGNORE:
            self._keys[nexus].add(order.key)
        elif order.action == CLEAR:
            self._keys[nexus].add(NONE)
        for victim in victims:
            self._keys[victim].add(NONE)

    def ended(self, tag: int, done: "bool | None") -> None:
        """An order has ended; `done` says whether it was carried out, `None` if nobody knows."""
        entry = self._outstanding.pop(tag)
        order, own = entry.order, self._keys[entry.nexus]
        if order.action == REGISTER_AND_IGNORE and done is not None:
            own.clear()
            own.update({order.key} if done else entry.before)
        if order.action == CLEAR and done:
            own.clear()
            own.add(NONE)
        if not done:
            return
        for victim in entry.victims & self._keys.keys():
            keys = self._keys[victim]
            # One that knew better has registered again with another key.
            keys.difference_update({order.key} if order.preempts and order.key else set(keys))
            if not keys:
                keys.add(NONE)
