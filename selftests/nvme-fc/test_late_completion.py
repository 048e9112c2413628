#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""More commands than the target has jobs, because completions of responses come late."""

import time

from ksftlib.ktap import PACE, Context, diag, equal
from ksftlib.wait import until
from nvmelib.fcloop import LateFcloop
from nvmelib.host import Options
from nvmelib.load import Load, Totals
from nvmelib.module import without_multipath
from nvmelib.rig import Rig
from nvmelib.rig_lldd import statistics_shown
from nvmelib.suite import Suite

suite = Suite()

#: Entries of the queue, as the host is told, and threads: as many as the target has jobs.
QUEUE_SIZE = 16
THREADS = QUEUE_SIZE - 1

#: Milliseconds between a response and its completion, and what an allocation takes.
LATE = 20
STALL = 300

#: Seconds of reads.
DURATION = 4.0

#: Reads of each thread at least.
LEAST = 3


class Late:
    """A host with one queue of I/O, to a target whose responses complete late."""

    def __init__(self, context: Context, **parameters: int) -> None:
        without_multipath(context)
        self.fabric = LateFcloop(context, **parameters)
        options = Options(nr_io_queues=1, queue_size=QUEUE_SIZE)
        self.rig = Rig(context, options, self.fabric)
        equal(self.rig.controller.number("sqsize"), THREADS, "entries of the queue")
        self.load = Load(context, self.rig.disk(), THREADS)
        self.load.progress()

    def run(self, what: str, seconds: float) -> "tuple[Totals, dict[str, int]]":
        """Reads while responses complete late; what was done, and the driver's counts."""
        resets = self.rig.controller.resets()
        before = self.load.done()
        self.fabric.set(response_delay_ms=LATE)
        time.sleep(DURATION)
        totals = self.load.stop(seconds)
        self.fabric.set(response_delay_ms=0)
        self.fabric.wait_complete()
        counts = self.fabric.counts()
        counts["resets"] = self.rig.controller.resets() - resets
        done = [now - then for now, then in zip(self.load.done(), before)]
        diag(f"{what}: {counts['resets']} resets, {totals}")
        diag(f"{sum(done)} reads in {DURATION:g} s, {counts}")
        equal(counts["wrong"], 0, "calls that an LLDD must not get")
        counts["least"] = min(done)
        return totals, counts


def check_nothing_lost(totals: Totals, counts: "dict[str, int]") -> None:
    """Fails the test if a command was refused, was stranded, or ended with an error."""
    assert counts["deferred"] > 0, "no command was deferred"
    equal((counts["resets"], totals.errors), (0, 0), "resets, errors of reads")
    equal(counts["refused"], 0, "commands that were refused")
    equal(counts["promoted"], counts["deferred"], "commands that were promoted")
    assert counts["least"] >= LEAST, f"a thread has read {counts['least']} blocks only"


@suite.test("an LLDD without deferral has commands refused, and the host gets over it", limit=120)
def refused(context: Context) -> None:
    late = Late(context, defer=0)
    _, counts = late.run("without deferral", 110)
    assert counts["refused"] > 0, "no command was refused"
    equal((counts["deferred"], counts["promoted"]), (0, 0), "commands deferred, promoted")
    late.rig.controller.wait_live()
    again = Load(context, late.rig.disk(), THREADS)
    again.progress(5)
    equal(again.stop().errors, 0, "errors without late completions")


@suite.test("deferred commands are all carried out", limit=120)
def deferred(context: Context) -> None:
    late = Late(context, defer=1)
    check_nothing_lost(*late.run("with deferral", 110))


@suite.test("no command is stranded when an allocation stalls while it is deferred", limit=200)
def stalled(context: Context) -> None:
    # The driver is not loaded unless its probe finds an allocation that it makes for that.
    late = Late(context, defer=1, stall_ms=STALL)
    totals, counts = late.run(f"with deferral, {STALL} ms for an allocation", 190)
    diag(f"{counts['stalled']} allocations stalled")
    if statistics_shown():
        equal(counts["stalled"], 0, "allocations by whoever receives: it has all memory")
    else:
        assert counts["stalled"] > 0, "no allocation stalled"
    check_nothing_lost(totals, counts)


@suite.test("writes with data that completes late", limit=120)
def writes(context: Context) -> None:
    late = Late(context, defer=1)
    late.load.stop()
    late.fabric.set(data_delay_ms=LATE, response_delay_ms=LATE)
    load = Load(context, late.rig.disk(), THREADS, writes=7)
    load.progress(max(LEAST, int(12 / PACE)))
    totals = load.stop()
    diag(f"{totals}, {late.fabric.counts()}")
    equal((totals.errors, late.rig.controller.resets()), (0, 0), "errors, resets")
    until(lambda: late.fabric.count("outstanding") <= 1, "the last late completions")
    equal(late.fabric.count("wrong"), 0, "calls that an LLDD must not get")


if __name__ == "__main__":
    suite.run()
