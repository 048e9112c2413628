# SPDX-License-Identifier: GPL-2.0
"""Runs the kselftests in the virtual machine: one guest a program.

A guest of its own costs seconds and keeps what one program breaks (a stuck
device, an oops) away from the others.
"""

import contextlib
import fnmatch
import json
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import ktap, subsystem, vm
from .base import Cache, LabError, say
from .env import Lab
from .ktap import Outcome
from .report import Report
from .run import clean_environment, jobs, output
from .subsystem import Subsystem

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


def programs(folder: Path) -> list[str]:
    """TEST_PROGS of a subsystem's Makefile."""
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


def timeout(folder: Path) -> float:
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
    """How many guests run side by side; ``LAB_GUESTS`` decides, else the processors."""
    wanted = os.environ.get("LAB_GUESTS", "")
    if not wanted:
        return min(jobs(), _MOST_GUESTS)
    if not wanted.isdigit() or int(wanted) == 0:
        raise LabError(f"LAB_GUESTS is '{wanted}'; it must be a number from 1")
    return int(wanted)


@dataclass(frozen=True)
class Program:
    """A kselftest program, and what it is called in the report."""

    subsystem: Subsystem
    name: str
    label: str


def matching(pattern: str) -> list[Program]:
    """The programs of all subsystems whose name, or label, matches `pattern`.

    A name that two subsystems use is told apart by that of the subsystem.
    """
    found = [
        (each, name)
        for each in subsystem.everything()
        if (each.folder / "Makefile").is_file()
        for name in programs(each.folder)
    ]
    uses = Counter(name for _, name in found)
    listed = [
        Program(each, name, f"{each.name}/{name}" if uses[name] > 1 else name)
        for each, name in found
    ]
    return [
        program for program in listed
        if fnmatch.fnmatchcase(program.name, pattern) or fnmatch.fnmatchcase(program.label, pattern)
    ]  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """A test that the stock C modules fail, and why.

    In a file these are lines ``program:test  # reason``; the test's name may be a pattern as in the
    shell. Three names stand for a program as a whole: ``console`` (reports of the kernel), ``plan``
    (results missing) and ``exit`` (its status).
    """

    program: str
    pattern: str
    reason: str

    def covers(self, program: str, test: str) -> bool:
        """Whether this difference is the one of `test` in `program`."""
        return program == self.program and fnmatch.fnmatchcase(test, self.pattern)


def differences(text: str, name: str) -> list[Difference]:
    """The differences in `text`; LabError, with `name` of the file, for a malformed line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        what, _, reason = line.partition("  # ")
        program, colon, pattern = what.strip().partition(":")
        if not (program and colon and pattern and reason.strip()):
            raise LabError(
                f"{name}:{number}: '{line}' is not of the form 'program:test  # reason'"
            )
        found.append(Difference(program, pattern, reason.strip()))
    return found


def _known(of: Subsystem) -> list[Difference]:
    path = of.folder / "c-differences.txt"
    return differences(path.read_text(encoding="utf-8"), path.name) if path.is_file() else []


class Times:
    """Seconds that the programs took the last time, kept in the cache."""

    def __init__(self, cache: Cache, kind: str) -> None:
        self._path = cache.folder("times") / kind
        self._seconds: dict[str, float] = {}
        # It may be of another version, or torn: then nothing is known.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            text = self._path.read_text(encoding="utf-8")
            self._seconds = {name: float(value) for name, value in json.loads(text).items()}

    def longest_first(self, programs: list[Program]) -> list[Program]:
        """`programs` in the order in which they should start, those first that nobody knows."""
        return sorted(programs, key=lambda each: -self._seconds.get(each.label, float("inf")))

    def remember(self, label: str, seconds: float) -> None:
        """A program has ended."""
        self._seconds[label] = round(seconds, 1)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self._seconds, indent=0), encoding="utf-8")
        partial.replace(self._path)


class Kselftests:
    """Programs that run in guests, from now on, while the caller does other things."""

    def __init__(
        self,
        lab: Lab,
        programs_: list[Program],
        make_guest: Callable[[tuple[Subsystem, ...]], vm.Guest],
    ) -> None:
        self._programs = programs_
        self._pool = ThreadPoolExecutor(guests_at_once())
        guests = {each: make_guest((each,)) for each in {p.subsystem for p in programs_}}
        self._implementation = next((guest.implementation for guest in guests.values()), "")
        self._times = Times(lab.cache, f"{lab.flavour}-{self._implementation}")

        def run(program: Program) -> vm.Result:
            folder = program.subsystem.folder
            limit = timeout(folder) * BUSY_FACTOR * slowness(lab.flavour)
            say(f"kselftest {program.label}: starting a guest")
            command = [f"./{program.name}"]
            guest = guests[program.subsystem]
            result = vm.run(lab.cache, guest, command, limit, directory=folder)
            say(f"kselftest {program.label}: took {result.seconds:.0f} s")
            return result

        # The long ones first, so that no processor waits for one of them in the end.
        self._runs: dict[Program, Future[vm.Result]] = {
            program: self._pool.submit(run, program)
            for program in self._times.longest_first(programs_)
        }

    def finish(self, report: Report) -> None:
        """Counts the results in the order of the programs, whichever ends first."""
        known = {
            each: _known(each)
            for each in {program.subsystem for program in self._programs}
            if self._implementation == "c"
        }
        used: set[Difference] = set()
        with self._pool:
            for program in self._programs:
                result = self._runs[program].result()
                self._times.remember(program.label, result.seconds)
                listed = known.get(program.subsystem, [])
                judge(report, program.label, result, listed, used.add, program.name)
        for each, listed in known.items():
            ran = {program.name for program in self._programs if program.subsystem == each}
            for item in listed:
                if item not in used and item.program in ran:
                    say(f"note: the known difference {item.program}:{item.pattern} was not seen")


def judge(
    report: Report,
    program: str,
    result: vm.Result,
    known: list[Difference],
    seen: Callable[[Difference], None] = lambda _item: None,
    name: str = "",
) -> None:
    """Counts the results of one program.

    `seen` is told of each known difference that showed. `name` is the program's where it is not
    called so.
    """
    failures = 0

    def is_known(test: str) -> bool:
        for item in known:
            if item.covers(name or program, test):
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
