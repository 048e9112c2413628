# SPDX-License-Identifier: GPL-2.0
"""make fuzz: a hostile daemon in the virtual machine, run by tools/fuzz."""

from . import longrun, vm
from .env import Lab
from .paths import CHECKOUT

_SCRIPT = CHECKOUT / "selftests" / "target" / "stress_fuzz.py"

#: Seconds for making devices before and repairing them after.
_AROUND = 2400.0


#: Over what commands are given up. The first is the default.
FABRICS = ("iscsi", "loopback", "both")


def fuzz(
    lab: Lab, guest: vm.Guest, count: int, seed: int, seconds: int, fabric: str, options: list[str]
) -> int:
    """Runs the attack in a guest; the last line is the verdict."""
    command = [str(_SCRIPT), "--count", str(count), "--seed", str(seed), "--seconds", str(seconds)]
    command += ["--fabric", fabric]
    if options:
        command += ["--", *options]
    limit = seconds + _AROUND
    return longrun.run(lab, guest, command, limit, _judge, f"given up over {fabric}")


def _judge(result: vm.Result) -> str:
    return f"{'withstood' if result.ok else 'NOT WITHSTOOD'}: {ran(result.output)}"


def ran(output: str) -> str:
    """What the script says that it has run; with an early end, how far it came."""
    found = "no completions"
    for line in output.splitlines():
        if line.startswith("verdict: "):
            return line.partition(": ")[2].partition(": ")[2]
        if line.startswith("phase ") and " mutated completions " in line:
            found = "ended early after " + line
    return found
