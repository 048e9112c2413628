# SPDX-License-Identifier: GPL-2.0
"""Runs the kselftests in the virtual machine: one guest a program.

A guest of its own costs seconds and keeps what one program breaks (a stuck
device, an oops) away from the others.
"""

import fnmatch
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import differences, ktap, vm
from .env import Lab
from .errors import LabError
from .ktap import Outcome
from .paths import CHECKOUT
from .report import Report
from .run import clean_environment, jobs, output
from .say import say

SELFTESTS = CHECKOUT / "selftests" / "target"

#: kselftest's own default, in seconds; the file `settings` may say otherwise.
_DEFAULT_TIMEOUT = 45.0

#: The debug kernel is that much slower under emulation.
_DEBUG_FACTOR = 4.0

#: A busy machine is that much slower; nobody waits for this unless a program hangs.
BUSY_FACTOR = 4.0

#: Guests at once at most, unless told otherwise; each has 2 GiB of memory.
_MOST_GUESTS = 4

#: kselftest's exit status for "skipped".
_SKIP_STATUS = 4


def programs(folder: Path = SELFTESTS) -> list[str]:
    """TEST_PROGS of the selftests' Makefile."""
    if not (folder / "Makefile").is_file():
        raise LabError(f"{folder} has no Makefile with TEST_PROGS")
    names = output(
        ["make", "-s", "-C", str(folder), "--no-print-directory",
         "--eval=lab-list-programs: ; @echo $(TEST_PROGS)", "lab-list-programs"],
        clean_environment(),
    ).split()  # fmt: skip
    for name in names:
        if not os.access(folder / name, os.X_OK):
            raise LabError(f"TEST_PROGS names {name}, but {folder / name} is not executable")
    return names


def timeout(folder: Path = SELFTESTS) -> float:
    """Seconds that a program may take, from the file `settings`."""
    settings = folder / "settings"
    if settings.is_file():
        for line in settings.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "timeout" and value.strip().isdigit():
                return float(value)
    return _DEFAULT_TIMEOUT


def slowness(flavour: str) -> float:
    """How much more time than on the fast kernel everything may take."""
    return _DEBUG_FACTOR if flavour == "debug" else 1.0


def guests_at_once() -> int:
    """How many guests run side by side; ``LAB_GUESTS`` decides, else the processors.

    The programs mostly wait for time-outs, so that a guest for each processor
    does not slow the others down much.
    """
    wanted = os.environ.get("LAB_GUESTS", "")
    if not wanted:
        return min(jobs(), _MOST_GUESTS)
    if not wanted.isdigit() or int(wanted) == 0:
        raise LabError(f"LAB_GUESTS is '{wanted}'; it must be a number from 1")
    return int(wanted)


def kselftests(report: Report, lab: Lab, guest: vm.Guest, pattern: str) -> None:
    """All programs whose name matches `pattern`, against the modules of `guest`."""
    known = []
    if guest.implementation == "c":
        known = differences.load(SELFTESTS / "c-differences.txt")
    limit = timeout() * BUSY_FACTOR * slowness(guest.kernel.flavour)
    names = [name for name in programs() if fnmatch.fnmatchcase(name, pattern)]
    if not names:
        report.fail("kselftests", f"no program matches '{pattern}'")
    used: set[differences.Difference] = set()

    def run(name: str) -> vm.Result:
        say(f"kselftest {name}: starting a guest")
        result = vm.run(lab.cache, guest, [f"./{name}"], limit, directory=SELFTESTS)
        say(f"kselftest {name}: took {result.seconds:.0f} s")
        return result

    with ThreadPoolExecutor(guests_at_once()) as pool:
        # In the order of the names, whichever ends first.
        for name, result in zip(names, pool.map(run, names), strict=True):
            judge(report, name, result, known, used.add)
    for item in known:
        if item not in used and item.program in names:
            say(f"note: the known difference {item.program}:{item.pattern} was not seen")


def judge(
    report: Report,
    program: str,
    result: vm.Result,
    known: list[differences.Difference],
    seen: Callable[[differences.Difference], None] = lambda _item: None,
) -> None:
    """Counts the results of one program.

    `seen` is told of each known difference that showed.
    """
    failures = 0

    def is_known(test: str) -> bool:
        for item in known:
            if item.covers(program, test):
                seen(item)
                report.difference(f"{program}: {test}", item.reason)
                return True
        return False

    def fail(test: str, detail: str) -> None:
        nonlocal failures
        failures += 1
        if not is_known(test):
            report.fail(f"{program}: {test}", detail)

    parsed = ktap.parse(result.output)
    for test in parsed.results:
        if test.outcome is Outcome.PASS:
            report.ok(f"{program}: {test.name}")
        elif test.outcome is Outcome.SKIP:
            # A program leaves out a known difference that would take the guest down.
            if not is_known(test.name):
                report.skip(f"{program}: {test.name}", test.detail or "no reason given")
        else:
            fail(test.name, test.detail)
    where = f"results are in {result.folder}"
    if result.reports:
        fail("console", "\n".join([*result.reports[:20], where]))
    if result.timed_out or result.status is None:
        fail("plan", f"{result.problem()}; {where}\n{_end(result)}")
    elif result.status == _SKIP_STATUS and not parsed.results:
        report.skip(program, parsed.skipped or "it says that it cannot run here")
    else:
        if parsed.problems:
            fail("plan", "\n".join([*parsed.problems, where, result.output]))
        # A failure above explains the status; without one it stands for itself.
        if result.status not in (0, _SKIP_STATUS) and not failures:
            fail("exit", f"exit status {result.status}; {where}\n{result.output}")


def _end(result: vm.Result) -> str:
    lines = result.output.splitlines()[-15:]
    console = vm.read_text(result.folder / "console").splitlines()[-15:]
    return "\n".join(["output:", *lines, "console:", *console])
