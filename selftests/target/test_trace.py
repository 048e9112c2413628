#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The tracepoints of task management, which only the Rust core has."""

from ksftlib.ktap import PACE, Context, equal
from ksftlib.trace import Trace
from ksftlib.wait import until
from tcmulib.rig import Rig
from tcmulib.scsi import BLOCK, OWN, OWN_READS, read10
from tcmulib.suite import Suite

suite = Suite()


def traced(context: Context) -> tuple[Rig, Trace]:
    """A served device and the events from now on."""
    trace = Trace(context, "target_tmr", "tmr_received", "tmr_abort", "tmr_notify", "tmr_done")
    return Rig(context, attributes={"tmr_notification": 1}), trace


def wait_done(trace: Trace) -> list[tuple[str, str]]:
    """All events, once the first request has been carried out."""
    until(lambda: any(name == "tmr_done" for name, _ in trace.events()), "tmr_done")
    return trace.events()


@suite.test("an ABORT TASK is traced from its arrival to its end")
def abort(context: Context) -> None:
    rig, trace = traced(context)
    disk = rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    disk.task_sg(read10(OWN, 8), data_in=8 * BLOCK, timeout=2 * PACE)
    events = wait_done(trace)
    equal(
        [name for name, _ in events],
        ["tmr_received", "tmr_abort", "tmr_notify", "tmr_done"],
        "events",
    )
    received, aborted, notified, done = (text for _, text in events)
    assert received.startswith("ABORT_TASK fabric loopback initiator naa."), received
    assert " command tag " in aborted and " opcode 0x28 " in aborted, aborted
    device = aborted.split()[1]
    tag = aborted.split()[4]
    equal(notified, f"device {device} ABORT_TASK commands 1", "tmr_notify")
    equal(done, f"device {device} ABORT_TASK tag {tag} FUNCTION_COMPLETE", "tmr_done")


@suite.test("a LUN RESET is traced with each command that it aborts, and who gets an answer")
def reset(context: Context) -> None:
    rig, trace = traced(context)
    first, second = rig.disk(), rig.disk()
    rig.daemon.ctl(f"hold {OWN_READS}")
    for number in range(3):
        first.task_sg(read10(OWN + 8 * number, 8), data_in=8 * BLOCK, timeout=6 * PACE)
    second.task_sg(read10(OWN + 24, 8), data_in=8 * BLOCK, timeout=6 * PACE)
    rig.daemon.ids(*[read10(OWN + 8 * number, 8) for number in range(4)])
    first.task_reset().wait(10)
    events = wait_done(trace)
    aborted = [text for name, text in events if name == "tmr_abort"]
    equal(len(aborted), 4, "aborted commands")
    equal(sum(text.endswith(", to be answered") for text in aborted), 1, "answered ones")
    names = [name for name, _ in events]
    equal(names, ["tmr_received", *["tmr_abort"] * 4, "tmr_notify", "tmr_done"], "events")
    assert events[-2][1].endswith(" LUN_RESET commands 4"), events[-2]
    assert events[-1][1].endswith(" LUN_RESET tag 0 FUNCTION_COMPLETE"), events[-1]


if __name__ == "__main__":
    suite.run()
