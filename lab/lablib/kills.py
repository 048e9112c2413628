# SPDX-License-Identifier: GPL-2.0
"""make kills: daemons that are killed under verified input and output, run by tools/kills."""

from . import longrun, vm
from .env import Lab
from .paths import CHECKOUT

_SCRIPT = CHECKOUT / "selftests" / "target" / "stress_kills.py"

#: Seconds for a kill under emulation, by flavour, and for everything else.
_EACH = {"fast": 40.0, "debug": 160.0, "cfi": 40.0}
_AROUND = 2400.0


def kills(lab: Lab, guest: vm.Guest, count: int, seed: int) -> int:
    """Runs the kills in a guest; the last line is the verdict."""
    command = [str(_SCRIPT), "--count", str(count), "--seed", str(seed)]
    limit = _AROUND + count * _EACH[guest.kernel.flavour]
    return longrun.run(lab, guest, command, limit, _judge)


def _judge(result: vm.Result) -> str:
    ran = longrun.last_line(result, "verdict: ") or "no end"
    return f"{longrun.passed(result)}: {ran}"
