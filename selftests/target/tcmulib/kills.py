# SPDX-License-Identifier: GPL-2.0
"""A daemon that is killed again and again under input and output, every byte checked."""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ksftlib.ktap import Context
from ksftlib.wait import until

from .load import Load
from .rig import file_backed

#: What the daemon does when it is killed, and what it is told for it.
_STATES = {
    "running": (),
    "completing out of order": ("hold all,delay=1,jitter=30",),
    "holding commands": ("hold all",),
    "not reading the ring": ("pause",),
}

#: Those in which it answers commands: their ring cannot be taken over as it is, since the answer
#: that is being written destroys the request under it.
_ANSWERING = ("running", "completing out of order")


@dataclass(frozen=True)
class Takeover:
    """How the next daemon begins."""

    name: str
    #: Level of reset_ring; 0 for none.
    level: int = 0
    #: Whether the device is blocked meanwhile. The daemon does it then, with the node open, as
    #: tcmu-runner; otherwise the ring is reset while nobody has it open.
    blocked: bool = False


TAKEOVERS = (
    Takeover("the ring as it is"),
    Takeover("reset_ring 1", 1),
    Takeover("reset_ring 2", 2),
    Takeover("block_dev, reset_ring 1", 1, blocked=True),
)


@dataclass(frozen=True)
class Turn:
    """A daemon that was killed, and the next one."""

    state: str
    takeover: Takeover
    #: Seconds from SIGKILL to the first command that the next daemon completes.
    recovery: float


#: Everything that a turn can be.
TURNS = tuple(
    (state, takeover)
    for state, takeover in product(_STATES, TAKEOVERS)
    if takeover.level or state not in _ANSWERING
)


class Kills:
    """A device under load. `seed` decides what comes when."""

    #: Seconds after which the daemon is killed at the latest.
    _MOST = 0.15

    def __init__(self, context: Context, seed: int) -> None:
        self._random = random.Random(seed)
        self._left: list[tuple[str, Takeover]] = []
        self._rig = file_backed(context)
        # reset_ring 2 makes commands fail.
        self._load = Load(context, self._rig.disk(), processes=4, persistent=True)
        self._load.goes_on(1)

    def turn(self) -> Turn:
        """Kills the daemon; another one goes on. Each kind comes once before one comes again."""
        if not self._left:
            self._left = self._random.sample(TURNS, len(TURNS))
        state, takeover = self._left.pop()
        rig = self._rig
        time.sleep(self._random.uniform(0, self._MOST))
        for request in _STATES[state]:
            rig.daemon.ctl(request)
        if state == "holding commands":
            until(rig.daemon.held, "a held command")
        time.sleep(self._random.uniform(0, self._MOST))
        killed = time.monotonic()
        rig.daemon.kill()
        rig.daemon.stop()
        if takeover.level and not takeover.blocked:
            rig.device.action("reset_ring", takeover.level)
        level = takeover.level if takeover.blocked else 0
        rig.restart(*(("--reset-ring", str(level)) if level else ()), reset_ring=False)
        first = rig.daemon.wait_event("complete", seconds=40)
        # Every command that was in flight must end.
        self._load.goes_on(1)
        return Turn(state, takeover, first.time - killed)

    def finish(self) -> int:
        """Ends the load, which looks at everything once more; returns the chunks of it all."""
        self._load.goes_on(2)
        chunks = sum(self._load.done())
        assert self._load.stop(), "nothing was written"
        return chunks


def table(turns: Sequence[Turn]) -> list[str]:
    """Times to recover: each kind of takeover, and all those with reset_ring."""
    rows = [
        (takeover.name, [turn.recovery for turn in turns if turn.takeover == takeover])
        for takeover in TAKEOVERS
    ]
    rows.append(("with reset_ring, all", [turn.recovery for turn in turns if turn.takeover.level]))
    lines = [f"{'SIGKILL to the first completion':<32}{'kills':>7}{'median':>10}{'worst':>10}"]
    for name, found in rows:
        if found:
            middle, worst = statistics.median(found), max(found)
            lines.append(f"{name:<32}{len(found):>7}{middle:>8.3f} s{worst:>8.3f} s")
    return lines
