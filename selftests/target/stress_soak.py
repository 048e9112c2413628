#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=9600 per-second=12 tools=yes
"""Random commands, aborts, resets and preempts of five nexuses, and what became of each.

Rounds that differ in delays, time-outs and in what the daemon does with aborted commands follow
each other until the time is up. Each has a device of its own, which must be removable after it.
The last line is the verdict; the exit status is 0 if all adds up.
"""

import argparse
import random
import sys
import time
from collections import Counter

from ksftlib.ktap import PATIENCE, Context, time_limit
from tcmulib.scsi import leave_disks_alone
from tcmulib.soak.round import PLACES, PLANS, Outcome, Plan, Round
from tcmulib.stress import say, say_machine, undone, verdict

#: Seconds in which a round sends.
_ROUND = 50.0

#: Seconds for everything else in a round.
_REST = 120.0

#: Violations of a round that are shown.
_MOST = 30


def one_round(plan: Plan, seed: int, seconds: float) -> Outcome:
    """A round, and the removal of its device."""
    outcome = Outcome(Counter(), [])
    with undone(outcome.violations) as context, time_limit((seconds + _REST) * PATIENCE):
        found = Round(context, plan, seed).run(seconds)
        outcome.totals.update(found.totals)
        outcome.violations += found.violations
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
    parser.add_argument("--seconds", type=float, default=600.0, help="time to send (default: 600)")
    parser.add_argument(
        "--seed", type=int, default=time.time_ns() & 0xFFFFFFFF,
        help="repeats the choices of another run",
    )  # fmt: skip
    arguments = parser.parse_args()
    if arguments.seconds <= 0:
        parser.error("--seconds must be more than 0")
    say_machine(f", seed {arguments.seed}")
    chance = random.Random(arguments.seed)
    shared = Context()
    leave_disks_alone(shared)
    start, sent, rounds = time.monotonic(), 0.0, 0
    wrong: list[str] = []
    totals: Counter[str] = Counter()
    while sent < arguments.seconds and not wrong:
        plan = PLANS[rounds % len(PLANS)]
        seconds = min(_ROUND, arguments.seconds - sent)
        outcome = one_round(plan, chance.getrandbits(32), seconds)
        sent += seconds
        rounds += 1
        wrong = outcome.violations
        for name, count in outcome.totals.items():
            totals[name] += count
        passed = time.monotonic() - start
        say(f"{passed:6.0f} s  round {rounds}, {plan.name}: {summary(outcome.totals)}")
    shared.clean_up()
    say()
    for name, count in totals.items():
        say(f"{name:<56}{count:>9}")
    silent = totals["  ended with no answer"]
    say(
        f"{totals['commands sent']} commands = {totals['commands answered']} answers + "
        f"{silent} ended without one"
    )
    ran = (
        f"{rounds} rounds, {sent:.0f} s of sending, {PLACES} nexuses at a time, "
        f"seed {arguments.seed}"
    )
    shown = wrong[:_MOST]
    return verdict(shown, "all adds up", f"{len(wrong)} VIOLATIONS", ran)


if __name__ == "__main__":
    sys.exit(main())
