# SPDX-License-Identifier: GPL-2.0
"""Puts what the initiator, the kernel's log and the daemon's log say on one clock.

The daemon and the initiator tell the time by CLOCK_MONOTONIC. The kernel's log has a
clock of its own; marks written into it at a known time give the difference.
All times are in seconds.

Others may use the disk as well: whoever looks for partitions or file systems does. The
demonstration knows its own commands by their blocks.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

#: How a mark in the kernel's log begins; CLOCK_MONOTONIC in nanoseconds follows, and a word that
#: marks written one right after the other have in common.
MARK = "lio-rust demo: the time is "

#: Blocks of the disk that nobody else reads: partition tables, and what tells file systems and
#: RAIDs, are near the start and the end.
OWN = range(0x4000, 0x6000)

#: Seconds by which the clock of the kernel's log may be wrong: it is read on any processor.
CLOCKS = 0.01

#: READ(10) and WRITE(10).
_OPCODES = (0x28, 0x2A)

#: A message of the SCSI layer about a command: its tag.
_TAG = re.compile(r"\btag#\d+\b")

#: A record of /dev/kmsg: priority, number, microseconds, flags; message.
_RECORD = re.compile(r"^\d+,\d+,(\d+),[^;]*;(.*)")


class TimelineError(Exception):
    """The logs do not show what must have happened."""


@dataclass(frozen=True, order=True)
class Step:
    """Something that happened, and who saw it."""

    time: float
    who: str
    what: str


@dataclass(frozen=True)
class Message:
    """A message of the kernel."""

    time: float
    text: str


def parse_kernel_log(records: Iterable[str]) -> list[Message]:
    """Messages from records of /dev/kmsg, without the marks, on CLOCK_MONOTONIC.

    Between two marks the clocks' difference is that of the nearer one, or of the others
    next to it: whoever writes a mark may be interrupted after looking at the clock, and
    what was written late makes the difference smaller. Raises TimelineError if there is
    no mark.
    """
    found, marks = [], []
    for record in records:
        match = _RECORD.match(record.split("\n", 1)[0])
        if not match:
            continue
        time, text = int(match[1]) / 1e6, match[2]
        if text.startswith(MARK):
            clock, _, group = text[len(MARK) :].partition(" ")
            marks.append((time, int(clock) / 1e9 - time, group or match[0]))
        else:
            found.append(Message(time, text))
    if not marks:
        raise TimelineError("no mark in the kernel's log")

    def difference(time: float) -> float:
        group = min(marks, key=lambda mark: abs(mark[0] - time))[2]
        return max(mark[1] for mark in marks if mark[2] == group)

    return [Message(message.time + difference(message.time), message.text) for message in found]


def first(messages: Sequence[Message], *parts: str) -> Message:
    """The first message that contains all `parts`; TimelineError if there is none."""
    for message in messages:
        if all(part in message.text for part in parts):
            return message
    raise TimelineError(f"the kernel's log has no message with {' and '.join(parts)}")


def own_blocks(event: dict[str, Any]) -> range:
    """The blocks of a command in the daemon's log if it is the demonstration's; none otherwise."""
    cdb = bytes.fromhex(event["cdb"])
    if cdb[0] not in _OPCODES:
        return range(0)
    lba, blocks = int.from_bytes(cdb[2:6], "big"), int.from_bytes(cdb[7:9], "big")
    return range(lba, lba + blocks) if lba in OWN else range(0)


def others(events: Sequence[dict[str, Any]], since: float) -> str:
    """The commands since then that are not the demonstration's, in a few words; empty if none."""
    counts = Counter(
        event["name"] or f"command 0x{event['cdb'][:2]}"
        for event in _since(events, since)
        if event["event"] == "cmd" and not own_blocks(event)
    )
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _ids_of_others(events: Sequence[dict[str, Any]], before: dict[str, Any]) -> set[int]:
    """Ids that commands of others had when the event `before` was written."""
    newest = {}
    for event in events:
        if event is before:
            break
        if event["event"] == "cmd":
            newest[event["id"]] = bool(own_blocks(event))
    return {ident for ident, mine in newest.items() if not mine}


@dataclass(frozen=True)
class Abort:
    """One aborted command, from the initiator's send to the answer of the abort."""

    steps: tuple[Step, ...]
    #: Ids that the daemon was told; None if it was told nothing.
    listed: "tuple[int, ...] | None"
    cmd_id: int
    sent: float
    aborted: float
    #: When the daemon let go of the command, by cancelling or by executing it.
    let_go: float
    answered: float

    @property
    def wait(self) -> float:
        """How long the abort took."""
        return self.answered - self.aborted

    @property
    def after_let_go(self) -> float:
        """How long after the daemon's part the abort was answered."""
        return self.answered - self.let_go


def abort_timeline(
    address: str,
    sent: float,
    ended: float,
    messages: Sequence[Message],
    events: Sequence[dict[str, Any]],
) -> Abort:
    """The story of the one own command that was sent at `sent` and ended at `ended`.

    `messages` are the kernel's, `events` all of the daemon's log. Raises TimelineError if
    a step is missing.
    """
    messages = [message for message in messages if f" {address}:" in f" {message.text}"]
    messages = _of_last_abort(messages, ended)
    log, events = events, _since(events, sent)
    command = next((e for e in events if e["event"] == "cmd" and own_blocks(e)), None)
    if command is None:
        raise TimelineError("the daemon's log does not have the command")
    events = events[events.index(command) :]
    ident = command["id"]
    hold = _event(events, "hold", id=ident)
    scheduled = first(messages, "abort scheduled")
    aborting = first(messages, "aborting command")
    answered = first(messages, "finish aborted command")
    complete = _event(events, "complete", id=ident)
    steps = [
        Step(sent, "initiator", "sends READ(10)"),
        Step(_time(hold), "daemon", f"gets it as command {ident} and keeps it"),
        Step(scheduled.time, "initiator", "the command's time is over"),
        Step(aborting.time, "initiator", "sends ABORT_TASK to the target"),
        Step(answered.time, "initiator", "the target has answered the abort"),
        Step(ended, "initiator", "READ(10) ends with a time-out"),
    ]
    tmrs = [event for event in events if event["event"] == "tmr"]
    # What is only about others' commands is left out; what names none might be about this one.
    tmr = next((t for t in tmrs if not t["ids"] or set(t["ids"]) - _ids_of_others(log, t)), None)
    if tmr is not None:
        ids = ", ".join(str(listed) for listed in tmr["ids"])
        steps.append(Step(_time(tmr), "daemon", f"learns of it: {tmr['type_name']}, ids [{ids}]"))
    ends = [event for event in events if event["event"] in ("cancel", "complete")]
    end = next(event for event in ends if event["id"] == ident)
    cancel = end if end["event"] == "cancel" else None
    if cancel is not None:
        steps.append(Step(_time(cancel), "daemon", f"cancels command {ident}"))
    else:
        steps.append(Step(_time(complete), "daemon", f"has executed command {ident}"))
    return Abort(
        steps=tuple(sorted(steps)),
        listed=None if tmr is None else tuple(tmr["ids"]),
        cmd_id=ident,
        sent=sent,
        aborted=aborting.time,
        let_go=_time(cancel or complete),
        answered=answered.time,
    )


def _of_last_abort(messages: Sequence[Message], ended: float) -> list[Message]:
    """Those about the command whose abort was the last to be answered before `ended`."""
    tag = None
    for message in messages:
        match = _TAG.search(message.text)
        if match and "finish aborted command" in message.text and message.time <= ended + CLOCKS:
            tag = match[0]
    return [m for m in messages if tag is None or tag in _TAG.findall(m.text)]


@dataclass(frozen=True)
class Reset:
    """One LUN RESET with commands in flight."""

    steps: tuple[Step, ...]
    in_flight: tuple[int, ...]
    listed: tuple[int, ...]
    cancelled: tuple[int, ...]
    sent: float
    answered: float


def reset_timeline(
    sent: float, answered: float, in_flight: Sequence[int], events: Sequence[dict[str, Any]]
) -> Reset:
    """The story of a reset that was sent at `sent` while the own commands `in_flight` were held.

    `events` are all of the daemon's log. Others' commands may be in flight too: ids that
    were theirs are left out. Every other id counts, and so does one that comes twice.
    """
    log, events = events, _since(events, sent)
    tmr = _event(events, "tmr", type_name="LUN_RESET")
    foreign = _ids_of_others(log, tmr)
    listed = [
        ident
        for number, ident in enumerate(tmr["ids"])
        if ident not in foreign or ident in tmr["ids"][:number]
    ]
    cancels = [
        event
        for event in events
        if event["event"] == "cancel" and event["id"] not in _ids_of_others(log, event)
    ]
    ids = ", ".join(str(listed) for listed in tmr["ids"])
    steps = [
        Step(sent, "initiator", f"sends LUN RESET with {len(in_flight)} commands in flight"),
        Step(_time(tmr), "daemon", f"learns of it: {tmr['type_name']}, ids [{ids}]"),
        Step(answered, "initiator", "the target has answered the reset"),
    ]
    if cancels:
        steps.append(Step(_time(cancels[-1]), "daemon", f"has cancelled {len(cancels)} commands"))
    return Reset(
        steps=tuple(sorted(steps)),
        in_flight=tuple(in_flight),
        listed=tuple(listed),
        cancelled=tuple(event["id"] for event in cancels),
        sent=sent,
        answered=answered,
    )


def render(steps: Sequence[Step]) -> list[str]:
    """Lines with the time since the first step."""
    start = steps[0].time
    return [f"  {step.time - start:8.3f} s  {step.who:<10} {step.what}" for step in steps]


def ratio(slow: float, fast: float) -> str:
    """How many times longer `slow` is, without more digits than the clocks can back."""
    times = slow / max(fast, 1e-6)
    return f"{times:.0f}" if times >= 10 else f"{times:.1f}"


def _since(events: Sequence[dict[str, Any]], time: float) -> list[dict[str, Any]]:
    return [event for event in events if _time(event) >= time]


def _time(event: dict[str, Any]) -> float:
    return float(event["t_ns"]) / 1e9


def _event(events: Sequence[dict[str, Any]], name: str, **fields: Any) -> dict[str, Any]:
    for event in events:
        if event["event"] == name and all(event.get(key) == fields[key] for key in fields):
            return event
    raise TimelineError(f"the daemon's log has no event '{name}' {fields or ''}".rstrip())
