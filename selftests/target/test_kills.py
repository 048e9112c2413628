#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""SIGKILL of the daemon under verified input and output; ``stress_kills.py`` is the long form."""

from ksftlib.ktap import Context, diag, equal
from tcmulib.kills import TURNS, Kills, table
from tcmulib.suite import Suite

suite = Suite()

#: Always the same choices here. The long form takes others.
SEED = 1


@suite.test("a daemon killed in any state, and replaced in any way, loses no data", limit=150)
def killed(context: Context) -> None:
    kills = Kills(context, SEED)
    turns = [kills.turn() for _ in TURNS]
    for line in table(turns):
        diag(line)
    equal({(turn.state, turn.takeover) for turn in turns}, set(TURNS), "kinds of turns")
    diag(f"{kills.finish()} chunks written and read back")


if __name__ == "__main__":
    suite.run()
