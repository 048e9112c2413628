# SPDX-License-Identifier: GPL-2.0
"""Who may be registered, whom a preempt may reach, and what must not be sent."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tcmulib.reserve import CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE, RELEASE, RESERVE  # noqa: E402
from tcmulib.soak.registry import NONE, Order, Registry  # noqa: E402

#: Nexuses, and keys.
A, B, C, D = 1, 2, 3, 4
KEY_A, KEY_B, SHARED = 10, 20, 30


def register(key: int) -> Order:
    """Shorter."""
    return Order(REGISTER_AND_IGNORE, key)


def preempt(key: int) -> Order:
    """Likewise."""
    return Order(PREEMPT_AND_ABORT, key)


class Common(unittest.TestCase):
    """A and B are registered, C and D are not."""

    def setUp(self) -> None:
        self.registry = Registry()
        self.tag = 0
        for nexus in (A, B, C, D):
            self.registry.enter(nexus)
        self.carry_out(A, register(KEY_A))
        self.carry_out(B, register(KEY_B))

    def send(self, nexus: int, order: Order) -> int:
        """An order that may be sent."""
        self.assertTrue(self.registry.may(nexus, order), (nexus, order))
        self.tag += 1
        self.registry.sent(self.tag, nexus, order)
        return self.tag

    def carry_out(self, nexus: int, order: Order) -> None:
        """An order that ends well."""
        self.registry.ended(self.send(nexus, order), True)

    def refuse(self, nexus: int, order: Order) -> None:
        """An order that may not be sent."""
        self.assertFalse(self.registry.may(nexus, order), (nexus, order))


class Keys(Common):
    """Who is registered with what."""

    def test_what_is_known(self) -> None:
        keys = [self.registry.key(nexus) for nexus in (A, B, C)]
        self.assertEqual(keys, [KEY_A, KEY_B, NONE])
        self.assertEqual(self.registry.others(A), [KEY_B])

    def test_what_is_on_its_way_may_be(self) -> None:
        tag = self.send(C, register(SHARED))
        self.assertIsNone(self.registry.key(C))
        self.assertEqual(self.registry.victims(A, preempt(SHARED)), {C})
        self.registry.ended(tag, None)
        self.assertIsNone(self.registry.key(C))
        self.carry_out(C, register(SHARED))
        self.assertEqual(self.registry.key(C), SHARED)

    def test_what_was_refused_is_as_before(self) -> None:
        self.registry.ended(self.send(A, register(SHARED)), False)
        self.assertEqual(self.registry.key(A), KEY_A)

    def test_a_preempt_reaches_all_with_the_key(self) -> None:
        for nexus in (B, C):
            self.carry_out(nexus, register(SHARED))
        self.assertEqual(self.registry.victims(A, preempt(SHARED)), {B, C})
        self.carry_out(A, preempt(SHARED))
        self.assertEqual([self.registry.key(n) for n in (A, B, C)], [KEY_A, NONE, NONE])

    def test_nobody_knows_what_an_aborted_one_did(self) -> None:
        self.registry.ended(self.send(A, preempt(KEY_B)), None)
        self.assertIsNone(self.registry.key(B))
        self.assertEqual(self.registry.victims(C, preempt(KEY_B)), {B})

    def test_clear_and_key_zero_reach_all(self) -> None:
        for order in (Order(CLEAR), preempt(NONE)):
            self.assertEqual(self.registry.victims(A, order), {B})
        self.assertTrue(self.registry.begin(A))
        self.carry_out(A, Order(CLEAR))
        self.assertEqual([self.registry.key(n) for n in (A, B)], [NONE, NONE])

    def test_others_are_not_preempted_by_reserving(self) -> None:
        for action in (RESERVE, RELEASE, REGISTER_AND_IGNORE):
            self.assertEqual(self.registry.victims(A, Order(action, KEY_B)), frozenset())


class Safety(Common):
    """What would lock the machine up."""

    def test_who_has_an_order_outstanding_is_not_preempted(self) -> None:
        tag = self.send(B, Order(RESERVE))
        self.refuse(A, preempt(KEY_B))
        self.refuse(A, Order(PREEMPT, KEY_B))
        self.registry.ended(tag, True)
        self.send(A, preempt(KEY_B))

    def test_who_may_be_preempted_sends_nothing(self) -> None:
        self.send(A, preempt(KEY_B))
        for order in (register(SHARED), Order(RESERVE), Order(RELEASE), preempt(KEY_A)):
            self.refuse(B, order)

    def test_until_it_knows_that_it_was(self) -> None:
        self.send(A, preempt(KEY_B))
        self.registry.lost(B)
        self.refuse(B, register(KEY_B))
        self.carry_out(B, register(SHARED))
        # A second PREEMPT AND ABORT of the same nexus while the first goes on.
        self.send(C, register(SHARED + 1))
        self.registry.ended(self.tag, True)
        self.send(C, preempt(SHARED))

    def test_the_first_one_does_not_take_the_new_key(self) -> None:
        tag = self.send(A, preempt(KEY_B))
        self.registry.lost(B)
        self.carry_out(B, register(SHARED))
        self.registry.ended(tag, True)
        self.assertEqual(self.registry.key(B), SHARED)

    def test_several_preempts_of_others(self) -> None:
        self.carry_out(C, register(SHARED))
        self.carry_out(D, register(SHARED + 1))
        self.send(A, preempt(SHARED))
        self.send(B, preempt(SHARED + 1))

    def test_two_of_one_nexus(self) -> None:
        self.carry_out(C, register(SHARED))
        self.send(A, preempt(SHARED))
        self.send(B, preempt(SHARED))

    def test_nobody_takes_a_key_that_is_being_preempted(self) -> None:
        self.send(A, preempt(KEY_B))
        self.refuse(C, register(KEY_B))

    def test_one_order_at_a_time_of_a_nexus(self) -> None:
        self.send(A, Order(RESERVE))
        self.refuse(A, Order(RELEASE))

    def test_what_must_be_alone(self) -> None:
        for order in (register(NONE), Order(CLEAR), preempt(NONE), preempt(KEY_A)):
            self.refuse(A, order)
        other = self.send(B, Order(RESERVE))
        self.assertFalse(self.registry.begin(A))
        # Nobody comes before it now.
        self.refuse(C, register(SHARED))
        self.registry.ended(other, True)
        self.assertTrue(self.registry.begin(A))
        self.assertFalse(self.registry.begin(B))
        self.carry_out(A, preempt(KEY_A))
        self.assertEqual(self.registry.key(A), KEY_A)
        self.carry_out(A, register(NONE))
        self.registry.leave(A)
        self.carry_out(C, register(SHARED))

    def test_all_are_alone_with_c(self) -> None:
        registry = Registry(one_at_a_time=True)
        registry.enter(A)
        registry.enter(B)
        registry.sent(1, A, register(KEY_A))
        self.assertFalse(registry.may(B, register(KEY_B)))
        registry.ended(1, True)
        self.assertTrue(registry.may(B, register(KEY_B)))


if __name__ == "__main__":
    unittest.main()
