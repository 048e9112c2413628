# SPDX-License-Identifier: GPL-2.0
"""The same story from other witnesses: the daemon's log, the core's counters, its tracepoints."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..daemon import Event
from ..iscsi_raw import ABORT_TASK, COMPLETE, LUN_RESET, NO_TASK
from ..scsi import GOOD
from .books import Books, Command, End, Kind


@dataclass
class _Seen:
    """A command as the daemon saw it."""

    cdb: bytes
    time: float
    status: "int | None" = None
    #: When it was completed.
    end: float = float("inf")
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
            seen = self._last[event["id"]]
            seen.status, seen.end = event["status"], event.time
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
        found += self._outlived(books, known)
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


    def _outlived(self, books: Books, known: Mapping[int, _Seen]) -> Iterable[str]:
        """What the daemon had of a nexus before it was preempted, and completed afterwards."""
        good: dict[int, list[tuple[int, _Seen]]] = {}
        for tag, seen in known.items():
            command = books.commands[tag]
            if command.end is End.GOOD:
                good.setdefault(command.nexus, []).append((tag, seen))
        orders = [c for c in books.commands.values() if c.victims]
        for preempt in orders:
            if preempt.kind is not Kind.PREEMPT or preempt.end is not End.GOOD:
                continue
            self.count["preempts judged"] += 1
            others = [o for o in orders if o is not preempt and o.overlaps(preempt)]
            for victim in preempt.sure:
                # Another one may have removed the registration first, and reached other commands.
                if any(victim in other.victims for other in others):
                    continue
                for tag, seen in good.get(victim, []):
                    self.count["known to a preempt's victim"] += seen.time < preempt.time < seen.end
                    if seen.time < preempt.time and seen.end > preempt.replies[0].time:
                        yield (
                            f"{books.commands[tag].kind.value} {tag:#x} of nexus {victim} was good "
                            f"after the PREEMPT AND ABORT {preempt.tag:#x} of that nexus"
                        )


def _taken(books: Books) -> tuple[set[int], set[int]]:
    """Tags of commands that an ABORT TASK must have taken, and of those that one may have taken."""
    least, most, resets = set(), set(), books.resets()
    for abort in books.functions.values():
        command = books.commands.get(abort.about)
        if command is None or abort.response == NO_TASK:
            continue
        if command.end is End.GOOD and abort.overlaps(command) and abort.response == COMPLETE:
            # It may have been marked while the backend's answer was on its way, see `_LATE`.
            most.add(command.tag)
        if command.end is not End.SILENT:
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
    least, most = _taken(books)
    # Without its command, and overtaken by a reset, one is answered with COMPLETE all the same. So
    # is one that the iSCSI target answers itself, which the core never gets.
    drained = aborts[None] + aborts[COMPLETE] - len(least)
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

#: When the backend answers, too, the core looks whether the command is aborted, without the lock, and
#: then notes that it is complete: one that is marked in between is GOOD. One in so many may be.
_LATE = 100

_NOTIFY = re.compile(r"device (\d+) (\w+) commands (\d+)$")
_ABORT = re.compile(r"device (\d+) (command|request) tag (\d+) opcode .*?(, to be answered)?$")
_DONE = re.compile(r"device (\d+) (\w+) tag (\d+) (\w+)$")


def _tag(number: str) -> int:
    """The tag that the initiator chose: the target takes its bytes for a number of its own."""
    return int.from_bytes(int(number).to_bytes(4, "little"), "big")


class TmrTrace:
    """The tracepoints of task management, in order; only of one device.

    An event has the name of the task that wrote it. One task carries out one function at a time: it
    aborts, notifies, waits, and is done.
    """

    def __init__(self, events: Iterable[tuple[str, str, str]]) -> None:
        self.count: Counter[str] = Counter()
        #: Tags of the aborted commands that are to be answered, and of those that are not.
        self._answered: list[int] = []
        self._silent: list[int] = []
        #: What each task has aborted and not told of yet, and whether its function took commands.
        self._marked: dict[str, list[int]] = {}
        self._took: dict[str, bool] = {}
        #: Tags that PREEMPT AND ABORTs have aborted.
        self._preempted: list[int] = []
        self._requests: Counter[bool] = Counter()
        #: ABORT TASKs by tag and response, if they took a command and if they did not.
        self._complete: Counter[int] = Counter()
        self._without: Counter[str] = Counter()
        for task, name, text in events:
            self._take(task, name, text)

    def _take(self, task: str, name: str, text: str) -> None:
        if name == "tmr_received":
            self.count[f"received {text.split()[0]}"] += 1
        elif name == "tmr_abort" and (found := _ABORT.match(text)):
            if found[2] == "request":
                self._requests[bool(found[4])] += 1
            else:
                (self._answered if found[4] else self._silent).append(_tag(found[3]))
                self._marked.setdefault(task, []).append(_tag(found[3]))
        elif name == "tmr_notify" and (found := _NOTIFY.match(text)):
            marked = self._marked.pop(task, [])
            self.count[f"aborted by {found[2]}"] += len(marked)
            if found[2] == "PREEMPT_AND_ABORT":
                self._preempted += marked
            self._took[task] = found[3] != "0"
        elif name == "tmr_done" and (found := _DONE.match(text)):
            self.count[f"done {found[2]}"] += 1
            took = self._took.pop(task, False)
            if found[2] == "ABORT_TASK" and took:
                self._complete[_tag(found[3])] += 1
            elif found[2] == "ABORT_TASK":
                self._without[found[4]] += 1
                self.count["ABORT_TASK overtaken by a reset"] += found[4] == "FUNCTION_COMPLETE"

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
                elif was is End.GOOD and self._overtook(books.commands[tag], books):
                    self.count["marked when complete"] += 1
                else:
                    found.append(f"{what}: {tag:#x} in the books has {was}")
            # A PREEMPT AND ABORT stays where it is when another one marks it.
            twice = [tag for tag, count in Counter(traced).items() if count > 1]
            found += [
                f"{what}: {tag:#x} was aborted more than once" for tag in twice
                if tag in books.commands and books.commands[tag].kind is not Kind.PREEMPT
            ]  # fmt: skip
        late, marks = self.count["marked when complete"], len(self._answered) + len(self._silent)
        if late > 1 + marks // _LATE:
            found.append(f"{late} of {marks} commands were good although they had been aborted")
        complete = self._complete
        least, most = _taken(books)
        for what, tags in (
            ("an ABORT TASK took {:#x}, which the books deny", set(complete) - most),
            ("no ABORT TASK took {:#x}, as the books say", least - set(complete)),
        ):
            found += [what.format(tag) for tag in tags]
        found += [f"{n} ABORT TASKs took {tag:#x}" for tag, n in complete.items() if n > 1]
        same("aborts_complete", complete.total(), grown["aborts_complete"])
        same("aborts_no_task", self._without.total(), grown["aborts_no_task"])
        done = self.count["done LUN_RESET"] + self.count["done PREEMPT_AND_ABORT"]
        same("resets", done, grown["resets"])
        if aborts[None] > self._requests[False]:
            found.append(f"{aborts[None]} without response, {self._requests[False]} in the trace")
        return [*found, *self._spared(books)]

    @staticmethod
    def _overtook(command: Command, books: Books) -> bool:
        """Whether the answer of a command came while a function that may have aborted it went on."""
        functions = [f for f in books.functions.values() if f.about in (0, command.tag)]
        return any(o.overlaps(command) for o in [*functions, *books.preempts()] if o is not command)

    def _spared(self, books: Books) -> Iterable[str]:
        """Commands that a PREEMPT AND ABORT has aborted, and that none may reach."""
        preempts = books.preempts()
        for tag in self._preempted:
            command = books.commands.get(tag)
            if command is None or not command.preempted_by(preempts):
                nexus = f" of nexus {command.nexus}" if command else ""
                yield f"a PREEMPT AND ABORT aborted {tag:#x}{nexus}, which none preempted"
