#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: host=two_guests timeout=1800 impl=both
"""Two machines with iSER over two cables, one of which is cut: how long I/O waits, and for whom.

dm-multipath makes one disk of the two paths. fio writes to it and reads back before, while and
after the cable of the first path is cut.
"""

import argparse
import sys
import time
from functools import partial

from isrlib.cables import INITIATORS, MEGABYTES, TARGETS, cable, play, say
from isrlib.initiator import Daemon, Disk, Initiator, Probes, stuck_workers
from isrlib.multipath import Multipath
from isrlib.wire import Link
from ksftlib.fio import Fio, wait_all
from ksftlib.ktap import Context
from ksftlib.wait import Task, until

#: Seconds that a session waits for its connection to come back, and what fail-over may take
#: besides, once the loss was noticed.
REPLACEMENT_TIMEOUT, ALLOWANCE = 15, 5.0

#: What ep_disconnect may take, in seconds.
DISCONNECT = 0.05

#: Longest time until iSCSI is told, or I/O fails.
_PATIENCE = 200.0

_EP_DISCONNECT = "iscsi_iser_ep_disconnect"


def longest_gap(disk: Disk, seconds: float) -> float:
    """Reads a page again and again for so long: the longest time that one took."""
    longest, now = 0.0, time.monotonic()
    end = now + seconds
    while now < end:
        disk.read(MEGABYTES * 512 * 1024)
        before, now = now, time.monotonic()
        longest = max(longest, now - before)
        time.sleep(0.05)
        now = time.monotonic()
    return longest


def verify(context: Context, disk: Disk, name: str, *arguments: str) -> Fio:
    """fio on a part of the disk of its own."""
    place = ("before", "meanwhile", "after").index(name) * 8
    return Fio(
        context, name, f"--filename={disk.path}", "--size=4m", f"--offset={place}m",
        "--bsrange=4k-64k", "--direct=1", *arguments,
    )  # fmt: skip


class FailOver:
    """What happens when the first of two paths is cut."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._link, _ = (Link(context, *each) for each in enumerate(INITIATORS))
        self.daemon = Daemon(context)
        self._sessions = [
            Initiator(context, self.daemon, address, REPLACEMENT_TIMEOUT) for address in TARGETS
        ]
        self._paths = [session.login() for session in self._sessions]
        self._disk = Multipath(context, self._paths)
        self._probes = Probes(context, _EP_DISCONNECT)
        self._cut = 0.0

    def _since(self) -> float:
        return time.monotonic() - self._cut

    def __call__(self, wait: float) -> str:
        """Returns what came of it."""
        self._verify_all("before")
        # It lasts longer than one path is missed.
        meanwhile = verify(self._context, self._disk, "meanwhile", "--rate_iops=6,6")
        reading = partial(longest_gap, self._disk, wait / 2)
        gap = Task(self._context, reading, "reads over both paths")
        time.sleep(2)
        errors = self.daemon.conn_errors()
        cable(0, "off")
        until(lambda: not self._link.has_carrier(), "the cable to be cut", 60)
        self._cut = time.monotonic()
        read = Task(self._context, self._paths[0].read_error, "a read over the first path")
        until(lambda: self.daemon.conn_errors() > errors, "a connection error", _PATIENCE)
        error = self._since()
        say(f"connection error after {error:.1f} s")
        failed = read.wait(_PATIENCE)
        took = read.end - self._cut
        say(f"the first path's read ends with {failed or 'no error'} after {took:.1f} s")
        wait_all([meanwhile], _PATIENCE)
        longest = gap.wait(_PATIENCE)
        self._verify_all("after")
        say(f"{self._disk.status()}; longest read over both paths {longest:.1f} s")
        # The CM gives up.
        time.sleep(max(0.0, wait - self._since()))
        return self._verdict(error, took if failed else 0.0, longest, wait)

    def _verify_all(self, name: str) -> None:
        wait_all([verify(self._context, self._disk, name)], _PATIENCE)
        say(f"data written {name} the cut is right")

    def _verdict(self, error: float, took: float, longest: float, wait: float) -> str:
        calls = self._probes.calls(_EP_DISCONNECT)
        slowest = max((end - begin for begin, end in calls), default=0.0)
        ended = calls[0][1] - self._cut if calls else 0.0
        workers = stuck_workers("iser")
        leaks = self.daemon.leaks()
        for line in [*(f"{name} waits: {stack}" for name, stack in workers), *leaks]:
            say(line)
        text = (
            f"after the cut: connection error {error:.1f} s, ep_disconnect {ended:.1f} s, "
            f"I/O error {took:.1f} s; longest read over two paths {longest:.1f} s; "
            f"ep_disconnect took {slowest * 1000:.1f} ms; "
            f"{len(workers)} workers wait after {wait:.0f} s"
        )
        bound = error + REPLACEMENT_TIMEOUT + ALLOWANCE
        late = not took or max(took, longest) > bound or slowest > DISCONNECT
        return f"FAILED: {text}" if late or workers or leaks or not calls else text

    def restore(self) -> str:
        """The cable is back: so is the path."""
        cable(0, "on")
        self._cut = time.monotonic()
        until(lambda: self._sessions[0].state() == "LOGGED_IN", "the first path's session", 60)
        return f"the path was back after {self._since():.1f} s"


def main() -> int:
    """Exit status 1: it took too long, or something still waits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wait", type=float, default=200.0,
                        help="seconds after the cut until the last look at who waits")  # fmt: skip

    def initiator(context: Context) -> int:
        fail_over = FailOver(context)
        verdict = fail_over(parser.parse_args().wait)
        say(f"verdict: {verdict}")
        say(fail_over.restore())
        return int(verdict.startswith("FAILED"))

    return play(parser, initiator)


if __name__ == "__main__":
    sys.exit(main())
