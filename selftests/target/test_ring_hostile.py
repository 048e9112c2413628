#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""User space that breaks the ring's protocol: the kernel must not follow it anywhere."""

import struct
from functools import partial

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import Context, equal
from ksftlib.wait import Task, until
from tcmulib.rig import Served
from tcmulib.ring import OP_PAD, OP_TMR, Entry, Ring
from tcmulib.scsi import BLOCK, CHECK_CONDITION, GOOD, TEST_UNIT_READY, read10
from tcmulib.suite import Suite

suite = Suite()

#: What the initiator sees while the ring is broken: LOGICAL UNIT COMMUNICATION FAILURE.
UNREACHABLE = (0x2, 0x08, 0x00)


class Victim(Served):
    """A served disk with one READ in the ring, and a look at the kernel's log."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.log = KernelLog(context)
        self.task, self.entry = self.send()

    def send(self) -> tuple[Task, Entry]:
        """Sends a READ; returns its task and its entry."""
        task = self.disk.task_sg(read10(0, 8), data_in=8 * BLOCK)
        return task, self.ring.next()

    def check_broken(self) -> None:
        """The kernel has noticed: it says so, once, and refuses commands."""
        answer = self.disk.task_sg(TEST_UNIT_READY).wait()
        equal((answer.status, answer.sense_triple), (CHECK_CONDITION, UNREACHABLE), "answer")
        lines = [line for line in self.log.lines() if "broken" in line and "ring" in line]
        equal(len(lines), 1, f"messages about it ({lines})")
        self.task.still_blocked(0.05)

    def check_repair(self) -> None:
        """reset_ring ends what was in flight, and the ring works again."""
        self.device.action("reset_ring", 2)
        equal(self.task.wait().status, CHECK_CONDITION, "status of the READ in flight")
        equal((self.ring.head, self.ring.tail), (0, 0), "head and tail")
        self.ring.position = 0
        task, entry = self.send()
        self.ring.complete(entry)
        equal(task.wait().status, GOOD, "status after the repair")

    def check_works(self) -> None:
        """Nothing has happened: the READ and another one complete."""
        self.ring.complete(self.entry)
        equal(self.task.wait().status, GOOD, "status")
        task, entry = self.send()
        self.ring.complete(entry)
        equal(task.wait().status, GOOD, "status of the next one")
        lines = [line for line in self.log.lines() if "broken" in line]
        equal(lines, [], "messages about a broken ring")


def bad_tail(context: Context, tail: int) -> None:
    """`tail` counts from the entry in flight."""
    victim = Victim(context)
    victim.ring.tail = (victim.entry.offset + tail) & 0xFFFFFFFF
    victim.ring.kick()
    victim.check_broken()
    victim.check_repair()


@suite.test("a tail beyond the ring breaks it, and reset_ring repairs it", c_wedges=True)
def tail_beyond(context: Context) -> None:
    bad_tail(context, 1 << 20)


@suite.test("a tail of all ones breaks the ring, and reset_ring repairs it", c_wedges=True)
def tail_huge(context: Context) -> None:
    victim = Victim(context)
    victim.ring.tail = 0xFFFFFFFF
    victim.ring.kick()
    victim.check_broken()
    victim.check_repair()


@suite.test("a tail that is not aligned breaks the ring, and reset_ring repairs it", c_wedges=True)
def tail_unaligned(context: Context) -> None:
    bad_tail(context, 1)


@suite.test("a tail in the middle of an entry breaks the ring", c_wedges=True)
def tail_inside(context: Context) -> None:
    bad_tail(context, 64)


@suite.test("a tail ahead of the head breaks the ring", c_wedges=True)
def tail_ahead(context: Context) -> None:
    bad_tail(context, 4096)


@suite.test("a tail that goes backwards breaks the ring", c_wedges=True)
def tail_backwards(context: Context) -> None:
    bad_tail(context, -128)


@suite.test("an entry overwritten with an empty padding completes as what it was", c_wedges=True)
def empty_padding(context: Context) -> None:
    victim = Victim(context)
    victim.ring.poke(victim.entry.offset, struct.pack("=I", OP_PAD))
    victim.check_works()


@suite.test(
    "an entry overwritten with an empty notification completes as what it was", c_wedges=True
)
def empty_notification(context: Context) -> None:
    victim = Victim(context)
    victim.ring.poke(victim.entry.offset, struct.pack("=I", OP_TMR))
    victim.check_works()


@suite.test("an entry with an unknown operation completes as what it was", c_wedges=True)
def unknown_operation(context: Context) -> None:
    victim = Victim(context)
    victim.ring.poke(victim.entry.offset, struct.pack("=I", victim.entry.length | 7))
    victim.check_works()


@suite.test("an entry with a huge length completes with its own", c_wedges=True)
def huge_length(context: Context) -> None:
    victim = Victim(context)
    victim.ring.poke(victim.entry.offset, struct.pack("=I", 0xFFFFFFF8 | 1))
    victim.check_works()


def head_is(ring: Ring, head: int) -> bool:
    """Whether the mailbox shows this cmd_head."""
    return ring.head == head


@suite.test("a head overwritten by user space moves nothing", c_wedges=True)
def head_overwritten(context: Context) -> None:
    victim = Victim(context)
    before = victim.ring.head
    for value in (victim.ring.cmdr_size - 8, 0xFFFFFFFF, 3):
        victim.ring.head = value
        task = victim.disk.task_sg(read10(8, 8), data_in=8 * BLOCK)
        # With the next entry the kernel writes its own head again.
        end = before + 128
        until(partial(head_is, victim.ring, end), "the kernel's own head in the mailbox")
        equal(victim.ring.at(before).cdb, read10(8, 8), "CDB of the entry at the old head")
        task.still_blocked(0.02)
        victim.ring.position = before = end
    # Everything is answered in order, out of the test's own knowledge of the entries.
    victim.device.action("reset_ring", 2)
    equal(victim.task.wait().status, CHECK_CONDITION, "status of the first READ")


@suite.test("the mailbox's sizes overwritten by user space change nothing")
def mailbox_overwritten(context: Context) -> None:
    victim = Victim(context)
    # version, flags, cmdr_off and cmdr_size
    saved = bytes(victim.ring.map[0:12])
    victim.ring.map[0:12] = b"\xff" * 12
    victim.check_works()
    victim.ring.map[0:12] = saved


@suite.test("an answer for an id that is not in flight breaks the ring")
def unknown_id(context: Context) -> None:
    victim = Victim(context)
    victim.ring.respond(victim.entry, cmd_id=victim.entry.cmd_id + 1000)
    victim.ring.advance(victim.entry)
    victim.check_broken()
    victim.check_repair()


@suite.test("an answer for id 0 breaks the ring")
def id_zero(context: Context) -> None:
    victim = Victim(context)
    victim.ring.respond(victim.entry, cmd_id=0)
    victim.ring.advance(victim.entry)
    victim.check_broken()
    victim.check_repair()


@suite.test("two answers for one command break the ring, and the first one counts")
def answered_twice(context: Context) -> None:
    victim = Victim(context)
    task, entry = victim.send()
    victim.ring.respond(victim.entry)
    victim.ring.respond(entry, cmd_id=victim.entry.cmd_id)
    victim.ring.advance(entry)
    equal(victim.task.wait().status, GOOD, "status of the one that was answered")
    victim.task = task
    victim.check_broken()
    victim.check_repair()


@suite.test("kicks without progress change nothing")
def idle_kicks(context: Context) -> None:
    victim = Victim(context)
    for _ in range(1000):
        victim.ring.kick()
    victim.task.still_blocked(0.05)
    victim.check_works()


@suite.test("reserved uflags and a garbage response do no harm")
def garbage_response(context: Context) -> None:
    victim = Victim(context)
    # All unknown uflags, status CHECK CONDITION, sense data without meaning.
    victim.ring.complete(victim.entry, CHECK_CONDITION, uflags=0xF8, sense=b"\xff" * 96)
    equal(victim.task.wait().status, CHECK_CONDITION, "status")
    task, entry = victim.send()
    victim.ring.complete(entry)
    equal(task.wait().status, GOOD, "status of the next one")


if __name__ == "__main__":
    suite.run()
