# SPDX-License-Identifier: GPL-2.0
"""What the stock C modules do in the tests that are otherwise not run on them.

These tests leave the C modules, or the machine, unusable. Each gets a guest of its own.
"""

import argparse
import ast
import fnmatch
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import Lab, Result

_PROGRAMS = Path(__file__).resolve().parents[2]

#: What is said when the guest did not live to say it.
_NO_VERDICT = "the machine does not get to the end"

_VERDICT = "verdict: "


@dataclass(frozen=True)
class Hazard:
    """A test that C is spared."""

    program: str
    test: str


def find(program: Path) -> list[Hazard]:
    """The tests of a program that are registered with ``c_wedges=True``, in order."""
    found = []
    for node in ast.walk(ast.parse(program.read_text(encoding="utf-8"))):
        for call in getattr(node, "decorator_list", []):
            if not isinstance(call, ast.Call):
                continue
            wedges = {keyword.arg for keyword in call.keywords
                      if isinstance(keyword.value, ast.Constant) and keyword.value.value is True}  # fmt: skip
            if "c_wedges" in wedges and isinstance(call.args[0], ast.Constant):
                found.append(Hazard(program.name, str(call.args[0].value)))
    return found


def outcome(result: Result) -> str:
    """What became of a test and its machine, in a line: the kernel's own report comes first."""
    lines = [line for line in result.output.splitlines() if line.startswith(_VERDICT)]
    said = lines[-1].removeprefix(_VERDICT) if lines else _NO_VERDICT
    # That a task is blocked is said in more detail.
    reports = [
        line.partition("] ")[2] or line for line in result.reports if "blocked for" not in line
    ]
    return "; ".join([*reports[:1], said])


def main(lab: Lab, arguments: list[str]) -> int:
    """Runs those whose name matches and prints a table; fails only if one did not run at all."""
    parser = argparse.ArgumentParser(prog="hazards", description=__doc__)
    parser.add_argument(
        "--tests", default="*", metavar="PATTERN", help="only these, of all programs"
    )
    pattern = parser.parse_args(arguments).tests
    cases = [
        hazard
        for program in sorted(_PROGRAMS.glob("test_*.py"))
        for hazard in find(program)
        if fnmatch.fnmatchcase(hazard.test, pattern)
    ]

    def run(hazard: Hazard) -> Result:
        return lab.run("c", [hazard.program, hazard.test])

    missing = 0
    with ThreadPoolExecutor(lab.guests) as pool:
        for hazard, result in zip(cases, pool.map(run, cases), strict=True):
            text = outcome(result)
            missing += text == "skipped" or not result.output
            print(f"\n{hazard.program}: {hazard.test}\n    {text}", flush=True)
    print(f"\nverdict: {len(cases)} tests, {missing} of them did not run", flush=True)
    return 1 if missing else 0
