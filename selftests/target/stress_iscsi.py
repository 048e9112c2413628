#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=21600 tools=yes impl=both host=tcmulib.host.iscsi
"""libiscsi's tests on a tcmu device behind iSCSI.

Without a SUITE all that the installed iscsi-test-cu has are run. In the folder RESULTS, `tests` then
has the names of all tests to be run and `results` a line for each test and round; `iscsi-test/` has
what the program printed. The exit status is 0 when there is a result for each, whatever it is;
tcmulib.host.iscsi compares those of both implementations.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from ksftlib.files import read
from ksftlib.ktap import Context
from tcmulib import libiscsi
from tcmulib.configfs import TARGET
from tcmulib.iscsi import Target
from tcmulib.rig import Rig
from tcmulib.stress import say, say_machine, undone, verdict

#: Bytes of the disk; the suite uses its first and last few MiB.
_SIZE = 256 << 20

#: Seconds for each suite, and for each test that has to be run by itself.
_LIMIT = 1200.0


def run(context: Context, folder: Path, suites: dict[str, list[str]], rounds: int) -> int:
    """Runs the suites so many times; returns the number of results."""
    rig = Rig(
        context,
        options="max_data_area_mb=64,cmd_ring_size_mb=8",
        attributes={"tmr_notification": 1},
        size=_SIZE,
    )
    target = Target(context)
    target.add_lun(rig.device)
    target.enable()
    # Two paths to the disk: the tests for two initiators need them.
    urls = [target.url()] * 2
    with (folder / "tests").open("w", encoding="utf-8") as sink:
        for suite, names in suites.items():
            sink.writelines(f"{suite.partition('.')[2]}.{name}\n" for name in names)
    found = 0
    with (folder / "results").open("w", encoding="utf-8") as sink:
        for number in range(1, rounds + 1):
            outputs = folder / "iscsi-test" / str(number)
            outputs.mkdir(parents=True)
            program = libiscsi.runner(urls, outputs)
            for suite, names in suites.items():
                for result in libiscsi.run_suite(program, suite, names, _LIMIT):
                    say(str(result))
                    print(result, file=sink, flush=True)
                    found += 1
    return found


def main() -> int:
    """Runs the tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="times that each is run")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="only these, such as ALL.Read10")
    arguments = parser.parse_args()
    suites = libiscsi.listed()
    unknown = set(arguments.suites) - set(suites)
    if unknown:
        parser.error(f"iscsi-test-cu has no suite {' '.join(sorted(unknown))}")
    if arguments.suites:
        suites = {suite: suites[suite] for suite in arguments.suites}
    folder = Path(os.environ.get("RESULTS") or tempfile.mkdtemp(prefix="tcmu-iscsi-"))
    say_machine(f", results in {folder}")
    # Where the target core keeps persistent reservations: it makes no folder itself.
    (Path(read(TARGET / "dbroot")) / "pr").mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    found = 0
    with undone(wrong) as context:
        found = run(context, folder, suites, arguments.rounds)
    return verdict(wrong, "all have a result", "FAILED", f"{found} results")


if __name__ == "__main__":
    sys.exit(main())
