# SPDX-License-Identifier: GPL-2.0
"""make fuzz: a hostile daemon in the virtual machine, run by tools/fuzz."""

from . import hostcheck, vm
from .env import Lab
from .paths import CHECKOUT
from .say import say

_SCRIPT = CHECKOUT / "tools" / "fuzz" / "fuzz.sh"

#: Seconds for making devices before and repairing them after.
_AROUND = 600.0


def fuzz(lab: Lab, guest: vm.Guest, count: int, seed: int, seconds: int, options: list[str]) -> int:
    """Runs the attack in a guest; the last line is the verdict."""
    hostcheck.build_tools()
    command = [str(_SCRIPT), "--count", str(count), "--seed", str(seed), "--seconds", str(seconds)]
    if options:
        command += ["--", *options]
    result = vm.run(lab.cache, guest, command, seconds + _AROUND, live=True)
    if not result.ok:
        vm.explain(result)
    say(f"results are in {result.folder}")
    print(
        f"verdict: {'withstood' if result.ok else 'NOT WITHSTOOD'}: {ran(result.output)} "
        f"({guest.implementation} modules, {guest.kernel.flavour} kernel, "
        f"{len(result.reports)} kernel reports{vm.leaks(result)})",
        flush=True,
    )
    return 0 if result.ok else 1


def ran(output: str) -> str:
    """What the script says that it has run; with an early end, how far it came."""
    found = "no completions"
    for line in output.splitlines():
        if line.startswith("ran: "):
            return line.removeprefix("ran: ")
        if line.startswith("phase ") and " mutated completions " in line:
            found = "ended early after " + line
    return found
