#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which commands PREEMPT AND ABORT aborts (SPC-4 5.12.11.2.6): all of the nexuses that it preempts.

Over iSCSI, where a PREEMPT AND ABORT does not run in a work item that C's then waits for.
"""

from ksftlib.ktap import Context, equal
from tcmulib.exported import ExportedTcmu, register, reserve
from tcmulib.iscsi_raw import Answer, RawSession
from tcmulib.reserve import (
    EXCLUSIVE_REGISTRANTS_ONLY,
    PREEMPT_AND_ABORT,
    REGISTER,
    RESERVE,
    WRITE_ALL_REGISTRANTS,
    WRITE_EXCLUSIVE,
    WRITE_REGISTRANTS_ONLY,
)
from tcmulib.scsi import BLOCK, GOOD, RESERVATION_CONFLICT, TASK_ABORTED, write10
from tcmulib.suite import Suite

suite = Suite()


class Fence:
    """Sessions with keys (0 is not registered), a reservation of the first, a READ of each held."""

    def __init__(
        self, context: Context, kind: int, *keys: int, holding: "list[int] | None" = None
    ) -> None:
        self.kind = kind
        self.exported = ExportedTcmu(context, persistent=True)
        self.sessions = [self.exported.session() for _ in keys]
        for key, session in zip(keys, self.sessions, strict=True):
            if key:
                reserve(session, REGISTER, 0, key)
        reserve(self.sessions[0], RESERVE, keys[0], kind=kind)
        #: Tag of the READ of each session that has one, and its id on the ring.
        self.tags: dict[int, int] = {}
        self.ids: dict[int, int] = {}
        for index in range(len(keys)) if holding is None else holding:
            (self.tags[index],) = self.exported.hold(self.sessions[index])
            known = set(self.ids.values())
            (self.ids[index],) = [one for one in self.exported.daemon.held() if one not in known]

    def preempt(self, by: int, key: int, action_key: int, aborts: list[int]) -> None:
        """PREEMPT AND ABORT of a session; it aborts the READs of `aborts` and no other."""
        reserve(self.sessions[by], PREEMPT_AND_ABORT, key, action_key, self.kind)
        told = [("LUN_RESET_PRO", sorted(self.ids[index] for index in aborts))]
        equal(self.exported.daemon.tmrs(), told, "notifications")
        for index in aborts:
            answer = self.sessions[index].wait(self.tags[index])
            equal(answer, Answer(TASK_ABORTED), f"answer to the READ of session {index}")
        spared = [index for index in self.tags if index not in aborts]
        for index in spared:
            self.sessions[index].silent(self.tags[index], 0.2)
        self.exported.daemon.let_go()
        for index in spared:
            code = self.sessions[index].wait(self.tags[index]).code
            equal(code, GOOD, f"status of the READ of session {index}")


@suite.test("a preempted nexus that does not hold the reservation, registrants only")
def non_holder(context: Context) -> None:
    Fence(context, EXCLUSIVE_REGISTRANTS_ONLY, 1, 2, 3).preempt(0, 1, 2, aborts=[1])


@suite.test("a preempted nexus that does not hold the reservation, write exclusive")
def non_holder_write(context: Context) -> None:
    Fence(context, WRITE_EXCLUSIVE, 1, 2, 3, 0).preempt(0, 1, 2, aborts=[1])


@suite.test("preempting the holder spares the other registrants", c_wedges=True)
def holder(context: Context) -> None:
    # C aborts the command of the preempting session, too, and waits for itself.
    Fence(context, WRITE_REGISTRANTS_ONLY, 1, 2, 3, 0).preempt(1, 2, 1, aborts=[0])


@suite.test("all nexuses with the preempted key, and no other")
def same_key(context: Context) -> None:
    Fence(context, WRITE_REGISTRANTS_ONLY, 1, 2, 2, 3).preempt(0, 1, 2, aborts=[1, 2])


@suite.test("all registrants hold it, key 0 reaches all but the preempting nexus", c_wedges=True)
def all_registrants(context: Context) -> None:
    # As above.
    Fence(context, WRITE_ALL_REGISTRANTS, 1, 2, 3, 0).preempt(0, 1, 0, aborts=[1, 2])


@suite.test("all registrants hold it, a key reaches its nexus")
def one_of_all_registrants(context: Context) -> None:
    Fence(context, WRITE_ALL_REGISTRANTS, 1, 2, 3, 0).preempt(0, 1, 2, aborts=[1])


@suite.test("two sessions of one initiator are two nexuses")
def two_sessions(context: Context) -> None:
    # Their session identifiers differ in the last two of six bytes only.
    exported = ExportedTcmu(context, persistent=True)
    one = exported.session()
    two = exported.session(like=one)
    register(one, two)
    (spared,) = exported.hold(one)
    known = exported.daemon.held()
    (preempted,) = exported.hold(two)
    (told,) = [number for number in exported.daemon.held() if number not in known]
    reserve(one, PREEMPT_AND_ABORT, 1, 2)
    equal(exported.daemon.tmrs(), [("LUN_RESET_PRO", [told])], "notifications")
    equal(two.wait(preempted), Answer(TASK_ABORTED), "answer at the preempted session")
    one.silent(spared, 0.2)
    exported.daemon.let_go()
    equal(one.wait(spared).code, GOOD, "status at the other session")


def promise(session: RawSession) -> int:
    """A WRITE whose data the target has asked for, and which do not come; returns its tag."""
    tag = session.command(write10(0, 128), promise=128 * BLOCK)
    session.wait_asked(tag)
    return tag


@suite.test("a write of a preempted nexus whose data never come holds nobody up")
def no_data(context: Context) -> None:
    fence = Fence(context, EXCLUSIVE_REGISTRANTS_ONLY, 1, 2, holding=[])
    dead = fence.sessions[1]
    tag = promise(dead)
    reserve(fence.sessions[0], PREEMPT_AND_ABORT, 1, 2)
    told = fence.exported.daemon.wait_event("tmr")
    equal((told["type_name"], told["ids"]), ("LUN_RESET_PRO", []), "notification")
    # It could not have ended: the target would have given up waiting for its data much later.
    dead.silent(tag, 0.0)
    # And nothing of the nexus gets through any more.
    answer = dead.wait(dead.command(write10(0, 1), write=bytes(BLOCK)))
    if answer.code != RESERVATION_CONFLICT:
        # Its unit attention comes first.
        answer = dead.wait(dead.command(write10(0, 1), write=bytes(BLOCK)))
    equal(answer.code, RESERVATION_CONFLICT, "status of another write")
    dead.drop()


if __name__ == "__main__":
    suite.run()
