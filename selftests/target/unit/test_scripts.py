# SPDX-License-Identifier: GPL-2.0
"""Scripts of many nexuses at once against a model of target_core_pr.c."""

import random
import sys
import unittest
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tcmulib.reserve import CLEAR, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE, RELEASE, RESERVE  # noqa: E402
from tcmulib.soak.registry import NONE, Order, Registry  # noqa: E402
from tcmulib.soak.scripts import RESERVATION, Clerk, Script  # noqa: E402

NEXUSES = range(5)

ALL_REGISTRANTS = (7, 8)


class Core:
    """Registrations and the reservation, as the kernel keeps them."""

    def __init__(self) -> None:
        self.keys: dict[int, int] = {}
        self.holder: "int | None" = None
        self.kind = 0
        #: Who has a unit attention.
        self.attention: set[int] = set()

    def reservation(self) -> bytes:
        """What READ RESERVATION says."""
        if self.holder is None:
            return bytes(8)
        key = 0 if self.kind in ALL_REGISTRANTS else self.keys[self.holder]
        return bytes(8) + key.to_bytes(8, "big") + bytes(5) + bytes([self.kind, 0, 0])

    def _take(self, nexuses: set[int]) -> None:
        for nexus in nexuses:
            del self.keys[nexus]
        if self.holder in nexuses:
            self.holder, self.kind = None, 0
        self.attention |= nexuses

    def execute(self, nexus: int, own: int, order: Order) -> "tuple[bool, set[int]]":
        """Whether it is good, and whose registrations it removes. Raises at what does harm."""
        all_registrants = self.kind in ALL_REGISTRANTS
        if order.action == REGISTER_AND_IGNORE:
            if order.key:
                self.keys[nexus] = order.key
            elif nexus in self.keys:
                kind, was_holder = self.kind, self.holder == nexus
                self._take({nexus})
                self.attention.discard(nexus)
                if was_holder and kind in ALL_REGISTRANTS and self.keys:
                    self.holder, self.kind = next(iter(self.keys)), kind
            return True, set()
        assert nexus in self.keys, f"{order} of {nexus}, which is not registered"
        if own != self.keys[nexus]:
            return False, set()
        if order.action == RESERVE:
            if self.holder is not None:
                return self.holder == nexus and self.kind == order.kind, set()
            self.holder, self.kind = nexus, order.kind
            return True, set()
        if order.action == RELEASE:
            if self.holder is not None and (all_registrants or self.holder == nexus):
                if self.kind != order.kind:
                    return False, set()
                self.holder, self.kind = None, 0
            return True, set()
        if order.action == CLEAR:
            removed = set(self.keys) - {nexus}
            self._take(set(self.keys))
            self.attention.discard(nexus)
            return True, removed
        return self._preempt(nexus, order, all_registrants)

    def _preempt(self, nexus: int, order: Order, all_registrants: bool) -> "tuple[bool, set[int]]":
        assert order.key or all_registrants, "key 0: CHECK CONDITION"
        assert order.key or order.action == PREEMPT_AND_ABORT, "the holder's registration is used"
        has_key = {n for n, key in self.keys.items() if order.key in (NONE, key)}
        of_holder = self.holder is not None and self.keys[self.holder] == order.key
        if not of_holder and not all_registrants:
            assert nexus not in has_key, "its own registration is removed"
        removed = has_key - {nexus}
        if not removed and not (of_holder or not order.key):
            return False, set()
        self._take(removed)
        if of_holder or not order.key:
            self.holder, self.kind = nexus, order.kind
        return True, removed


@dataclass
class Sent:
    """An order on its way. It is carried out at some time, and answered at a later one."""

    tag: int
    order: Order
    own: int
    victims: frozenset[int]
    sure: frozenset[int]
    executed: bool = False
    done: "bool | None" = None


class Model:
    """Nexuses, each with a script, in an order that chance decides."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.core, self.registry = Core(), Registry()
        self.scripts: dict[int, "Script | None"] = {}
        self.sent: dict[int, Sent] = {}
        #: Whether a nexus was told that it is registered, and nothing else since.
        self.knows: dict[int, bool] = {}
        self.tag = 0
        self.count: Counter[str] = Counter()
        for nexus in NEXUSES:
            self.registry.enter(nexus)
            self.scripts[nexus], self.knows[nexus] = None, False

    def step(self) -> None:
        """Something happens to somebody."""
        nexus = self.chance.choice(NEXUSES)
        sent, script = self.sent.get(nexus), self.scripts[nexus]
        if sent and not sent.executed:
            self._execute(nexus, sent)
        elif sent:
            self._answer(nexus, sent)
        elif nexus in self.core.attention and self.chance.random() < 0.3:
            self._attention(nexus)
        elif script:
            self._advance(nexus, script, None)
        else:
            clerk = Clerk(nexus, self.registry, self.chance)
            makes = (clerk.act, clerk.register, clerk.follow, clerk.leave)
            make = self.chance.choices(makes, (8, 3, 3, 1))[0]
            self.scripts[nexus] = make()
        for other in NEXUSES:
            self._is_possible(other)

    def _is_possible(self, nexus: int) -> None:
        key = self.core.keys.get(nexus, NONE)
        known = self.registry.key(nexus)
        assert known in (None, key), f"{nexus} has {key}, not {known}"
        if key:
            assert nexus in self.registry.victims(-1, Order(PREEMPT_AND_ABORT, key))

    def _attention(self, nexus: int) -> None:
        self.core.attention.discard(nexus)
        if self.knows[nexus]:
            self.knows[nexus] = False
            self.registry.lost(nexus)
            self.count["lost"] += 1

    def _advance(self, nexus: int, script: Script, data: "bytes | None") -> None:
        try:
            want = next(script) if data is None else script.send(data)
        except StopIteration:
            self.scripts[nexus] = None
            self.registry.finish(nexus)
            return
        if want is RESERVATION:
            self._advance(nexus, script, self.core.reservation())
        elif isinstance(want, Order) and not self.registry.may(nexus, want):
            self._drop(nexus)
        elif isinstance(want, Order):
            self._send(nexus, want)

    def _drop(self, nexus: int) -> None:
        script = self.scripts[nexus]
        assert script
        script.close()
        self.scripts[nexus] = None
        self.registry.finish(nexus)

    def _send(self, nexus: int, order: Order) -> None:
        self.tag += 1
        victims = self.registry.victims(nexus, order)
        sure = {
            n for n in victims
            if self.registry.key(n) is not None and not self.registry.threatened(n)
        }  # fmt: skip
        own = self.registry.key(nexus) or NONE
        self.sent[nexus] = Sent(self.tag, order, own, victims, frozenset(sure))
        self.registry.sent(self.tag, nexus, order)
        if order.action == REGISTER_AND_IGNORE:
            self.knows[nexus] = False

    def _execute(self, nexus: int, sent: Sent) -> None:
        sent.executed = True
        if nexus in self.core.attention:
            self.core.attention.discard(nexus)
            sent.done = False
            return
        aborted = self.chance.random() < 0.1
        if aborted and self.chance.random() < 0.5:
            return
        done, removed = self.core.execute(nexus, sent.own, sent.order)
        sent.done = None if aborted else done
        assert removed <= sent.victims, f"{sent} removes {removed}"
        # The machine would be locked up.
        assert not removed & self.sent.keys(), f"{removed} are preempted in orders of their own"
        others = [s for s in self.sent.values() if s is not sent]
        if done:
            # What no other one names at the same time.
            named = {n for s in others for n in s.victims}
            assert sent.sure - named <= removed, f"{sent} removes {removed}"
            self.count["removed"] += len(removed)
            self.count["at once"] += sent.order.preempts and any(s.order.preempts for s in others)
            self.count["of one"] += bool(removed & named)
            self.count["shared"] += sent.order.key != NONE and len(removed) > 1

    def _answer(self, nexus: int, sent: Sent) -> None:
        del self.sent[nexus]
        self.registry.ended(sent.tag, sent.done)
        self.count[f"action {sent.order.action}, {sent.done}"] += 1
        script = self.scripts[nexus]
        assert script
        if sent.done:
            registers = sent.order.action == REGISTER_AND_IGNORE and sent.order.key != NONE
            self.knows[nexus] = registers or self.knows[nexus]
            self._advance(nexus, script, bytes(1))
        else:
            self._drop(nexus)


class Scripts(unittest.TestCase):
    """All of them together."""

    def test_nothing_does_harm_and_all_happens(self) -> None:
        count: Counter[str] = Counter()
        for seed in range(60):
            model = Model(seed)
            for number in range(3000):
                try:
                    model.step()
                except AssertionError as error:
                    raise AssertionError(f"seed {seed}, step {number}: {error}") from error
            count += model.count
        for what in ("removed", "at once", "of one", "shared", "lost"):
            self.assertGreater(count[what], 20, what)
        for action in range(1, 7):
            self.assertGreater(count[f"action {action}, True"], 50, action)


if __name__ == "__main__":
    unittest.main()
