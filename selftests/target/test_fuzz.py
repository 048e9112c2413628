#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A hostile daemon for a short time; ``stress_fuzz.py`` is the long form."""

from ksftlib.ktap import PACE, PATIENCE, Context, diag
from tcmulib.fuzz import Attacked, Victim, check_result
from tcmulib.suite import Suite

suite = Suite()

#: Always the same choices here. The long form takes others.
SEED = 1

#: Answers that any implementation takes.
HARMLESS = ("kernel-flags", "read-length", "uflags", "status", "late-id")


@suite.test("a hostile daemon breaks its own ring only", limit=120, c_wedges=True)
def hostile(context: Context) -> None:
    victim = Victim(context)
    attacked = Attacked(context, SEED, "both")
    attacked.start_load()
    status, result = attacked.attack(
        "--count", "20000", "--seconds", str(int(20 * PACE)), "--phase-length", "300", "--breaks", "9",
        limit=80 * PATIENCE, line=diag,
    )  # fmt: skip
    check_result(status, result)
    assert result["mutated"] >= 300, f"only {result['mutated']} mutated completions"
    for class_name in ("pad_length", "tmr_length", "request_fields", "uflags", "status"):
        assert result["classes"][class_name]["tolerated"], f"{class_name} never tolerated"
    assert result["broke"], "the ring was never broken"
    diag(f"given up: {attacked.given_up()}")
    victim.check()
    attacked.repair()
    victim.finish()


@suite.test("answers of any status and length do no harm", limit=90)
def answers(context: Context) -> None:
    attacked = Attacked(context, SEED)
    attacked.start_load()
    only = [word for name in HARMLESS for word in ("--class", name)]
    status, result = attacked.attack(
        "--count", "3000", "--seconds", str(int(8 * PACE)), "--phase", "quiet", *only,
        limit=80 * PATIENCE, line=diag,
    )  # fmt: skip
    check_result(status, result)
    assert result["mutated"] >= 100, f"only {result['mutated']} mutated completions"
    assert not result["broke"], f"{result['broke']} of them broke the ring"
    attacked.repair()


if __name__ == "__main__":
    suite.run()
