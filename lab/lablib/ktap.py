# SPDX-License-Identifier: GPL-2.0
"""Reads KTAP, the test output format of the kernel (Documentation/dev-tools/ktap.rst)."""

import re
from dataclasses import dataclass, field
from enum import Enum

_PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*(?:SKIP\b\s*(?P<skip>.*)|.*))?$", re.IGNORECASE)
_RESULT = re.compile(
    r"^(?P<not>not )?ok\s+(?P<number>\d+)\s*(?:-\s+)?(?P<name>[^#]*?)\s*"
    r"(?:#\s*(?P<directive>SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b\s*(?P<reason>.*))?$",
    re.IGNORECASE,
)
_VERSION = re.compile(r"^K?TAP version \d+$")
_BAIL_OUT = re.compile(r"^Bail out!\s*(.*)$")


class Outcome(Enum):
    """What a test did."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True)
class TestResult:
    """One result line, with the diagnostic lines that stood before it."""

    name: str
    outcome: Outcome
    detail: str = ""


@dataclass
class Ktap:
    """The results of one test program, and what is wrong with its output as a whole."""

    results: list[TestResult] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    #: Reason, when the whole program was skipped (``1..0 # SKIP reason``).
    skipped: str | None = None


def parse(text: str) -> Ktap:
    """Parses the output of one test program.

    Only results at the outermost level count; nested ones (indented) are part
    of the detail of theirs. A missing plan, fewer or more results than the
    plan says, numbers out of sequence and a bail-out are problems.
    """
    ktap = Ktap()
    plan: int | None = None
    detail: list[str] = []
    for line in text.splitlines():
        line = line.rstrip("\r")
        if match := _PLAN.match(line):
            if plan is not None:
                ktap.problems.append("a second plan")
            plan = int(match[1])
            if plan == 0:
                ktap.skipped = match["skip"] or "no tests planned"
        elif match := _RESULT.match(line):
            expected = len(ktap.results) + 1
            if int(match["number"]) != expected:
                ktap.problems.append(f"result {match['number']} where {expected} was due")
            ktap.results.append(_result(match, detail))
            detail = []
        elif match := _BAIL_OUT.match(line):
            ktap.problems.append(f"bailed out: {match[1]}")
        elif not _VERSION.match(line):
            detail.append(line)
    if plan is None:
        ktap.problems.append("no plan (1..N)")
    elif plan != len(ktap.results):
        ktap.problems.append(f"{len(ktap.results)} results, but the plan says {plan}")
    return ktap


def _result(match: "re.Match[str]", detail: list[str]) -> TestResult:
    name = match["name"] or f"test {match['number']}"
    directive = (match["directive"] or "").upper()
    if directive == "SKIP":
        return TestResult(name, Outcome.SKIP, match["reason"] or "")
    # An expected failure (XFAIL, TODO) is no pass here: known differences have
    # a file of their own, with a reason for each.
    failed = bool(match["not"]) or directive != ""
    return TestResult(name, Outcome.FAIL if failed else Outcome.PASS, "\n".join(detail))
