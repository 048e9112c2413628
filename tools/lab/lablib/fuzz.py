# SPDX-License-Identifier: GPL-2.0
"""make fuzz: a hostile daemon in the virtual machine, run by tools/fuzz."""

from . import longrun, vm
from .env import Lab
from .paths import CHECKOUT

_SCRIPT = CHECKOUT / "tools" / "fuzz" / "fuzz.sh"

#: Seconds for making devices before and repairing them after.
_AROUND = 2400.0


def fuzz(lab: Lab, guest: vm.Guest, count: int, seed: int, seconds: int, options: list[str]) -> int:
    """Runs the attack in a guest; the last line is the verdict."""
    command = [str(_SCRIPT), "--count", str(count), "--seed", str(seed), "--seconds", str(seconds)]
    if options:
        command += ["--", *options]
    return longrun.run(lab, guest, command, seconds + _AROUND, _judge)


def _judge(result: vm.Result) -> str:
    return f"{'withstood' if result.ok else 'NOT WITHSTOOD'}: {ran(result.output)}"


def ran(output: str) -> str:
    """What the script says that it has run; with an early end, how far it came."""
    found = "no completions"
    for line in output.splitlines():
        if line.startswith("ran: "):
            return line.removeprefix("ran: ")
        if line.startswith("phase ") and " mutated completions " in line:
            found = "ended early after " + line
    return found
