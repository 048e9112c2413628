#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A port that comes back in time: controllers are live again at once."""

import time

from ksftlib.ktap import Context, diag, equal
from nvmelib.fcloop import answering
from nvmelib.host import Options
from nvmelib.load import Load, check, fill
from nvmelib.rig import Rig
from nvmelib.suite import Suite

suite = Suite()

#: Seconds between two attempts to connect.
DELAY = 20

#: Seconds that the port is away: the first attempt has failed then.
AWAY = 4.0

#: Seconds from the port's registration until the controller connects, at most; and what connecting
#: may take then, as a multiple of what a reset takes on this machine. Far less than is left of DELAY.
LIMIT, TIMES = 0.5, 4


def reset(rig: Rig) -> float:
    """Seconds that a reset takes: the longer one of two."""
    took = []
    for number in (1, 2):
        start = time.monotonic()
        rig.controller.reset()
        rig.controller.wait_resets(number)
        rig.controller.wait_live()
        took.append(time.monotonic() - start)
    return max(took)


def resume(rig: Rig) -> float:
    """The remote port goes, and comes back; seconds until the controller is live."""
    rig.fabric.remote.delete()
    rig.controller.wait_state("connecting")
    time.sleep(AWAY)
    equal(rig.controller.state(), "connecting", "state while the port is away")
    start = time.monotonic()
    rig.fabric.remote.add()
    rig.controller.wait_live(DELAY + 10)
    return time.monotonic() - start


@suite.test("a controller is live again as soon as its port is back", limit=60)
def at_once(context: Context) -> None:
    rig = Rig(context, Options(reconnect_delay=DELAY), answering(context))
    fill(rig.disk(), 64)
    allowed = min(LIMIT + TIMES * reset(rig), (DELAY - AWAY) / 2)
    took = resume(rig)
    diag(f"live {took:.2f} s after the port was back, {allowed:.2f} s allowed")
    check(rig.disk(), 64)
    assert took <= allowed, f"it took {took:.2f} s, more than {allowed:.2f} s"


@suite.test("I/O waits while the port is away, and goes on without errors", limit=90)
def under_io(context: Context) -> None:
    rig = Rig(context, Options(reconnect_delay=DELAY), answering(context))
    load = Load(context, rig.disk(), 8, writes=5)
    load.progress()
    took = resume(rig)
    load.progress()
    totals = load.stop()
    diag(f"live after {took:.2f} s; {totals}")
    equal(totals.errors, 0, "errors")
    assert totals.longest >= AWAY, f"the longest call took {totals.longest:.2f} s"


@suite.test("a controller whose port stays away is deleted", limit=60)
def lost(context: Context) -> None:
    rig = Rig(context, Options(reconnect_delay=1, ctrl_loss_tmo=3), answering(context))
    rig.fabric.remote.delete()
    rig.controller.wait_gone(30)


if __name__ == "__main__":
    suite.run()
