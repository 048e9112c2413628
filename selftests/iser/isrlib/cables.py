# SPDX-License-Identifier: GPL-2.0
"""Two machines with two cables between them, a target on one: what the programs for them share."""

import os
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

from ksftlib.ktap import Context
from ksftlib.stacks import waits

from .target import Target
from .wire import Link

#: Addresses of each cable.
TARGETS, INITIATORS = ("10.7.7.1", "10.7.8.1"), ("10.7.7.2", "10.7.8.2")

#: Size of the target's disk.
MEGABYTES = 64

#: Longest time that the target waits to be told to end.
_LONGEST = 3500.0


#: Seconds of cleaning up after which it is said who waits.
_SLOW = 30.0

#: Threads of a target's connections, of which some wait otherwise, too.
_TARGET = "iscsi"


def who_waits() -> str:
    """Where all are that sleep uninterruptibly, and the threads of iSCSI."""
    found = waits(lambda name, state: name.startswith(_TARGET) or state == "D")
    return "\n".join(f"{name} waits: {calls}" for name, calls in found)


def say(text: str) -> None:
    """For the host, which reads along."""
    print(text, flush=True)


def cable(number: int, state: str) -> None:
    """Has the host switch a cable ``off`` or ``on``."""
    # On a line of its own: iscsid ends its lines later than it begins them.
    say(f"\ncable {number}: {state}")


def _serve(context: Context) -> int:
    """Serves a disk in memory until the host has had enough."""
    for number, address in enumerate(TARGETS):
        Link(context, number, address)
    Target(context, *TARGETS, megabytes=MEGABYTES)
    say("ready")
    stop = Path(os.environ["RESULTS"]) / "stop"
    deadline = time.monotonic() + _LONGEST
    while not stop.exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    return 0


def play(parser: ArgumentParser, initiator: Callable[[Context], int]) -> int:
    """Plays the part that the command line says, the target's or `initiator`: exit status."""
    parser.add_argument("role", choices=("target", "initiator"))
    context = Context()
    status = 1
    try:
        is_target = parser.parse_args().role == "target"
        status = _serve(context) if is_target else initiator(context)
    finally:
        slow = threading.Timer(_SLOW, lambda: say(f"cleaning up takes long\n{who_waits()}"))
        slow.start()
        errors = context.clean_up()
        slow.cancel()
        for error in errors:
            say(error)
    return status
