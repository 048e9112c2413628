#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Completions that name no Send of the device: the connection is set up anew, and no more."""

import errno

from ksftlib.debugfs import Values
from ksftlib.kmsg import KernelLog
from ksftlib.ktap import Context, diag, equal, raises_errno
from ksftlib.wait import until
from nfslib.faults import BadCompletions
from nfslib.impl import implementation
from nfslib.load import COPIED, KIB, MAPPED, Load, Work
from nfslib.module import RPCRDMA
from nfslib.rig import Rig, shared_rigs
from nfslib.statistics import statistics
from nfslib.suite import Suite

suite = Suite()

#: Sends that may be outstanding on a connection: requests, one of the server's, and a batch.
MOST_OUTSTANDING = 128 + 1 + 16

#: Connections of each test that meet a bad completion.
ROUNDS = 3

#: Calls of all sizes: pages registered, pages that are a part of the Send, and copied data.
WORKS = (
    Work((4 * KIB, 64 * KIB), direct=True, size=256 * KIB),
    Work(MAPPED, direct=True, size=64 * KIB, writes=8),
    Work(MAPPED, direct=True, size=64 * KIB, writes=8),
    Work(COPIED, sync=True, size=16 * KIB, writes=8),
)

_MESSAGE = "completion of a Send that is not outstanding"

rig = shared_rigs(suite)

_faults: list[BadCompletions] = []


def faults() -> BadCompletions:
    """One module for all tests."""
    if not _faults:
        _faults.append(BadCompletions(suite.shared))
    return _faults[0]


def check_at_rest(before: Values, made: int) -> None:
    """Waits until the accounts are even: `made` bad completions since `before`."""
    until(lambda: statistics()["mapped_pages"] == 0, f"all pages to be unmapped ({statistics()})")
    state = statistics()
    diag(str(state))
    found = state["completions_not_posted"] - before["completions_not_posted"]
    equal(found, made, "bad completions that were seen")
    # What is counted as posted are whole batches, and a batch may be on its way.
    out = state["posted"] - state["released"]
    assert abs(out) <= MOST_OUTSTANDING, f"{out} Sends have not completed"


def check(context: Context, here: Rig, fault: str, times: int = 1) -> None:
    """Several connections one after the other meet such completions under load."""
    bad = faults()
    before = statistics() if implementation() == "rust" else None
    made = bad.made()
    log = KernelLog(context)
    number = len(list(here.server.folder.iterdir()))
    load = Load(context, here.mount.path, here.server.folder, WORKS, seed=1 + number)
    load.progress()
    first = here.mount.transport().connect_count
    for connections in range(1, ROUNDS + 1):
        bad.make(fault, 5 * connections, times)
        until(
            lambda: here.mount.transport().connect_count >= first + connections,
            f"the connection is set up anew after {connections} bad ones",
            30,
        )
        load.progress()
    done = load.stop()
    transport = here.mount.transport()
    diag(f"{done} operations, {transport.connect_count - first} new connections")
    # The server may close one as well, for a call that comes again.
    found = transport.connect_count - first
    assert found >= ROUNDS, f"{found} new connections after {ROUNDS} bad ones"
    if before:
        equal(log.count(_MESSAGE), ROUNDS, "messages")
        check_at_rest(before, bad.made() - made)


@suite.test("what is ordered must be complete")
def orders(context: Context) -> None:
    del context
    bad = faults()
    for text in ("\n", "stale", "stale 1", "stale 1 0", "stale 1 1 1", "stale x 1", "late 1 1",
                 "stale -1 1", "none 1", "duplicate 4294967296 1"):  # fmt: skip
        raises_errno(errno.EINVAL, lambda text=text: bad.write(text), f"ordering '{text}'")
    for kind in ("duplicate", "stale", "unposted", "unknown"):
        bad.write(f"{kind} 1 1\n")
        equal(bad.ordered(), kind, "order")
        bad.write("none\n")
        equal(bad.ordered(), "none", "order")
    equal(bad.made(), 0, "bad completions of no mount")


@suite.test("rpcrdma is loaded anew below its probes", limit=110, c_wedges=True)
def reloaded(context: Context) -> None:
    faults()
    RPCRDMA.reload()
    check(context, Rig(context, "siw"), "duplicate")


@suite.test("duplicate completions over siw", limit=110, c_wedges=True)
def duplicate_siw(context: Context) -> None:
    check(context, rig("siw"), "duplicate")


@suite.test("stale completions over siw", limit=110, c_wedges=True)
def stale_siw(context: Context) -> None:
    check(context, rig("siw"), "stale")


@suite.test("completions of Sends that are not posted yet over siw", limit=110, c_wedges=True)
def unposted_siw(context: Context) -> None:
    check(context, rig("siw"), "unposted")


@suite.test("completions of no Send context over siw", limit=110, c_wedges=True)
def unknown_siw(context: Context) -> None:
    check(context, rig("siw"), "unknown")


@suite.test("many bad completions of a connection are said once", limit=110, c_wedges=True)
def many(context: Context) -> None:
    check(context, rig("siw"), "unknown", times=100)
    check(context, rig("siw"), "stale", times=10)


@suite.test("duplicate completions over rxe", limit=110, c_wedges=True)
def duplicate_rxe(context: Context) -> None:
    check(context, rig("rxe"), "duplicate")


@suite.test("stale completions over rxe", limit=110, c_wedges=True)
def stale_rxe(context: Context) -> None:
    check(context, rig("rxe"), "stale")


@suite.test("completions of Sends that are not posted yet over rxe", limit=110, c_wedges=True)
def unposted_rxe(context: Context) -> None:
    check(context, rig("rxe"), "unposted")


@suite.test("completions of no Send context over rxe", limit=110, c_wedges=True)
def unknown_rxe(context: Context) -> None:
    check(context, rig("rxe"), "unknown")


@suite.test("the probes go under load")
def unload(context: Context) -> None:
    here = rig("siw")
    bad = faults()
    load = Load(context, here.mount.path, here.server.folder, WORKS, seed=900)
    load.progress()
    bad.unload()
    load.progress()
    load.stop()


if __name__ == "__main__":
    suite.run()
