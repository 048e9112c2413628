#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: host=two_guests timeout=3600 impl=rust
"""Two machines: logins, verified I/O, a cable that is cut under it and restored, logouts.

Every other time the cable stays away until the session has given up. Either way the kernel is about
to have a command aborted when the connection goes, so that the command outlives it. Memory stays
flat.
"""

import argparse
import sys
import time

from isrlib.cables import INITIATORS, TARGETS, cable, play, who_waits
from isrlib.cycles import repeat, work, work_on
from isrlib.initiator import Calls, Daemon, Initiator, sessions, stuck_workers
from isrlib.module import ISER
from isrlib.rig import SOON, endpoints
from isrlib.wire import Link
from ksftlib.ktap import PATIENCE, Context, equal
from ksftlib.wait import Task, until

#: Seconds that a session waits for its connection, when it is to give up and when not.
_SHORT, _LONG = 1, 600

#: Seconds until something is noticed that iscsid looks for.
_NOTICED = 100.0

#: Seconds until the kernel has a command aborted, which is less than it takes to notice that the
#: cable is away; and until it gives up waiting for that.
_TIMEOUT, _ABORT = 1, 300


class Cycles:
    """One cycle after the other, on one target."""

    def __init__(self, context: Context) -> None:
        self._context = context
        context.on_failure(who_waits)
        self._link = Link(context, 0, INITIATORS[0])
        self._daemon = Daemon(context)
        self._initiator = Initiator(
            context, self._daemon, TARGETS[0], _LONG, pings=False, abort=_ABORT
        )
        self._aborts = Calls(context, "iscsi_eh_abort", "libiscsi")
        self._waited = self._given_up = self._aborted = 0

    def _switch(self, state: str) -> None:
        cable(0, state)
        until(lambda: self._link.has_carrier() == (state == "on"), f"the cable to be {state}", 60)

    def _until_state(self, state: str) -> None:
        until(lambda: self._initiator.state() == state, f"the session to be {state}", _NOTICED)

    def __call__(self, number: int) -> None:
        """Logs in, works, loses the cable, has it back, works, logs out."""
        disk = self._initiator.login()
        gives_up = number % 2 == 1
        self._initiator.set_replacement(_SHORT if gives_up else _LONG)
        load = Task(self._context, lambda: work_on(disk), "a load")
        before = disk.commands()
        until(lambda: disk.commands() >= before + 5, "commands", 60)
        (disk.folder / "device/timeout").write_text(f"{_TIMEOUT}\n")
        errors, aborts = self._daemon.conn_errors(), self._aborts.number()
        self._switch("off")
        until(lambda: self._daemon.conn_errors() > errors, "a connection error", _NOTICED)
        self._aborted += self._aborts.number() > aborts
        if gives_up:
            self._until_state("FREE")
            equal(load.wait(_NOTICED) != "", True, "whether I/O fails once the session gives up")
            self._given_up += 1
        self._switch("on")
        self._until_state("LOGGED_IN")
        if not gives_up:
            equal(load.wait(_NOTICED), "", "error of I/O that waited for the cable")
            self._waited += 1
        work(disk)
        self._initiator.logout()

    def _unload(self) -> float:
        """Seconds that the module takes to go while the CM still asks a peer that is away."""
        self._initiator.login()
        self._switch("off")
        self._initiator.logout()
        until(lambda: ISER.references() == 0, "no user of the module")
        start = time.monotonic()
        equal(ISER.delete(), 0, "result of unloading the module")
        took = time.monotonic() - start
        ISER.load()
        self._switch("on")
        assert took < SOON * PATIENCE, f"unloading took {took:.1f} s"
        return took

    def end(self) -> str:
        """Nothing is left of any session; how often the cable was cut."""
        took = self._unload()
        equal((sessions(), endpoints()), ([], []), "sessions and endpoints")
        until(lambda: ISER.references() == 0, "no user of the module")
        equal((stuck_workers("iser"), self._daemon.leaks()), ([], []), "what waits, what is left")
        equal(self._aborted > 0, True, "whether commands were being aborted")
        return (
            f"I/O waited for the cable {self._waited} times, failed {self._given_up} times; "
            f"a command was being aborted {self._aborted} times; "
            f"the module went after {took:.1f} s with the cable away"
        )


def main() -> int:
    """Exit status 1: something went wrong, or memory grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=200, help="how many (default: 200)")

    def initiator(context: Context) -> int:
        return repeat(context, parser.parse_args().cycles, lambda: Cycles(context))

    return play(parser, initiator)


if __name__ == "__main__":
    sys.exit(main())
