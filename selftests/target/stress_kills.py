#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=82400 tools=yes
"""SIGKILL of the daemon, again and again, under verified input and output.

Another daemon takes over each time, in one of the ways that there are. The last line is the verdict;
the exit status is 0 if every byte was right in the end and nothing is left behind.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from ksftlib.ktap import PATIENCE, Context, time_limit
from tcmulib.daemon import use_copy
from tcmulib.kills import Kills, Turn, table
from tcmulib.scsi import leave_disks_alone
from tcmulib.stress import say, say_machine, undone, verdict

#: Seconds for one turn.
TURN_LIMIT = 120.0

#: Turns between two lines about how far it is.
_LINES = 50


def run(context: Context, count: int, seed: int, turns: list[Turn]) -> int:
    """All turns; returns the number of chunks that were written and read back."""
    kills = Kills(context, seed)
    for number in range(1, count + 1):
        with time_limit(TURN_LIMIT * PATIENCE):
            turns.append(kills.turn())
        if number % _LINES == 0:
            last = turns[-_LINES:]
            say(
                f"{number} kills, the last {_LINES}: {max(t.recovery for t in last):.3f} s at worst"
            )
    return kills.finish()


def main() -> int:
    """Runs everything in the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="daemons killed (default: 500)")
    parser.add_argument(
        "--seed", type=int, default=1, help="decides when, and how another takes over"
    )
    arguments = parser.parse_args()
    if arguments.count <= 0:
        parser.error("--count must be more than 0")
    say_machine(f", seed {arguments.seed}")
    wrong: list[str] = []
    turns: list[Turn] = []
    chunks = 0
    # A part of the time to recover is the start of the daemon.
    with tempfile.TemporaryDirectory(prefix="tcmu-kills-") as folder, undone(wrong) as context:
        use_copy(Path(folder))
        leave_disks_alone(context)
        chunks = run(context, arguments.count, arguments.seed, turns)
    for line in table(turns):
        say(f"  {line}")
    ran = (
        f"{len(turns)} of {arguments.count} kills, {chunks} chunks written and read back, "
        f"seed {arguments.seed}, {len(wrong)} errors"
    )
    return verdict(wrong, "passed", "FAILED", ran)


if __name__ == "__main__":
    sys.exit(main())
