#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of Send contexts, on the kernel's own atomics and threads."""

import os
import re
import subprocess

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PATIENCE, Context, Skip, Suite, diag, equal
from ksftlib.module import modprobe
from nfslib.impl import implementation

suite = Suite()

_MODULE = "rpcrdma_sendctx_kunit"

#: Seconds for all suites together. Two threads of the kernel take turns 100,000 times.
_LIMIT = 60.0

#: Result lines of a suite's tests by the suite's name, of those that ended.
_results: dict[str, list[str]] = {}


def _run(context: Context) -> None:
    """Loads the module, which runs the suites."""
    if implementation() == "c":
        raise Skip("the C module has no KUnit tests")
    if modprobe("kunit", "enable=1", "autorun=1").returncode:
        raise Skip("the kernel has no KUnit")
    log = KernelLog(context)
    folder = os.environ.get("XPRTRDMA_TEST_MODULES")
    load = ["insmod", f"{folder}/{_MODULE}.ko"] if folder else ["modprobe", _MODULE]
    done = subprocess.run(
        load, check=False, text=True, capture_output=True, timeout=_LIMIT * PATIENCE
    )
    if done.returncode and not folder:
        raise Skip(f"{_MODULE} is not installed (CONFIG_SUNRPC_XPRT_RDMA_SENDCTX_KUNIT_TEST)")
    assert done.returncode == 0, done.stderr
    context.defer(lambda: subprocess.run(["rmmod", _MODULE], check=True, timeout=60 * PATIENCE))
    tests: list[str] = []
    for line in log.lines():
        if line.startswith("    ") and re.match(r"(not )?ok \d+ ", line.strip()):
            tests.append(line.strip())
        elif found := re.match(r"(?:not )?ok \d+ (sendctx_\w+)", line):
            _results[found[1]] = tests
            tests = []
        elif "EXPECT" in line or "ASSERT" in line or "Expected" in line or _MODULE in line:
            diag(line)


def _check(name: str, count: int) -> None:
    if not _results:
        _run(suite.shared)
    tests = _results.get(name, [])
    equal(len(tests), count, f"tests of {name} that ended")
    equal([line for line in tests if not line.startswith("ok ")], [], f"failures of {name}")


@suite.test("the ring in order, full and not", limit=_LIMIT + 10)
def ring(context: Context) -> None:
    _check("sendctx_ring", 6)


@suite.test("completions of Sends that are not posted")
def completions(context: Context) -> None:
    _check("sendctx_completions", 5)


@suite.test("closing in every state")
def close(context: Context) -> None:
    _check("sendctx_close", 3)


@suite.test("which Sends are signalled")
def signal(context: Context) -> None:
    _check("sendctx_signal", 6)


@suite.test("both ends at once, with a sender that sleeps")
def race(context: Context) -> None:
    _check("sendctx_race", 4)


if __name__ == "__main__":
    suite.run()
