# SPDX-License-Identifier: GPL-2.0
"""make c-hazards: what the stock C modules do in the tests that are otherwise not run on them.

These tests leave the C modules, or the machine, unusable. Each gets a guest of its own, in which
stress_hazards.py runs it.
"""

import ast
import fnmatch
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import hostcheck, longrun, vm, vmcheck
from .env import Lab
from .paths import CHECKOUT
from .say import say

_SCRIPT = CHECKOUT / "selftests" / "target" / "stress_hazards.py"

#: Seconds for one of them, of which stress_hazards.py gives the test a part.
_LIMIT = 480.0

#: What is said when the guest did not live to say it.
_NO_OUTCOME = "the machine does not get to the end"


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


def outcome(result: vm.Result) -> str:
    """What became of a test and its machine, in a line: the kernel's own report comes first."""
    said = longrun.last_line(result, "verdict: ") or _NO_OUTCOME
    # That a task is blocked is said in more detail.
    reports = [line.partition("] ")[2] or line for line in result.reports if "blocked for" not in line]
    return "; ".join([*reports[:1], said])


def hazards(lab: Lab, guest: vm.Guest, pattern: str) -> int:
    """Runs those whose name matches and prints a table; fails only if one did not run at all."""
    hostcheck.build_tools()
    cases = [
        hazard
        for name in vmcheck.programs()
        for hazard in find(vmcheck.SELFTESTS / name)
        if fnmatch.fnmatchcase(hazard.test, pattern)
    ]

    def run(hazard: Hazard) -> vm.Result:
        say(f"{hazard.program}: {hazard.test}")
        command = [str(_SCRIPT), hazard.program, hazard.test]
        return vm.run(lab.cache, guest, command, _LIMIT)

    missing = 0
    print(f"{guest.implementation} modules, {guest.kernel.flavour} kernel {guest.kernel.release}")
    with ThreadPoolExecutor(vmcheck.guests_at_once()) as pool:
        for hazard, result in zip(cases, pool.map(run, cases), strict=True):
            text = outcome(result)
            missing += text == "skipped" or not result.output
            print(f"\n{hazard.program}: {hazard.test}\n    {text}", flush=True)
    print(f"\n{len(cases)} tests, {missing} of them did not run", flush=True)
    return 1 if missing else 0
