# SPDX-License-Identifier: GPL-2.0
"""iscsi-test-cu, libiscsi's suite of tests for targets: running it, reading its output."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PROGRAM = "iscsi-test-cu"

#: Destructive tests too, SANITIZE among them. Without the last option some tests do not say
#: that they are skipped.
_OPTIONS = ("--dataloss", "--allow-sanitize", "--Verbose-scsi")

_SUITE = re.compile(r"^Suite: (\S+)$")
_TEST = re.compile(r"^  Test: (\S+) \.\.\.(.*)$")
#: CUnit's verdict stands behind the dots or, after messages of the test, at the start of a line.
_VERDICT = re.compile(r"^(passed|FAILED)(?!\S)")
_SKIPPED = re.compile(r"\[SKIPPED\]\s*(.*)")
#: What the suite's own cleanup prints follows on the same line.
_ASSERTION = re.compile(r"^\s+\d+\. (.*?:\d+)\s+- (.*?)(?: {4}.*)?$")
_SUMMARY = re.compile(r"^\s+tests\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s")


class Outcome(Enum):
    """How a test ended."""

    PASS = "PASS"
    FAIL = "FAIL"
    #: It says itself that it left out all or a part, as the target lacks something.
    SKIP = "SKIP"
    #: It did not end in time.
    HANG = "HANG"
    #: It was to run and there is no verdict: the program ended before.
    NONE = "NONE"


@dataclass(frozen=True)
class Result:
    """One test, ``Suite.Test``, and in `detail` its first failed assertion or what it lacked."""

    name: str
    outcome: Outcome
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.outcome.value} {self.name} {self.detail}".rstrip()

    @classmethod
    def read(cls, line: str) -> "Result":
        """The inverse of str()."""
        outcome, name, *detail = line.split(" ", 2)
        return cls(name, Outcome(outcome), "".join(detail))


@dataclass
class Run:
    """What one run of the program printed."""

    #: In the order in which they ran; the last is NONE if the program ended inside it.
    results: list[Result]
    #: Tests that ran and tests that failed as CUnit counts them; None if it did not get there.
    counts: "tuple[int, int] | None" = None

    def contradiction(self) -> str:
        """Where the summary and the results differ; empty if they agree."""
        if self.counts is None:
            return "no summary"
        failed = sum(result.outcome is Outcome.FAIL for result in self.results)
        if self.counts == (len(self.results), failed):
            return ""
        return (
            f"the summary has {self.counts[0]} tests and {self.counts[1]} failures, "
            f"the output {len(self.results)} and {failed}"
        )


def parse(text: str) -> Run:
    """Reads the output of one run in CUnit's verbose mode."""
    run = Run([])
    suite = name = verdict = ""
    skipped: list[str] = []
    assertions: list[str] = []

    def finish() -> None:
        nonlocal name, verdict
        if not name:
            return
        if verdict == "FAILED":
            outcome, detail = Outcome.FAIL, (assertions or ["no assertion is named"])[0]
        elif verdict:
            outcome, detail = (Outcome.SKIP if skipped else Outcome.PASS), "".join(skipped[:1])
        else:
            outcome, detail = Outcome.NONE, "no verdict"
        run.results.append(Result(f"{suite}.{name}", outcome, detail))
        name = verdict = ""
        skipped.clear()
        assertions.clear()

    for line in text.splitlines():
        if match := _SUITE.match(line):
            finish()
            suite = match[1]
        elif match := _TEST.match(line):
            finish()
            name, line = match[1], match[2]
        elif match := _SUMMARY.match(line):
            finish()
            run.counts = (int(match[2]), int(match[4]))
        if not name:
            continue
        if verdict:
            if match := _ASSERTION.match(line):
                assertions.append(f"{match[1]} {match[2]}")
        elif match := _VERDICT.match(line):
            verdict = match[1]
        elif match := _SKIPPED.search(line):
            skipped.append(match[1].strip())
    finish()
    return run


def tests(listing: str) -> dict[str, list[str]]:
    """Suites and their tests in the output of ``iscsi-test-cu --list``.

    The list has each test once for each family: ``FAMILY.Suite.Test``. A suite's key is
    ``FAMILY.Suite``, of the family with the most tests; a test that only another family
    has is in that family's suite.
    """
    families: dict[str, list[tuple[str, str]]] = {}
    for line in listing.splitlines():
        parts = line.strip().split(".")
        if len(parts) == 3:
            families.setdefault(parts[0], []).append((parts[1], parts[2]))
    suites: dict[str, list[str]] = {}
    seen: set[tuple[str, str]] = set()
    for family in sorted(families, key=lambda name: -len(families[name])):
        for suite, test in families[family]:
            if (suite, test) not in seen:
                seen.add((suite, test))
                suites.setdefault(f"{family}.{suite}", []).append(test)
    return suites


def listed() -> dict[str, list[str]]:
    """All suites and their tests that the installed program has."""
    done = subprocess.run(
        [PROGRAM, "--list"], check=True, text=True, capture_output=True, timeout=240
    )
    return tests(done.stdout)


#: Runs a pattern of tests with a limit in seconds: output, exit status (None for a time-out).
Runner = Callable[[str, float], "tuple[str, int | None]"]


def runner(urls: Iterable[str], folder: Path) -> Runner:
    """Runs the program on the target's URLs; a second one is another path to the same disk.

    The output of each run stays in `folder`.
    """
    urls = list(urls)

    def run(pattern: str, limit: float) -> "tuple[str, int | None]":
        # The program writes every line by itself, which is slow where `folder` is another
        # machine's.
        with tempfile.TemporaryFile() as sink:
            process = subprocess.Popen(
                [PROGRAM, *_OPTIONS, f"--test={pattern}", *urls],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                status: "int | None" = process.wait(limit)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                process.kill()
                process.wait()
            sink.seek(0)
            output = sink.read()
        (folder / f"{pattern}.txt").write_bytes(output)
        return output.decode(errors="replace"), status

    return run


def run_suite(run: Runner, suite: str, names: list[str], limit: float) -> list[Result]:
    """Results of the tests `names` of a suite (``FAMILY.Suite``), one for each and in their order.

    The suite runs in one process, as its tests share state. What a test that hangs or
    ends the process has kept from running is run by itself. `limit` is for each process.
    """
    short = suite.partition(".")[2]
    found: dict[str, Result] = {}
    text, status = run(suite, limit)
    whole = parse(text)
    for result in whole.results:
        found[result.name] = _explain(result, status, limit)
    if status in (0, 1) and not whole.contradiction() and len(found) == len(names):
        return [found[f"{short}.{name}"] for name in names]
    for name in names:
        if f"{short}.{name}" not in found:
            text, status = run(f"{suite}.{name}", limit)
            nothing = Result(f"{short}.{name}", Outcome.NONE, "did not start")
            alone = (parse(text).results or [nothing])[0]
            found[f"{short}.{name}"] = _explain(alone, status, limit)
    return [found[f"{short}.{name}"] for name in names]


def _explain(result: Result, status: "int | None", limit: float) -> Result:
    """Says of a test without a verdict why it has none."""
    if result.outcome is not Outcome.NONE:
        return result
    if status is None:
        return Result(result.name, Outcome.HANG, f"no end after {limit:g} s")
    return Result(result.name, Outcome.NONE, f"{result.detail}, exit status {status}")
