#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""SIGKILL of the daemon, again and again, under verified input and output.

Another daemon takes over each time, in one of the ways that there are. The exit status is 0 if
every byte was right in the end and nothing is left behind.
"""

import argparse
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "selftests" / "target"))

from ksftlib.ktap import PATIENCE, Context, equal, time_limit  # noqa: E402
from tcmulib.configfs import remove_leftovers  # noqa: E402
from tcmulib.daemon import use_copy  # noqa: E402
from tcmulib.impl import implementation  # noqa: E402
from tcmulib.kills import Kills, Turn, table  # noqa: E402
from tcmulib.module import TCMU  # noqa: E402
from tcmulib.scsi import leave_disks_alone  # noqa: E402

#: Seconds for one turn.
TURN_LIMIT = 120.0

#: Turns between two lines about how far it is.
_LINES = 50


def say(text: str = "") -> None:
    """A line of output."""
    print(text, flush=True)


def run(context: Context, count: int, seed: int, turns: list[Turn]) -> int:
    """All turns; returns the number of chunks that were written and read back."""
    kills = Kills(context, seed)
    for number in range(1, count + 1):
        with time_limit(TURN_LIMIT * PATIENCE):
            turns.append(kills.turn())
        if number % _LINES == 0:
            last = turns[-_LINES:]
            say(f"{number} kills, the last {_LINES}: {max(t.recovery for t in last):.3f} s at worst")
    return kills.finish()


def main() -> int:
    """Runs everything in the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.count <= 0:
        parser.error("--count must be more than 0")
    say(f"Linux {platform.release()}, modules: {implementation()}, seed {arguments.seed}")
    wrong, turns, chunks = [], [], 0
    before = TCMU.references()
    shared, context = Context(), Context()
    leave_disks_alone(shared)
    with tempfile.TemporaryDirectory(prefix="lio-rust-kills-") as folder:
        # A part of the time to recover is the start of the daemon.
        use_copy(Path(folder))
        try:
            chunks = run(context, arguments.count, arguments.seed, turns)
        except Exception as error:
            context.diagnose()
            wrong.append(repr(error))
        wrong += context.clean_up()
    wrong += shared.clean_up()
    try:
        remove_leftovers()
        equal(TCMU.references(), before, "users of the module")
    except AssertionError as error:
        wrong.append(str(error))
    for line in [*table(turns), *wrong]:
        say(f"  {line}")
    say(
        f"ran: {len(turns)} of {arguments.count} kills, {chunks} chunks written and read back, "
        f"seed {arguments.seed}, {len(wrong)} errors"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
