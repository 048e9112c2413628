# SPDX-License-Identifier: GPL-2.0
"""Books of what was sent and what came back, and the rules that they must obey.

Nothing here needs a kernel. Every event gets a number, in the order in which one program sent
and received them: that of sending is taken before, that of an answer after the fact. So two
things that overlapped in the target overlap in the books.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from ..iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, NO_TASK
from ..scsi import BUSY, CHECK_CONDITION, GOOD, RESERVATION_CONFLICT, TASK_ABORTED, TASK_SET_FULL

#: Sense key.
UNIT_ATTENTION = 6


class Kind(Enum):
    """What a command is."""

    READ = "READ"
    WRITE = "WRITE"
    READY = "TEST UNIT READY"
    #: PERSISTENT RESERVE IN and OUT, but for the next.
    RESERVE = "PERSISTENT RESERVE"
    PREEMPT = "PREEMPT AND ABORT"

    @property
    def reaches_daemon(self) -> bool:
        """Whether the backend gets it. The core carries reservations out itself."""
        return self in (Kind.READ, Kind.WRITE, Kind.READY)


class End(Enum):
    """How a command ended."""

    GOOD = "GOOD"
    UNIT_ATTENTION = "unit attention"
    CONFLICT = "RESERVATION CONFLICT"
    FULL = "BUSY, TASK SET FULL"
    EXPIRED = "expired (CHECK CONDITION)"
    ABORTED = "TASK ABORTED"
    #: Ended without an answer.
    SILENT = "no answer"
    OTHER = "other status"


@dataclass(frozen=True)
class Reply:
    """An answer."""

    order: int
    code: int
    sense_key: int = 0
    #: CLOCK_MONOTONIC in seconds, after it came.
    time: float = 0.0


@dataclass
class Request:
    """What a session, which is an I_T nexus of its own, sent with a tag of its own."""

    tag: int
    nexus: int
    sent: int
    replies: list[Reply] = field(default_factory=list, init=False)

    @property
    def ended(self) -> float:
        """Number of the (first) answer's event; later than all if there is none."""
        return self.replies[0].order if self.replies else float("inf")

    def overlaps(self, other: "Request") -> bool:
        """Whether both may have been in the target at the same time."""
        return self.sent < other.ended and other.sent < self.ended


@dataclass
class Command(Request):
    """A SCSI command."""

    kind: Kind
    cdb: bytes
    #: CLOCK_MONOTONIC in seconds, before it was sent.
    time: float
    #: Other nexuses whose registrations it may remove, and those whose it does if it is good and
    #: nothing else does. A PREEMPT AND ABORT may end commands of the former, and no others.
    victims: frozenset[int] = frozenset()
    sure: frozenset[int] = frozenset()

    def preempted_by(self, preempts: "Iterable[Command]") -> bool:
        """Whether one of these PREEMPT AND ABORTs may have reached it."""
        return any(self.nexus in p.victims and p.overlaps(self) for p in preempts)

    @property
    def end(self) -> End:
        """How it ended, as far as the books say by now."""
        if not self.replies:
            return End.SILENT
        reply = self.replies[0]
        if reply.code == CHECK_CONDITION:
            return End.UNIT_ATTENTION if reply.sense_key == UNIT_ATTENTION else End.EXPIRED
        return {
            GOOD: End.GOOD,
            RESERVATION_CONFLICT: End.CONFLICT,
            BUSY: End.FULL,
            TASK_SET_FULL: End.FULL,
            TASK_ABORTED: End.ABORTED,
        }.get(reply.code, End.OTHER)


@dataclass
class Function(Request):
    """A task management function."""

    function: int
    #: The command's tag, for ABORT TASK.
    about: int

    @property
    def response(self) -> "int | None":
        """The response, `None` without one."""
        return self.replies[0].code if self.replies else None


class Books:
    """All commands and task management functions of all sessions.

    `expires` says whether the backend gives commands up, and `loses_functions` whether a reset may
    leave a function of another nexus without an answer, as the C core does. TAS is 1, as it always
    is with tcmu: who is aborted by another nexus is told.
    """

    def __init__(self, expires: bool = False, loses_functions: bool = False) -> None:
        self._expires = expires
        self._loses_functions = loses_functions
        self._order = 0
        #: Number of the first event after which there may be a reservation.
        self._reserved = float("inf")
        self.commands: dict[int, Command] = {}
        self.functions: dict[int, Function] = {}
        #: Answers that came, counted one by one as they came.
        self.arrived: Counter[str] = Counter()
        self._strays: list[str] = []

    def _next(self) -> int:
        self._order += 1
        return self._order

    def command(
        self, tag: int, nexus: int, kind: Kind, cdb: bytes, time: float,
        victims: frozenset[int] = frozenset(), sure: frozenset[int] = frozenset(),
    ) -> Command:  # fmt: skip
        """Enters a command, before its answer is taken from wherever it came in."""
        assert tag not in self.commands and tag not in self.functions, f"tag {tag:#x} twice"
        command = Command(tag, nexus, self._next(), kind, cdb, time, victims, sure)
        self.commands[tag] = command
        if kind in (Kind.RESERVE, Kind.PREEMPT):
            self._reserved = min(self._reserved, command.sent)
        return command

    def function(self, tag: int, nexus: int, function: int, about: int = 0) -> Function:
        """Enters a task management function, likewise."""
        assert tag not in self.commands and tag not in self.functions, f"tag {tag:#x} twice"
        entry = Function(tag, nexus, self._next(), function, about)
        self.functions[tag] = entry
        return entry

    def answer(self, tag: int, code: int, sense_key: int = 0, time: float = 0.0) -> None:
        """Enters an answer."""
        request = self.commands.get(tag) or self.functions.get(tag)
        if request is None:
            self._strays.append(f"answer {code:#x} to tag {tag:#x}, which was never used")
            return
        self.arrived["commands" if tag in self.commands else "functions"] += 1
        request.replies.append(Reply(self._next(), code, sense_key, time))

    def violations(self) -> list[str]:
        """Everything that breaks a rule, once nothing is outstanding any more."""
        found = list(self._strays)
        resets = self.resets()
        aborts: dict[int, list[Function]] = {}
        for function in self.functions.values():
            found += self._judge_function(function, resets)
            if function.function == ABORT_TASK:
                aborts.setdefault(function.about, []).append(function)
        preempts = self.preempts()
        for command in self.commands.values():
            what = f"{command.kind.value} {command.tag:#x} of nexus {command.nexus}"
            found += [
                f"{what}: {wrong}"
                for wrong in self._judge(command, aborts.get(command.tag, []), resets, preempts)
            ]
        return [*found, *self._sums()]

    def _judge(
        self, command: Command, aborts: list[Function], resets: list[Function],
        preempts: list[Command],
    ) -> Iterable[str]:  # fmt: skip
        if len(command.replies) > 1:
            yield f"{len(command.replies)} answers: {command.replies}"
        for abort in aborts:
            # The iSCSI target says so too about a command that it has released, and before that
            # the command's answer must have come.
            if command.replies and abort.response == COMPLETE and abort.ended < command.ended:
                yield f"aborted, and then answered with {command.replies[0].code:#x}"
        end = command.end
        if end is End.SILENT:
            # One that a reset has ended may have taken its command before; that it was one is
            # judged where the function is.
            taken = any(abort.response in (COMPLETE, None) for abort in aborts)
            if not taken and not self.reset_by_itself(command, resets):
                yield "no answer, and nothing that its nexus asked for ended it"
        elif end is End.ABORTED:
            if not self._ended_by_another(command, resets, preempts):
                yield "TASK ABORTED without a reset of another nexus or a preempt of its own"
        elif end is End.CONFLICT and command.ended < self._reserved:
            yield "RESERVATION CONFLICT before anybody sent a PERSISTENT RESERVE OUT"
        elif end is End.EXPIRED and not (self._expires and command.kind.reaches_daemon):
            yield f"CHECK CONDITION with sense key {command.replies[0].sense_key}"
        elif end is End.OTHER:
            yield f"status {command.replies[0].code:#x}"

    @staticmethod
    def _ended_by_another(
        command: Command, resets: list[Function], preempts: list[Command]
    ) -> bool:
        """Whether a LUN RESET or PREEMPT AND ABORT of another nexus may have ended it."""
        others = (reset for reset in resets if reset.nexus != command.nexus)
        return any(o.overlaps(command) for o in others) or command.preempted_by(preempts)

    def preempts(self) -> list[Command]:
        """All PREEMPT AND ABORTs that may have ended commands."""
        return [
            command for command in self.commands.values()
            if command.kind is Kind.PREEMPT and command.end in (End.GOOD, End.ABORTED, End.SILENT)
        ]  # fmt: skip

    def _judge_function(self, function: Function, resets: list[Function]) -> Iterable[str]:
        what = f"function {function.function} {function.tag:#x} of nexus {function.nexus}"
        if len(function.replies) > 1:
            yield f"{what}: {len(function.replies)} answers: {function.replies}"
        if function.function == LUN_RESET:
            if function.response != COMPLETE:
                yield f"{what}: response {function.response}"
            return
        over = [reset for reset in resets if reset.overlaps(function)]
        own = any(reset.nexus == function.nexus for reset in over)
        other = any(reset.nexus != function.nexus for reset in over)
        if function.response is None:
            if not own and not (self._loses_functions and other):
                yield f"{what}: no answer, and no reset ended it"
        elif function.response not in (COMPLETE, NO_TASK):
            yield f"{what}: response {function.response}"

    def _sums(self) -> Iterable[str]:
        ends = self.ends()
        silent = ends[End.SILENT]
        if len(self.commands) != self.arrived["commands"] + silent:
            yield (
                f"{len(self.commands)} commands, but {self.arrived['commands']} answers and "
                f"{silent} without one"
            )
        mute = sum(not function.replies for function in self.functions.values())
        if len(self.functions) != self.arrived["functions"] + mute:
            yield (
                f"{len(self.functions)} functions, but {self.arrived['functions']} answers and "
                f"{mute} without one"
            )

    def resets(self) -> list[Function]:
        """All LUN RESETs."""
        return [f for f in self.functions.values() if f.function == LUN_RESET]

    @staticmethod
    def reset_by_itself(command: Command, resets: list[Function]) -> bool:
        """Whether a LUN RESET of the command's own nexus may have ended it."""
        return any(
            reset.nexus == command.nexus and reset.response == COMPLETE and reset.overlaps(command)
            for reset in resets
        )

    def ends(self) -> Counter[End]:
        """Commands by how they ended."""
        return Counter(command.end for command in self.commands.values())

    def responses(self, function: int) -> Counter["int | None"]:
        """Functions of a kind by response."""
        return Counter(f.response for f in self.functions.values() if f.function == function)
