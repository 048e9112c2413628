# SPDX-License-Identifier: GPL-2.0
"""One round: a device, a daemon, some sessions, and what they did."""

import contextlib
import itertools
import queue
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ksftlib.files import read, write
from ksftlib.ktap import PACE, PATIENCE, Context
from ksftlib.trace import Trace
from ksftlib.wait import until

from ..configfs import TARGET
from ..impl import implementation
from ..iscsi import Target
from ..iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, NO_TASK
from ..rig import Rig
from . import evidence
from .books import Books, End, Kind
from .medium import BLOCKS
from .nexus import SLOTS, Nexus, Odds
from .registry import Order, Registry
from .session import Came, Session

#: Nexuses, each with a region of the disk. The last one never registers.
PLACES = 5

#: Bytes of the disk.
_SIZE = 16 << 20

#: Longest command window that the iSCSI target offers.
_WINDOW = 512

#: Seconds in which everything must end when nothing new is sent.
_DRAIN = 30.0

#: Seconds in which a second answer, or one that must not come, would come.
_GRACE = 1.0

#: Seconds after which the daemon changes its mind about aborted commands.
_CHANGE = 3.0

#: Seconds between two acknowledgements of all that has come.
_PING = 0.25

#: The core's events; only Rust's has them.
_EVENTS = ("tmr_received", "tmr_abort", "tmr_notify", "tmr_done")


def _stacks() -> str:
    """Where the kernel's threads wait that have to do with the target."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            stack = (folder / "stack").read_text() if folder.name.isdigit() else ""
            if "[target_core_" in stack:
                found.append(f"{read(folder / 'comm')}\n{stack}")
    return "\n".join(found)


@dataclass(frozen=True)
class Plan:
    """What differs between rounds."""

    name: str
    #: Milliseconds for which the daemon keeps a command, and most that is added at random.
    delay: int = 0
    jitter: int = 60
    #: cmd_time_out in seconds.
    time_out: int = 0
    #: What the daemon does with aborted commands, in turn.
    on_tmr: tuple[str, ...] = ("cancel", "ignore")
    odds: Odds = field(default_factory=Odds)


#: Rounds of the soak, again and again.
PLANS = (
    Plan("short delays"),
    Plan("long delays", delay=20, jitter=400),
    Plan("time-outs", jitter=1600, time_out=1),
    Plan("many resets", jitter=120, odds=Odds(reset=0.03, reserve=0.005)),
    Plan("many preempts", delay=50, jitter=300, odds=Odds(reset=0.003, reserve=0.06)),
    Plan("time-outs, nothing cancelled", delay=300, jitter=900, time_out=1, on_tmr=("ignore",)),
)


@dataclass
class Outcome:
    """What a round has shown."""

    totals: Counter[str]
    violations: list[str]


class Round:
    """The nexuses and what they share. `run` may be called once."""

    def __init__(self, context: Context, plan: Plan, seed: int) -> None:
        self._context = context
        self._plan = plan
        self._chance = random.Random(seed)
        self.odds = plan.odds
        self.expires = plan.time_out > 0
        # The C core has two hangs, and does not answer functions that a reset ends.
        self._c = implementation() == "c"
        self.books = Books(self.expires, loses_functions=self._c)
        # C waits for a PREEMPT AND ABORT that another one has aborted, while it holds what that waits
        # for.
        self.registry = Registry(one_at_a_time=self._c)
        self._violations: list[str] = []
        self._trace = None if self._c else Trace(context, "target_tmr", *_EVENTS)
        serial = f"tcmu-soak-{seed & 0xFFFF:x}"
        folder = Path(read(TARGET / "dbroot")) / "pr"
        folder.mkdir(parents=True, exist_ok=True)
        context.defer(lambda: (folder / f"aptpl_{serial}").unlink(missing_ok=True))
        self._rig = Rig(
            context, "--hold", f"all,delay={plan.delay},jitter={plan.jitter}", "--seed", str(seed),
            attributes={"tmr_notification": 1, "cmd_time_out": plan.time_out}, size=_SIZE,
        )  # fmt: skip
        write(self._rig.device.path / "wwn" / "vpd_unit_serial", serial)
        self._target = Target(context)
        write(self._target.tpg / "attrib" / "default_cmdsn_depth", str(_WINDOW))
        self._target.add_lun(self._rig.device)
        self._target.enable()
        self._next_ping = 0.0
        context.on_failure(_stacks)
        self._inbox: queue.Queue[Came] = queue.Queue()
        self._before = self._statistics()
        assert PLACES * SLOTS * BLOCKS * 512 <= _SIZE
        self._nexuses = [
            Nexus(place, self, random.Random(self._chance.random()), place == PLACES - 1)
            for place in range(PLACES)
        ]

    # For the nexuses.

    def open_session(self) -> Session:
        """A new session; its commands are let go before it is logged out."""
        session = Session(self._context, self._target, self._inbox)
        self._context.defer(self._rig.relax)
        return session

    def _resets(self) -> bool:
        """Whether a LUN RESET is not answered yet."""
        return any(nexus.reset is not None for nexus in self._nexuses)

    def may_reset(self) -> bool:
        """A PREEMPT AND ABORT runs in the thread that takes its session's acknowledgements, and waits
        for its turn: a reset that waits for the session's other commands would never end. C waits
        for ever whenever both meet.
        """
        return not any(n.preempts and (n.busy or self._c) for n in self._nexuses)

    def may_preempt(self, busy: bool) -> bool:
        """Likewise."""
        return not self._resets() or not (busy or self._c)

    def may_be_busy(self) -> bool:
        """C aborts the sender's commands as well, and waits for their acknowledgement."""
        return not self._c

    def reach(self, nexus: int, order: Order) -> tuple[frozenset[int], frozenset[int]]:
        """In C whose commands are aborted depends on the key of the holder when each came in."""
        victims = self.registry.victims(nexus, order)
        if self._c:
            return frozenset(n.session.number for n in self._nexuses), frozenset()
        sure = (
            n for n in victims
            if self.registry.key(n) is not None and not self.registry.threatened(n)
        )  # fmt: skip
        return victims, frozenset(sure)

    def wrong(self, what: str) -> None:
        """Something is not as it must be."""
        self._violations.append(what)

    # The round.

    def run(self, seconds: float) -> Outcome:
        """Sends for so many seconds, waits for the end of everything, and compares."""
        start = time.monotonic()
        changes = 0
        while time.monotonic() < start + seconds and not self._violations:
            if time.monotonic() > start + changes * _CHANGE:
                modes = self._plan.on_tmr
                self._rig.daemon.ctl(f"on-tmr {modes[changes % len(modes)]}")
                changes += 1
            for nexus in self._nexuses:
                nexus.step()
            self._take(0.004)
            self._ping()
        for nexus in self._nexuses:
            nexus.stopped = True
        self._drain()
        return self._compare()

    def _take(self, seconds: float) -> None:
        """Takes the answers that come in this time, and all that are there."""
        try:
            came = self._inbox.get(timeout=seconds)
            while True:
                self._came(came)
                came = self._inbox.get_nowait()
        except queue.Empty:
            pass

    def _ping(self) -> None:
        if time.monotonic() > self._next_ping:
            self._next_ping = time.monotonic() + _PING
            for nexus in self._nexuses:
                nexus.session.ping()

    def _came(self, came: Came) -> None:
        self.books.answer(came.tag, came.code, came.sense[0], came.time)
        reset = self._c and any(nexus.reset == came.tag for nexus in self._nexuses)
        for nexus in self._nexuses:
            if nexus.session is came.session:
                nexus.came(came)
            elif reset:
                # Another nexus's functions may be decided by this.
                nexus.functions_lost(came.tag)

    def _drain(self) -> None:
        end = time.monotonic() + _DRAIN * PATIENCE
        while any(nexus.outstanding() for nexus in self._nexuses) and time.monotonic() < end:
            self._take(0.05)
            self._ping()
        for nexus in self._nexuses:
            if nexus.outstanding():
                self.wrong(f"place {nexus.place}: {nexus.story()} have not ended")
        end = time.monotonic() + _GRACE * PACE
        while time.monotonic() < end:
            self._take(0.05)
        # What was given up is still with the daemon.
        until(lambda: not self._rig.daemon.held(), "the daemon's last commands")

    def _statistics(self) -> dict[str, int]:
        return {**self._rig.statistics("scsi_tgt_dev"), **self._rig.statistics("scsi_lu")}

    def _compare(self) -> Outcome:
        after = self._statistics()
        grown = {name: after[name] - self._before[name] for name in after}
        found = self._violations + self.books.violations()
        log = evidence.DaemonLog(self._rig.daemon.events())
        found += log.violations(self.books)
        found += evidence.counters(self.books, self._before, after)
        traced: Counter[str] = Counter()
        if self._trace:
            assert not self._trace.lost(), "trace events were lost"
            trace = evidence.TmrTrace(self._trace.events_by_task())
            found += trace.violations(self.books, grown)
            traced = trace.count
        return Outcome(self._totals(log, grown, traced), found)

    def _totals(
        self, log: evidence.DaemonLog, grown: dict[str, int], traced: "Counter[str]"
    ) -> "Counter[str]":
        books, totals = self.books, Counter[str]()
        totals["commands sent"] = len(books.commands)
        for kind in Kind:
            totals[f"  {kind.value}"] = sum(c.kind is kind for c in books.commands.values())
        totals["commands answered"] = books.arrived["commands"]
        for end in End:
            totals[f"  ended with {end.value}"] = books.ends()[end]
        totals["functions sent"] = len(books.functions)
        totals["functions answered"] = books.arrived["functions"]
        for name, function in (("ABORT TASK", ABORT_TASK), ("LUN RESET", LUN_RESET)):
            responses = books.responses(function)
            totals[f"  {name}"] = responses.total()
            if function == ABORT_TASK:
                totals["    ABORT TASK, complete, for a command that was answered"] = sum(
                    f.response == COMPLETE and f.about in books.commands
                    and books.commands[f.about].end is not End.SILENT
                    for f in books.functions.values()
                )  # fmt: skip
            for word, code in (
                ("complete", COMPLETE), ("no task", NO_TASK),
                ("ended by a reset, no answer", None),
            ):  # fmt: skip
                totals[f"    {name}, {word}"] = responses[code]
        preempts = books.preempts()
        pairs = [(p, q) for p, q in itertools.combinations(preempts, 2) if p.overlaps(q)]
        totals["PREEMPT AND ABORTs carried out"] = len(preempts)
        totals["  with registered victims"] = sum(bool(p.sure) for p in preempts)
        totals["  pairs at the same time"] = len(pairs)
        totals["  pairs of one victim at the same time"] = sum(
            bool(p.victims & q.victims) for p, q in pairs
        )
        for name in ("num_cmds", "aborts_complete", "aborts_no_task", "resets"):
            totals[f"kernel: {name}"] = grown[name]
        for name, count in sorted(traced.items()):
            totals[f"trace: {name}"] = count
        for name in (
            "seen", "completed", "cancelled", "kept back", "notifications", "listed",
            "preempts judged", "known to a preempt's victim",
        ):  # fmt: skip
            totals[f"daemon: {name}"] = log.count[name]
        totals["sessions"] = sum(nexus.logins for nexus in self._nexuses)
        return totals
