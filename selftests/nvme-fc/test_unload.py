#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The LLDD goes while a process has a namespace open: nobody waits for the process."""

import os
import time

from ksftlib.ktap import PATIENCE, Context, diag, equal
from nvmelib.fcloop import answering
from nvmelib.load import Load, check, fill
from nvmelib.module import FCLOOP, HOST, need_modules
from nvmelib.rig import Rig
from nvmelib.suite import Suite

suite = Suite()

#: Seconds for unloading the LLDD.
LIMIT = 2.0


def unload(rig: Rig) -> float:
    """Unloads it; the seconds that it takes."""
    start = time.monotonic()
    rig.fabric.unload()
    took = time.monotonic() - start
    equal(rig.fabric.module.loaded(), False, "whether it is loaded")
    assert HOST.loaded(), "the host is gone as well"
    return took


def come_back(rig: Rig) -> None:
    """It is loaded again, with the same ports, and the controller is live."""
    equal(rig.controller.state(), "connecting", "state without a port")
    rig.fabric.load()
    rig.fabric.add_ports()
    rig.controller.wait_live()


@suite.test("unloading the LLDD with a namespace open, ports deleted before", limit=90)
def ports_first(context: Context) -> None:
    need_modules(FCLOOP)
    rig = Rig(context, fabric=answering(context))
    fill(rig.disk(), 64)
    descriptor = os.open(rig.disk(), os.O_RDONLY)
    context.defer(lambda: os.close(descriptor))
    start = time.monotonic()
    for port in (rig.fabric.remote, rig.fabric.local, rig.fabric.target):
        port.delete()
    unload(rig)
    took = time.monotonic() - start
    diag(f"it took {took:.2f} s")
    assert took <= LIMIT * PATIENCE, f"it took {took:.2f} s"
    come_back(rig)
    check(rig.disk(), 64)
    equal(len(os.pread(descriptor, 4096, 0)), 4096, "bytes read through the open file")


@suite.test("unloading the LLDD with all its ports and a namespace open", limit=90)
def at_once(context: Context) -> None:
    need_modules(FCLOOP)
    rig = Rig(context, fabric=answering(context))
    fill(rig.disk(), 64)
    descriptor = os.open(rig.disk(), os.O_RDONLY)
    context.defer(lambda: os.close(descriptor))
    took = unload(rig)
    diag(f"it took {took:.2f} s")
    assert took <= LIMIT * PATIENCE, f"it took {took:.2f} s"
    come_back(rig)
    check(rig.disk(), 64)


@suite.test("unloading the LLDD under I/O, three times", limit=150)
def under_io(context: Context) -> None:
    need_modules(FCLOOP)
    rig = Rig(context, fabric=answering(context))
    load = Load(context, rig.disk(), 8, writes=5)
    for _ in range(3):
        load.progress()
        # fcloop would delete the target's port first, and refuse what is sent to it then.
        rig.fabric.remote.delete()
        took = unload(rig)
        diag(f"it took {took:.2f} s")
        assert took <= LIMIT * PATIENCE, f"it took {took:.2f} s"
        come_back(rig)
    load.progress()
    totals = load.stop()
    diag(str(totals))
    equal(totals.errors, 0, "errors")


if __name__ == "__main__":
    suite.run()
