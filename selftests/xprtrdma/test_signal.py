#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""How many Sends are signalled: one of a batch, and no batch without one."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path

from ksftlib.files import set_for_test
from ksftlib.ktap import Context, diag, equal
from ksftlib.wait import Task
from nfslib.client import Mount
from nfslib.rig import shared_rigs
from nfslib.sends import SendTrace, Summary
from nfslib.slots import batch, slots
from nfslib.suite import Suite

suite = Suite()

#: Operations that are counted, and processes that do them.
OPERATIONS = 600
PROCESSES = 4

BLOCK = 4096

#: Bytes of a block for which the device needs two registrations of memory, and how many are read.
LARGE, LARGE_BLOCKS = 512 * 1024, 54

#: Signalled of the posted Sends at most, by the work requests of each.
LIMITS = {1: 1 / 16, 2: 1 / 8, 3: 1 / 6}

#: Attributes are not cached.
rig = shared_rigs(suite, "noac")


def _file(mount: Mount) -> Path:
    path = mount.path / "signal"
    if not path.exists():
        path.write_bytes(bytes(BLOCK * OPERATIONS // PROCESSES))
    return path


def getattrs(mount: Mount) -> None:
    """GETATTR: a call that is one Send and nothing else."""
    with _file(mount).open("rb") as file:
        for _ in range(OPERATIONS):
            os.fstat(file.fileno())


def _blocks(context: Context, mount: Mount, writing: bool) -> None:
    path = _file(mount)

    def work() -> None:
        buffer = mmap.mmap(-1, BLOCK)
        descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
        for number in range(OPERATIONS // PROCESSES):
            if writing:
                os.pwrite(descriptor, buffer, number * BLOCK)
            else:
                assert os.preadv(descriptor, [buffer], number * BLOCK) == BLOCK
        os.close(descriptor)

    for task in [Task(context, work, f"process {number}") for number in range(PROCESSES)]:
        task.wait(60)


def _large(mount: Mount) -> None:
    path = _file(mount)
    os.truncate(path, LARGE)
    buffer = mmap.mmap(-1, LARGE)
    descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
    for _ in range(LARGE_BLOCKS):
        assert os.preadv(descriptor, [buffer], 0) == LARGE
    os.close(descriptor)
    os.truncate(path, BLOCK * OPERATIONS // PROCESSES)


def no_delegations(context: Context) -> None:
    """With one the client would answer itself."""
    set_for_test(context, Path("/proc/sys/fs/leases-enable"), "0")


def traced(
    context: Context, what: str, action: Callable[[], object], operations: int = OPERATIONS
) -> Summary:
    """What `action` posts."""
    trace = SendTrace(context)
    action()
    summary = Summary(trace.sends())
    diag(f"{what}: {summary}")
    assert summary.posted >= operations, f"{summary.posted} Sends of {operations} operations"
    return summary


def check(summary: Summary) -> None:
    """Fails the test if more are signalled than should be."""
    limit = LIMITS[summary.usual_requests]
    # The first one may belong to the batch before.
    assert summary.signalled <= limit * summary.posted + 1, (
        f"{summary.ratio:.4f} of the Sends are signalled, {limit:.4f} would do"
    )


def _register(kind: str) -> None:
    @suite.test(f"GETATTRs over {kind} are signalled once a batch", limit=90)
    def getattr_(context: Context) -> None:
        no_delegations(context)
        mount = rig(kind).mount
        _file(mount)
        check(traced(context, f"GETATTR, {kind}", lambda: getattrs(mount)))

    @suite.test(f"4 KiB O_DIRECT reads over {kind} are signalled once a batch", limit=90)
    def reads(context: Context) -> None:
        no_delegations(context)
        mount = rig(kind).mount
        _file(mount)
        check(traced(context, f"4k reads, {kind}", lambda: _blocks(context, mount, False)))

    @suite.test(f"4 KiB O_DIRECT writes over {kind} are signalled once a batch", limit=90)
    def writes(context: Context) -> None:
        no_delegations(context)
        mount = rig(kind).mount
        _file(mount)
        check(traced(context, f"4k writes, {kind}", lambda: _blocks(context, mount, True)))

    @suite.test(f"no batch of work requests over {kind} is without a signalled Send", limit=120)
    def gaps(context: Context) -> None:
        no_delegations(context)
        mount = rig(kind).mount
        _file(mount)

        def mixed() -> None:
            task = Task(context, lambda: getattrs(mount), "GETATTRs")
            _blocks(context, mount, True)
            _blocks(context, mount, False)
            task.wait(60)

        summary = traced(context, f"all at once, {kind}", mixed)
        size = batch(slots())
        assert summary.longest_gap <= size, (
            f"{summary.longest_gap} work requests without a signalled Send, {size} are a batch"
        )


for _kind in ("siw", "rxe"):
    _register(_kind)


@suite.test("512 KiB O_DIRECT reads over rxe are signalled once a batch", limit=120)
def large_reads(context: Context) -> None:
    no_delegations(context)
    mount = rig("rxe").mount
    _file(mount)
    summary = traced(context, "512k reads, rxe", lambda: _large(mount), LARGE_BLOCKS)
    equal(summary.usual_requests, 3, "work requests of most Sends")
    check(summary)


if __name__ == "__main__":
    suite.run()
