#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# lab: timeout=3600 impl=rust
"""Logins, verified I/O, a target that is lost now and then, logouts: memory stays flat."""

import argparse
import sys

from isrlib.cycles import repeat, work, work_on
from isrlib.initiator import Disk
from isrlib.login import Login
from ksftlib.ktap import Context
from ksftlib.wait import Task, until

#: Each so many cycles the target is lost for good, or comes back.
_LOST, _BACK = 4, 5


class Cycles:
    """One cycle after the other, on one target."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rig = Login(context)
        self._losses = self._returns = 0

    def __call__(self, number: int) -> None:
        """Logs in, works, and logs out."""
        disk = self._rig.initiator.login()
        if number % _LOST == 1:
            self._lose(disk)
        elif number % _BACK == 2:
            self._return(disk)
        else:
            work(disk)
        self._rig.initiator.logout()

    def _broken(self, disk: Disk) -> Task:
        """The target ends the connection under a load."""
        load = Task(self._context, lambda: work_on(disk), "a load")
        self._rig.busy(disk)
        errors = self._rig.daemon.conn_errors()
        self._rig.target.disable()
        until(lambda: self._rig.daemon.conn_errors() > errors, "a connection error", 60)
        return load

    def _lose(self, disk: Disk) -> None:
        self._rig.initiator.set_replacement(2)
        load = self._broken(disk)
        until(lambda: self._rig.initiator.state() == "FREE", "the session to give up", 60)
        assert load.wait(60) != "", "no error of I/O without a target"
        self._rig.initiator.logout()
        self._rig.target.enable()
        self._losses += 1

    def _return(self, disk: Disk) -> None:
        load = self._broken(disk)
        self._rig.target.enable()
        error = load.wait(120)
        assert error == "", f"I/O failed with a target that came back: {error}"
        self._returns += 1

    def end(self) -> str:
        """Nothing is left of any session; how often the target was lost."""
        self._rig.all_given_back()
        return f"{self._losses} lost targets, {self._returns} that came back"


def main() -> int:
    """Runs it on the machine that this is called on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=200, help="how many (default: 200)")
    arguments = parser.parse_args()
    context = Context()
    return repeat(context, arguments.cycles, lambda: Cycles(context))


if __name__ == "__main__":
    sys.exit(main())
