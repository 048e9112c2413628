# SPDX-License-Identifier: GPL-2.0
"""make soak: random commands and task management for a while, counted, in the virtual machine."""

from . import longrun, vm
from .env import Lab
from .paths import CHECKOUT

_SCRIPT = CHECKOUT / "selftests" / "target" / "stress_soak.py"

#: Seconds for each second of sending: set-up, removal, and waiting for the end of everything.
_SLOWNESS = 12.0
_MARGIN = 2400.0


def soak(lab: Lab, guest: vm.Guest, seconds: float, seed: "int | None") -> int:
    """Runs the soak in a guest; the last line is the verdict."""
    command = [str(_SCRIPT), "--seconds", str(seconds)]
    if seed is not None:
        command += ["--seed", str(seed)]
    limit = _SLOWNESS * seconds + _MARGIN
    return longrun.run(lab, guest, command, limit, longrun.passed, f"{seconds:g} s")
