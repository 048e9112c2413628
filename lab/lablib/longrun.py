# SPDX-License-Identifier: GPL-2.0
"""What the long runs share: a script in the virtual machine, and a last line that is the verdict."""

from collections.abc import Callable, Sequence

from . import hostcheck, vm
from .env import Lab
from .say import say

#: The verdict on a run, in a few words.
Judge = Callable[[vm.Result], str]


def run(
    lab: Lab, guest: vm.Guest, command: Sequence[str], timeout: float, judge: Judge, what: str = ""
) -> int:
    """Runs `command` in a guest and prints the verdict; returns the exit status of the lab.

    `what` says what was asked for.
    """
    hostcheck.build_tools()
    result = vm.run(lab.cache, guest, command, timeout, live=True)
    if not result.ok:
        vm.explain(result)
    say(f"results are in {result.folder}")
    print(verdict(guest.implementation, guest.kernel.flavour, result, judge, what), flush=True)
    return 0 if result.ok else 1


def verdict(implementation: str, flavour: str, result: vm.Result, judge: Judge, what: str) -> str:
    """The last line."""
    details = [f"{implementation} modules", f"{flavour} kernel"]
    if what:
        details.append(what)
    details.append(f"{len(result.reports)} kernel reports")
    return f"verdict: {judge(result)} ({', '.join(details)}{vm.leaks(result)})"


def last_line(result: vm.Result, start: str) -> str:
    """What follows `start` in the script's last line that begins with it; empty if none does."""
    lines = [line for line in result.output.splitlines() if line.startswith(start)]
    return lines[-1].removeprefix(start) if lines else ""


def passed(result: vm.Result) -> str:
    """For runs that just pass or fail."""
    return "passed" if result.ok else f"FAILED: {result.problem()}"
