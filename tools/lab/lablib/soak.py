# SPDX-License-Identifier: GPL-2.0
"""make soak: random commands and task management for a while, counted, in the virtual machine."""

from . import hostcheck, vm
from .env import Lab
from .paths import CHECKOUT
from .say import say

_SCRIPT = CHECKOUT / "tools" / "soak" / "soak.sh"

#: Seconds for each second of sending: set-up, removal, and waiting for the end of everything.
_SLOWNESS = 3.0
_MARGIN = 600.0


def soak(lab: Lab, guest: vm.Guest, seconds: float, seed: "int | None") -> int:
    """Runs the soak in a guest; the last line is the verdict."""
    hostcheck.build_tools()
    command = [str(_SCRIPT), "--seconds", str(seconds)]
    if seed is not None:
        command += ["--seed", str(seed)]
    result = vm.run(lab.cache, guest, command, _SLOWNESS * seconds + _MARGIN, live=True)
    if not result.ok:
        vm.explain(result)
    say(f"results are in {result.folder}")
    verdict = "passed" if result.ok else f"FAILED: {result.problem()}"
    print(
        f"verdict: {verdict} ({guest.implementation} modules, {guest.kernel.flavour} kernel, "
        f"{seconds:g} s, {len(result.reports)} kernel reports{vm.leaks(result)})",
        flush=True,
    )
    return 0 if result.ok else 1
