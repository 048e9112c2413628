# SPDX-License-Identifier: GPL-2.0
"""The LLDD without an adapter, a target, and an association with a queue."""

import errno

from ksftlib import debugfs
from ksftlib.debugfs import Values
from ksftlib.impl import loaded
from ksftlib.ktap import Context
from ksftlib.wait import until

from .lldd import Lldd
from .nvme_command import PLAIN, NvmeCommand
from .target import Target

#: Whose symbols tell that target queues are in Rust.
CRATE = "fcq"

_ACCEPTED = (0, -errno.EOVERFLOW)


def statistics_shown() -> bool:
    """Whether target queues count: those in C do not."""
    return loaded(CRATE) == "rust"


class LlddRig:
    """What most tests work on: a queue of so many jobs that is not connected with a controller.

    Such a queue answers each command at once, and a job is in use as long as the LLDD does not say
    that the response was sent.
    """

    def __init__(self, context: Context, jobs: int, defers: bool = True, qid: int = 1) -> None:
        self.lldd = Lldd(context, defers)
        self.target = Target(context, self.lldd.address, number=9)
        self.association = self.lldd.associate()
        self.connection = self.association.connect(qid, jobs)

    def send(self, count: int = 1, command: NvmeCommand = PLAIN) -> "list[int]":
        """Commands whose response is held."""
        return self.lldd.send(self.connection, command, count, hold="rsp")

    def fill(self, jobs: int) -> "list[int]":
        """So many that have a job."""
        numbers = self.send(jobs)
        for number in numbers:
            self.lldd.wait_asked(number, "rsp")
        return numbers

    def refused(self, number: int) -> bool:
        """Whether a command was not accepted."""
        return self.lldd.command(number).returned not in _ACCEPTED

    def finish(self, *numbers: int) -> None:
        """Completes the responses of these commands, and waits until they are given back."""
        for number in numbers:
            self.lldd.complete(number)
        self.lldd.wait_released(*numbers)

    def wait_queues(self, number: int) -> None:
        """Waits until so many target queues are left, if that can be seen."""
        if statistics_shown():
            until(lambda: self.statistics()["queues"] == number, f"{number} queues to be left", 60)

    def refusals(self) -> int:
        """How many commands were refused because too many waited; 0 where that is not counted."""
        return self.statistics()["refused_full"] if statistics_shown() else 0

    @staticmethod
    def statistics() -> Values:
        """What the target queues count."""
        return Values((debugfs.folder("nvmet_fc") / "queues").read_text(encoding="ascii"))
