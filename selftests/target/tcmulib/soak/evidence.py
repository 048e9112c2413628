# SPDX-License-Identifier: GPL-2.0
"""The same story from other witnesses: the daemon's log, the core's counters, its tracepoints."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..daemon import Event
from ..iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, NO_TASK, REJECTED
from ..scsi import GOOD
from .books import Books, Command, End, Kind


@dataclass
class _Seen:
    """A command as the daemon saw it."""

    cdb: bytes
    time: float
    status: "int | None" = None
    listed: bool = False


class DaemonLog:
    """What the daemon saw."""

    def __init__(self, events: Iterable[Event]) -> None:
        #: Commands seen, completed, cancelled; notifications; ids in them.
        self.count: Counter[str] = Counter()
        self._wrong: list[str] = []
        self._seen: list[_Seen] = []
        #: The last command of each id. The kernel may not know yet that it is complete.
        self._last: dict[int, _Seen] = {}
        for event in events:
            self._take(event)
        open_ids = [id_ for id_, seen in self._last.items() if seen.status is None]
        if open_ids:
            self._wrong.append(f"the daemon has not completed the ids {open_ids}")

    def _take(self, event: Event) -> None:
        if event.name == "cmd":
            self.count["seen"] += 1
            last = self._last.get(event["id"])
            if last and last.status is None:
                self._wrong.append(f"id {event['id']} is used twice at a time")
            seen = _Seen(bytes.fromhex(event["cdb"]), event.time)
            self._seen.append(seen)
            self._last[event["id"]] = seen
        elif event.name == "complete":
            self.count["completed"] += 1
            self._last[event["id"]].status = event["status"]
        elif event.name == "cancel":
            self.count["cancelled"] += 1
        elif event.name == "tmr":
            self.count["notifications"] += 1
            self.count[f"notifications of type {event['type']}"] += 1
            for id_ in event["ids"]:
                self.count["listed"] += 1
                self._list(id_)
        elif event.name in ("reset", "error"):
            self._wrong.append(f"the daemon's log has {event.fields}")

    def _list(self, id_: int) -> None:
        seen = self._last.get(id_)
        if seen is None:
            self._wrong.append(f"a notification lists id {id_}, which no command has had")
        elif seen.listed:
            self._wrong.append(f"two notifications list the same command, id {id_}")
        else:
            seen.listed = True

    def violations(self, books: Books) -> list[str]:
        """What contradicts the books, or itself."""
        found = list(self._wrong)
        issued: dict[bytes, list[Command]] = {}
        for command in books.commands.values():
            if command.kind.reaches_daemon:
                issued.setdefault(command.cdb, []).append(command)
        known: dict[int, _Seen] = {}
        for seen in self._seen:
            # The same CDB comes again only after many others.
            before = [c for c in issued.get(seen.cdb, []) if c.time <= seen.time]
            if not before:
                found.append(f"the daemon saw {seen.cdb.hex()}, which nobody sent")
            elif before[-1].tag in known:
                found.append(f"the daemon saw tag {before[-1].tag:#x} twice")
            else:
                known[before[-1].tag] = seen
        for command in books.commands.values():
            if command.kind.reaches_daemon:
                found += self._judge(command, known.get(command.tag))
        self.count["kept back"] = sum(map(len, issued.values())) - len(known)
        return found

    @staticmethod
    def _judge(command: Command, seen: "_Seen | None") -> Iterable[str]:
        what = f"{command.kind.value} {command.tag:#x} ended with {command.end.value}"
        if command.end is End.GOOD:
            if seen is None:
                yield f"{what}, and the daemon never saw it"
            elif seen.status != GOOD:
                yield f"{what}, and the daemon completed it with {seen.status}"
        elif command.end is End.EXPIRED and seen is None:
            yield f"{what}, and the daemon never saw it"
        elif command.end in (End.CONFLICT, End.UNIT_ATTENTION) and seen:
            yield f"{what}, and the daemon saw it"


def _taken(books: Books) -> tuple[set[int], set[int]]:
    """Tags of commands that an ABORT TASK must have taken, and of those that one may have taken."""
    least, most, resets = set(), set(), books.resets()
    for abort in books.functions.values():
        command = books.commands.get(abort.about)
        if command is None or command.end is not End.SILENT or abort.response == NO_TASK:
            continue
        most.add(command.tag)
        # Otherwise the iSCSI target may have said so of a command that it has released.
        if abort.response == COMPLETE and not books.reset_by_itself(command, resets):
            least.add(command.tag)
    return least, most


def counters(books: Books, before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """What contradicts the books in the numbers of configfs."""
    grown = {name: after[name] - before[name] for name in after}
    found = []
    if grown["num_cmds"] != len(books.commands):
        found.append(f"num_cmds grew by {grown['num_cmds']}, {len(books.commands)} were sent")
    aborts = books.responses(ABORT_TASK)
    drained = aborts[None] + aborts[REJECTED]
    least, most = _taken(books)
    limits = {
        "aborts_complete": (len(least), len(most)),
        "aborts_no_task": (aborts[NO_TASK], aborts[NO_TASK] + drained),
    }
    preempts = Counter(c.end for c in books.commands.values() if c.kind is Kind.PREEMPT)
    least = books.responses(LUN_RESET)[COMPLETE] + preempts[End.GOOD]
    limits["resets"] = (least, least + preempts[End.ABORTED] + preempts[End.SILENT])
    for name, (low, high) in limits.items():
        if not low <= grown[name] <= high:
            found.append(f"{name} grew by {grown[name]}, expected {low} to {high}")
    return found


#: How commands end that the core refuses before the backend gets them. It looks whether they are
#: aborted before it answers, without a lock: one may be marked in between, and keeps its answer.
_REFUSED = (End.UNIT_ATTENTION, End.CONFLICT)

_ABORT = re.compile(r"device (\d+) (command|request) tag (\d+) opcode .*?(, to be answered)?$")
_DONE = re.compile(r"device (\d+) (\w+) tag (\d+) (\w+)$")


def _tag(number: str) -> int:
    """The tag that the initiator chose: the target takes its bytes for a number of its own."""
    return int.from_bytes(int(number).to_bytes(4, "little"), "big")


class TmrTrace:
    """The tracepoints of task management, in order; only of one device."""

    def __init__(self, events: Iterable[tuple[str, str]]) -> None:
        self.count: Counter[str] = Counter()
        #: Tags of the aborted commands that are to be answered, and of those that are not.
        self._answered: list[int] = []
        self._silent: list[int] = []
        self._requests: Counter[bool] = Counter()
        self._done: Counter[tuple[str, int, str]] = Counter()
        for name, text in events:
            self._take(name, text)

    def _take(self, name: str, text: str) -> None:
        if name == "tmr_received":
            self.count[f"received {text.split()[0]}"] += 1
        elif name == "tmr_abort" and (found := _ABORT.match(text)):
            if found[2] == "request":
                self._requests[bool(found[4])] += 1
            else:
                (self._answered if found[4] else self._silent).append(_tag(found[3]))
        elif name == "tmr_done" and (found := _DONE.match(text)):
            self.count[f"done {found[2]}"] += 1
            self._done[(found[2], _tag(found[3]), found[4])] += 1

    def violations(self, books: Books, grown: Mapping[str, int]) -> list[str]:
        """What contradicts the books, or the core's counters."""
        found = []

        def same(what: str, mine: object, theirs: object) -> None:
            if mine != theirs:
                found.append(f"{what}: {mine} in the trace, {theirs} otherwise")

        aborts, resets = books.responses(ABORT_TASK), books.responses(LUN_RESET)
        same("ABORT TASKs received", self.count["received ABORT_TASK"], aborts.total())
        same("LUN RESETs received", self.count["received LUN_RESET"], resets.total())
        same("LUN RESETs done", self.count["done LUN_RESET"], resets[COMPLETE])
        by_end: dict[End, set[int]] = {}
        for command in books.commands.values():
            by_end.setdefault(command.end, set()).add(command.tag)
        for what, traced, end in (
            ("commands aborted with an answer", self._answered, End.ABORTED),
            ("commands aborted without an answer", self._silent, End.SILENT),
        ):
            ours = by_end.get(end, set())
            found += [f"{what}: {tag:#x} is not in the trace" for tag in ours - set(traced)]
            for tag in set(traced) - ours:
                was = books.commands[tag].end if tag in books.commands else None
                if was in _REFUSED:
                    self.count["marked when refused"] += 1
                else:
                    found.append(f"{what}: {tag:#x} in the books has {was}")
            # A PREEMPT AND ABORT stays where it is when another one marks it.
            twice = [tag for tag, count in Counter(traced).items() if count > 1]
            found += [
                f"{what}: {tag:#x} was aborted more than once" for tag in twice
                if tag in books.commands and books.commands[tag].kind is not Kind.PREEMPT
            ]  # fmt: skip
        complete = Counter({
            tag: count for (function, tag, response), count in self._done.items()
            if (function, response) == ("ABORT_TASK", "FUNCTION_COMPLETE")
        })  # fmt: skip
        least, most = _taken(books)
        for what, tags in (
            ("an ABORT TASK took {:#x}, which the books deny", set(complete) - most),
            ("no ABORT TASK took {:#x}, as the books say", least - set(complete)),
        ):
            found += [what.format(tag) for tag in tags]
        found += [f"{n} ABORT TASKs took {tag:#x}" for tag, n in complete.items() if n > 1]
        none = sum(
            count for (function, _, response), count in self._done.items()
            if (function, response) == ("ABORT_TASK", "TASK_DOES_NOT_EXIST")
        )  # fmt: skip
        same("aborts_complete", complete.total(), grown["aborts_complete"])
        same("aborts_no_task", none, grown["aborts_no_task"])
        done = self.count["done LUN_RESET"] + self.count["done PREEMPT_AND_ABORT"]
        same("resets", done, grown["resets"])
        if aborts[REJECTED] > self._requests[True]:
            found.append(f"{aborts[REJECTED]} rejected, {self._requests[True]} in the trace")
        if aborts[None] > self._requests[False]:
            found.append(f"{aborts[None]} without response, {self._requests[False]} in the trace")
        return found
