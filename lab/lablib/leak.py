# SPDX-License-Identifier: GPL-2.0
"""make leak and make memory: kernel memory, measured in the virtual machine by tools/leak."""

import json
from typing import Any

from . import hostcheck, longrun, vm
from .env import Lab
from .errors import LabError
from .paths import CHECKOUT

_SCRIPTS = CHECKOUT / "selftests" / "target"

#: Cycles and reloads, by flavour. The debug kernel is slow, but its kmemleak needs only few.
_AMOUNT = {"fast": (1000, 40), "debug": (150, 10), "cfi": (1000, 40)}

#: Seconds for the script: a cycle takes 0.5 to 4 s under emulation, and four times that on a busy
#: machine.
_LEAK_TIMEOUT = 28800.0
_MEMORY_TIMEOUT = 3600.0


def leak(lab: Lab, guest: vm.Guest, cycles: int, reloads: int) -> int:
    """Runs the cycles in a guest; the last line is the verdict. 0 stands for the usual amount."""
    usual = _AMOUNT[guest.kernel.flavour]
    cycles, reloads = cycles or usual[0], reloads or usual[1]
    command = [str(_SCRIPTS / "stress_leak.py"), "--cycles", str(cycles), "--reloads", str(reloads)]
    what = f"{cycles} cycles, {reloads} reloads"
    return longrun.run(lab, guest, command, _LEAK_TIMEOUT, _judge, what)


def _judge(result: vm.Result) -> str:
    return "flat" if result.ok else "NOT FLAT" if result.status == 1 else "no result"


def per_command(lab: Lab, guests: list[vm.Guest]) -> int:
    """Measures each guest and prints what they need for a command side by side."""
    hostcheck.build_tools()
    found: dict[str, list[dict[str, Any]]] = {}
    for guest in guests:
        result = vm.run(
            lab.cache, guest, [str(_SCRIPTS / "stress_memory.py")], _MEMORY_TIMEOUT, live=True
        )
        if not result.ok:
            vm.explain(result)
            return 1
        rows = json.loads(vm.read_text(result.folder / "per-command.json") or "[]")
        if not rows:
            raise LabError(f"{result.folder} has no measurements")
        found[guest.implementation] = rows
    for line in compare(found["rust"], found["c"]):
        print(line, flush=True)
    return 0


def compare(rust: list[dict[str, Any]], c: list[dict[str, Any]]) -> list[str]:
    """A table of bytes of bookkeeping for each command in flight, and a verdict."""
    lines = ["", "Bytes of kernel memory for each command in flight, outside the shared area:"]
    lines.append(f"{'READs':>6}{'KiB':>6}{'rust':>10}{'c':>10}{'ratio':>8}")
    above = 0
    for ours, theirs in zip(rust, c, strict=True):
        count, size = ours["commands"], ours["size"]
        if (count, size) != (theirs["commands"], theirs["size"]):
            raise LabError("the two implementations were not measured alike")
        each, other = ours["own"] / count, theirs["own"] / count
        above += each > other
        ratio = f"{each / other:8.2f}" if other else f"{'-':>8}"
        lines.append(f"{count:>6}{size >> 10:>6}{each:>10.1f}{other:>10.1f}{ratio}")
    lines.append(f"verdict: Rust needs more than C in {above} of {len(rust)} rows")
    return lines
