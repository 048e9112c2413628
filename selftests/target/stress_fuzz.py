#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=16800 tools=yes flavour=debug
"""Attacks the kernel with a hostile daemon, in a virtual machine of its own: it ends udev.

One device is served by tcmu-fuzz, under reads and writes, aborts and resets. Beside it an honest
daemon serves another one, every byte of which is checked all the time. In the end an honest daemon
takes over the attacked device. The last line is the verdict.
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

from ksftlib import udev
from ksftlib.ktap import Context
from tcmulib.abuse import FABRICS
from tcmulib.fuzz import Attacked, Victim, use_copies
from tcmulib.stress import say, say_machine, undone, verdict

#: Seconds between two looks at the honest device, and between two chunks of each of its processes.
LOOK, PAUSE = 60.0, 1.0

#: Seconds in which some commands must have been aborted, and units reset.
LONG = 50.0

#: Seconds that the hostile daemon gets to end, beyond what it was given.
GRACE = 180.0


class Watch:
    """Looks at the honest device from time to time."""

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self._ended = threading.Event()
        #: What was wrong.
        self.wrong: list[str] = []
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._ended.wait(LOOK):
            try:
                say(f"the honest device: {self._victim.check()} chunks written and read back")
            except Exception as error:
                self.wrong.append(f"the honest device: {error!r}")
                say(self.wrong[-1])
                return

    def stop(self) -> None:
        """Ends it."""
        self._ended.set()
        self._thread.join(timeout=300)


def attack(context: Context, arguments: argparse.Namespace, wrong: list[str]) -> str:
    """The whole run; adds what is wrong, and returns what was done."""
    victim = Victim(context, PAUSE)
    attacked = Attacked(context, arguments.seed, arguments.fabric)
    nurse = attacked.start_load()
    watch = Watch(victim)
    started = time.strftime("%H:%M:%S")
    say(
        f"{started} attack: seed {arguments.seed}, {arguments.count} mutated completions, "
        f"commands given up over {arguments.fabric}"
    )
    options = ["--count", str(arguments.count), "--seconds", str(arguments.seconds)]
    status, result = attacked.attack(
        *options, *arguments.options, limit=arguments.seconds + GRACE, line=say
    )
    watch.stop()
    wrong += watch.wrong
    if status:
        wrong.append(f"tcmu-fuzz ended with {status}")
    if result["wrong"]:
        wrong.append(f"{result['wrong']} wrong outcomes")
    say(f"the initiator took disks of the attacked device off line {nurse.revived} times")
    given_up = attacked.given_up()
    say("given up: " + ", ".join(f"{name} {count}" for name, count in given_up.items()))
    if result["seconds"] > LONG and not (given_up["aborts_complete"] and given_up["resets"]):
        wrong.append("nothing was given up")
    say(f"honest daemon and verified I/O on the attacked device: {attacked.repair():.1f} s")
    say(f"the honest device: {victim.finish()} chunks written and read back, no error")
    return (
        f"{result['mutated']} of {arguments.count} mutated completions, "
        f"{result['per_second']:.0f} a second, seed {arguments.seed}, {result['wrong']} wrong"
    )


def main() -> int:
    """Runs everything in the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="mutated completions")
    parser.add_argument("--seed", type=int, default=1, help="decides all choices")
    parser.add_argument(
        "--seconds", type=int, default=14400, help="end after so many at the latest"
    )
    parser.add_argument(
        "--fabric", choices=FABRICS, default="iscsi",
        help="commands are given up by iSCSI initiators (default), or by the kernel's SCSI layer "
        "on loopback ports, or by both",
    )  # fmt: skip
    parser.add_argument("options", nargs="*", help="more options of 'tcmu-fuzz run', after --")
    arguments = parser.parse_args()
    say_machine()
    wrong: list[str] = []
    ran = "ended early"
    with tempfile.TemporaryDirectory(prefix="tcmu-fuzz-") as folder, undone(wrong) as context:
        use_copies(Path(folder))
        # It would look at the attacked disk again and again.
        udev.end()
        ran = attack(context, arguments, wrong)
    return verdict(wrong, "withstood", "NOT WITHSTOOD", f"{ran}, given up over {arguments.fabric}")


if __name__ == "__main__":
    sys.exit(main())
