#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The guest's side of "lab iscsi-test": libiscsi's tests on a tcmu device behind iSCSI.

usage: iscsi-test.py ROUNDS [SUITE...]

Without a SUITE all that the installed iscsi-test-cu has are run. In the folder RESULTS,
`tests` then has the names of all tests to be run and `results` a line for each test
and round; `iscsi-test/` has what the program printed.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "selftests" / "target"))

from ksftlib.files import read  # noqa: E402
from ksftlib.ktap import Context  # noqa: E402
from tcmulib import libiscsi  # noqa: E402
from tcmulib.configfs import TARGET  # noqa: E402
from tcmulib.iscsi import Target  # noqa: E402
from tcmulib.rig import Rig  # noqa: E402

#: Bytes of the disk; the suite uses its first and last few MiB.
_SIZE = 256 << 20

#: Seconds for each suite, and for each test that has to be run by itself.
_LIMIT = 1200.0


def main() -> int:
    """Runs the tests; 0 when there is a result for each, whatever it is."""
    rounds, chosen = int(sys.argv[1]), sys.argv[2:]
    folder = Path(os.environ["RESULTS"])
    suites = libiscsi.listed()
    unknown = set(chosen) - set(suites)
    if unknown:
        print(f"iscsi-test-cu has no suite {' '.join(sorted(unknown))}")
        return 2
    if chosen:
        suites = {suite: suites[suite] for suite in chosen}
    # Where the target core keeps persistent reservations: it makes no folder itself.
    (Path(read(TARGET / "dbroot")) / "pr").mkdir(parents=True, exist_ok=True)
    context = Context()
    try:
        _run(context, folder, suites, rounds)
    finally:
        errors = context.clean_up()
    for error in errors:
        print(error)
    return 1 if errors else 0


def _run(context: Context, folder: Path, suites: dict[str, list[str]], rounds: int) -> None:
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
    with (folder / "results").open("w", encoding="utf-8") as sink:
        for number in range(1, rounds + 1):
            outputs = folder / "iscsi-test" / str(number)
            outputs.mkdir(parents=True)
            run = libiscsi.runner(urls, outputs)
            for suite, names in suites.items():
                for result in libiscsi.run_suite(run, suite, names, _LIMIT):
                    print(result, flush=True)
                    print(result, file=sink, flush=True)


if __name__ == "__main__":
    sys.exit(main())
