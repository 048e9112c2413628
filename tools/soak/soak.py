#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Random commands, aborts, resets and preempts of five nexuses, and what became of each.

Rounds that differ in delays, time-outs and in what the daemon does with aborted commands follow
each other until the time is up. Each has a device of its own, which must be removable after it.
The last line is the verdict; the exit status is 0 if all adds up.
"""

import argparse
import platform
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "selftests" / "target"))

from ksftlib.ktap import PATIENCE, Context, time_limit  # noqa: E402
from tcmulib.configfs import remove_leftovers  # noqa: E402
from tcmulib.impl import implementation  # noqa: E402
from tcmulib.module import TCMU  # noqa: E402
from tcmulib.scsi import leave_disks_alone  # noqa: E402
from tcmulib.soak.round import PLACES, PLANS, Outcome, Plan, Round  # noqa: E402

#: Seconds in which a round sends.
_ROUND = 50.0

#: Seconds for everything else in a round.
_REST = 120.0

#: Violations of a round that are shown.
_MOST = 30


def say(text: str = "") -> None:
    """A line of output."""
    print(text, flush=True)


def one_round(plan: Plan, seed: int, seconds: float) -> Outcome:
    """A round, and the removal of its device."""
    context = Context()
    before = TCMU.references()
    outcome = Outcome(Counter(), [])
    try:
        with time_limit((seconds + _REST) * PATIENCE):
            outcome = Round(context, plan, seed).run(seconds)
    except Exception as error:
        outcome.violations.append(f"{error!r}")
    if outcome.violations:
        context.diagnose()
    outcome.violations += context.clean_up()
    try:
        remove_leftovers()
    except AssertionError as error:
        outcome.violations.append(str(error))
    if TCMU.references() != before:
        outcome.violations.append(f"{TCMU.references() - before} references to the module left")
    return outcome


def summary(totals: "Counter[str]") -> str:
    """One line about a round."""
    return ", ".join(
        f"{totals[name]} {word}"
        for name, word in (
            ("commands sent", "commands"), ("commands answered", "answers"),
            ("  ended with no answer", "without answer"), ("  ABORT TASK", "aborts"),
            ("  LUN RESET", "resets"), ("  PREEMPT AND ABORT", "preempts"),
        )
    )  # fmt: skip


def main() -> int:
    """Runs rounds in the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    arguments = parser.parse_args()
    if arguments.seconds <= 0:
        parser.error("--seconds must be more than 0")
    say(f"Linux {platform.release()}, modules: {implementation()}, seed {arguments.seed}")
    chance = random.Random(arguments.seed)
    shared = Context()
    leave_disks_alone(shared)
    start, sent, rounds, wrong = time.monotonic(), 0.0, 0, 0
    totals: Counter[str] = Counter()
    while sent < arguments.seconds and not wrong:
        plan = PLANS[rounds % len(PLANS)]
        seconds = min(_ROUND, arguments.seconds - sent)
        outcome = one_round(plan, chance.getrandbits(32), seconds)
        sent += seconds
        rounds += 1
        wrong = len(outcome.violations)
        for name, count in outcome.totals.items():
            totals[name] += count
        passed = time.monotonic() - start
        say(f"{passed:6.0f} s  round {rounds}, {plan.name}: {summary(outcome.totals)}")
        for line in outcome.violations[:_MOST]:
            say(f"  {line}")
    shared.clean_up()
    say()
    say(
        f"{rounds} rounds, {sent:.0f} s of sending, {PLACES} nexuses at a time, "
        f"seed {arguments.seed}"
    )
    for name, count in totals.items():
        say(f"{name:<56}{count:>9}")
    silent = totals["  ended with no answer"]
    say(
        f"{totals['commands sent']} commands = {totals['commands answered']} answers + "
        f"{silent} ended without one"
    )
    say(f"soak: {f'{wrong} VIOLATIONS' if wrong else 'all adds up'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
