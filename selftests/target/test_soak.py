#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Random commands, aborts, resets and preempts of five nexuses; each gets exactly one end.

``stress_soak.py`` does the same for longer.
"""

import os
import time
from functools import partial

from ksftlib.ktap import Context, diag
from tcmulib.soak.round import PLANS, Plan, Round
from tcmulib.suite import Suite

suite = Suite()

#: Seconds of a round, without what it takes to wait for the last answers.
_SECONDS = 5.0


def soak(plan: Plan, context: Context) -> None:
    """One round. SOAK_SEED repeats the choices of another one."""
    seed = int(os.environ.get("SOAK_SEED", "0")) or time.time_ns() & 0xFFFFFFFF
    diag(f"SOAK_SEED={seed}")
    outcome = Round(context, plan, seed).run(_SECONDS)
    for name, count in outcome.totals.items():
        if count:
            diag(f"{name:<44}{count:>8}")
    assert not outcome.violations, "\n".join(outcome.violations[:20])
    for name in ("commands answered", "functions answered"):
        assert outcome.totals[name], f"no {name}"


for number in (0, 2, 3, 4):
    suite.test(f"each command and function ends once, {PLANS[number].name}", limit=90)(
        partial(soak, PLANS[number])
    )


if __name__ == "__main__":
    suite.run()
