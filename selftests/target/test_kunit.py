#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The KUnit suites of tcmu's logic, on the kernel's own memory."""

import os
import re
import subprocess

from ksftlib.kmsg import KernelLog
from ksftlib.ktap import PATIENCE, Context, Skip, diag, equal
from ksftlib.module import modprobe
from tcmulib.impl import implementation
from tcmulib.suite import Suite

suite = Suite()

_MODULE = "target_core_user_kunit"

#: Result lines of a suite's tests by the suite's name, of those that ended.
_results: dict[str, list[str]] = {}


def _run(context: Context) -> None:
    """Loads the module, which runs the suites."""
    if implementation() == "c":
        raise Skip("the C module has no KUnit tests")
    if modprobe("kunit", "enable=1", "autorun=1").returncode:
        raise Skip("the kernel has no KUnit")
    log = KernelLog(context)
    path = os.environ.get("TCMU_KUNIT_MODULE")
    load = ["insmod", path] if path else ["modprobe", _MODULE]
    done = subprocess.run(
        load, check=False, text=True, capture_output=True, timeout=60 * PATIENCE
    )
    if done.returncode and not path:
        raise Skip(f"{_MODULE} is not installed (CONFIG_TCM_USER2_KUNIT_TEST)")
    assert done.returncode == 0, done.stderr
    context.defer(lambda: subprocess.run(["rmmod", _MODULE], check=True, timeout=60 * PATIENCE))
    tests: list[str] = []
    for line in log.lines():
        if line.startswith("    ") and re.match(r"(not )?ok \d+ ", line.strip()):
            tests.append(line.strip())
        elif found := re.match(r"(?:not )?ok \d+ (tcmu_\w+)", line):
            _results[found[1]] = tests
            tests = []
        elif "EXPECT" in line or "ASSERT" in line or "Expected" in line:
            diag(line)


def _check(name: str, count: int) -> None:
    if not _results:
        _run(suite.shared)
    tests = _results.get(name, [])
    equal(len(tests), count, f"tests of {name} that ended")
    equal([line for line in tests if not line.startswith("ok ")], [], f"failures of {name}")


@suite.test("arrays that grow from slab memory into pages")
def table(context: Context) -> None:
    _check("tcmu_table", 4)


@suite.test("the command ring")
def ring(context: Context) -> None:
    _check("tcmu_ring", 4)


@suite.test("command ids")
def ids(context: Context) -> None:
    _check("tcmu_ids", 3)


@suite.test("the data area")
def data_area(context: Context) -> None:
    _check("tcmu_data_area", 4)


@suite.test("queues of commands and notifications")
def queues(context: Context) -> None:
    _check("tcmu_queues", 4)


if __name__ == "__main__":
    suite.run()
