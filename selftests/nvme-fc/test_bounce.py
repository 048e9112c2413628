#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Ports that come and go under I/O: the LLDD is told exactly once that one is deleted."""

import time

from ksftlib.ktap import Context, diag, equal
from nvmelib.bounce import Bounces, LocalBounces
from nvmelib.fcloop import LateFcloop, answering
from nvmelib.host import Options
from nvmelib.load import Load
from nvmelib.rig import Rig
from nvmelib.suite import Suite

suite = Suite()

#: How often a port bounces at least, at most, and the seconds after which there is no other one.
LEAST, MOST, ENOUGH = 20, 300, 25.0

#: Bounces with a wider window, and the milliseconds by which it is.
WIDENED, WINDOW = 5, 60


@suite.test(f"{LEAST} to {MOST} bounces of a remote port under I/O", limit=150)
def remote(context: Context) -> None:
    rig = Rig(context, fabric=answering(context))
    bounces = Bounces(context, rig)
    load = Load(context, rig.disk(), 8, writes=5)
    load.progress()
    start = time.monotonic()
    while bounces.done < LEAST or (bounces.done < MOST and time.monotonic() - start < ENOUGH):
        bounces.bounce()
        load.progress()
    totals = load.stop()
    diag(f"{bounces}; {totals}")
    bounces.check()
    equal(totals.errors, 0, "errors")


@suite.test("bounces of a remote port with nothing to do", limit=90)
def idle(context: Context) -> None:
    rig = Rig(context, fabric=answering(context))
    bounces = Bounces(context, rig)
    for _ in range(LEAST):
        bounces.bounce()
    bounces.check()


@suite.test("bounces of a remote port without a controller", limit=90)
def unused(context: Context) -> None:
    rig = Rig(context, fabric=answering(context))
    rig.controller.disconnect()
    bounces = Bounces(context, rig)
    for _ in range(LEAST):
        bounces.bounce(live=False)
    bounces.check()


@suite.test("all ports go and come back under I/O", limit=150)
def local(context: Context) -> None:
    rig = Rig(context, fabric=answering(context))
    bounces = LocalBounces(context, rig)
    load = Load(context, rig.disk(), 8, writes=5)
    for _ in range(LEAST):
        load.progress()
        bounces.bounce()
    load.progress()
    totals = load.stop()
    diag(f"{bounces}; {totals}")
    bounces.check()
    equal(totals.errors, 0, "errors")


@suite.test("a remote port that is deleted while an LS is aborted, which takes time", limit=120)
def widened(context: Context) -> None:
    # The association before left an LS unanswered: it is aborted when the port is deleted, and
    # until that returns the controller's association has come to its end.
    fabric = LateFcloop(context, hold_disconnects=1, ls_abort_ms=WINDOW)
    rig = Rig(context, Options(reconnect_delay=1), fabric)
    # Before the driver goes, all that it holds has to be over.
    context.defer(lambda: fabric.set(hold_disconnects=0))
    bounces = Bounces(context, rig)
    for number in range(1, WIDENED + 1):
        before = rig.controller.resets()
        rig.controller.reset()
        rig.controller.wait_resets(before + 1)
        rig.controller.wait_live()
        aborted = fabric.count("aborted_ls")
        bounces.bounce()
        assert fabric.count("aborted_ls") > aborted, f"bounce {number}: no LS was aborted"
    diag(f"{bounces}; {fabric.counts()}")
    bounces.check()


if __name__ == "__main__":
    suite.run()
