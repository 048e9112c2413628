# SPDX-License-Identifier: GPL-2.0
"""Puts what the initiator, the kernel's log and the daemon's log say on one clock.

The daemon and the initiator tell the time by CLOCK_MONOTONIC. The kernel's log has a
clock of its own; marks written into it at a known time give the difference.
All times are in seconds.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

#: How a mark in the kernel's log begins; CLOCK_MONOTONIC in nanoseconds follows.
MARK = "lio-rust demo: the time is "

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

    Between two marks the clocks' difference is that of the nearer one. Raises
    TimelineError if there is no mark.
    """
    found, marks = [], []
    for record in records:
        match = _RECORD.match(record.split("\n", 1)[0])
        if not match:
            continue
        time, text = int(match[1]) / 1e6, match[2]
        if text.startswith(MARK):
            marks.append((time, int(text[len(MARK) :]) / 1e9 - time))
        else:
            found.append(Message(time, text))
    if not marks:
        raise TimelineError("no mark in the kernel's log")

    def difference(time: float) -> float:
        return min(marks, key=lambda mark: abs(mark[0] - time))[1]

    return [Message(message.time + difference(message.time), message.text) for message in found]


def first(messages: Sequence[Message], *parts: str) -> Message:
    """The first message that contains all `parts`; TimelineError if there is none."""
    for message in messages:
        if all(part in message.text for part in parts):
            return message
    raise TimelineError(f"the kernel's log has no message with {' and '.join(parts)}")


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
    """The story of the one held command that was sent at `sent` and ended at `ended`.

    `messages` are the kernel's, `events` the daemon's log. Raises TimelineError if a
    step is missing.
    """
    messages = [message for message in messages if f" {address}:" in f" {message.text}"]
    events = [event for event in events if event["t_ns"] / 1e9 >= sent]
    hold = _event(events, "hold")
    ident = hold["id"]
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
    tmr = next((event for event in events if event["event"] == "tmr"), None)
    if tmr is not None:
        ids = ", ".join(str(listed) for listed in tmr["ids"])
        steps.append(Step(_time(tmr), "daemon", f"learns of it: {tmr['type_name']}, ids [{ids}]"))
    cancel = next((event for event in events if event["event"] == "cancel"), None)
    if cancel is not None:
        steps.append(Step(_time(cancel), "daemon", f"cancels command {cancel['id']}"))
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
    """The story of a reset that was sent at `sent` while `in_flight` were held."""
    events = [event for event in events if event["t_ns"] / 1e9 >= sent]
    tmr = _event(events, "tmr")
    cancels = [event for event in events if event["event"] == "cancel"]
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
        listed=tuple(tmr["ids"]),
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


def _time(event: dict[str, Any]) -> float:
    return float(event["t_ns"]) / 1e9


def _event(events: Sequence[dict[str, Any]], name: str, **fields: Any) -> dict[str, Any]:
    for event in events:
        if event["event"] == name and all(event.get(key) == fields[key] for key in fields):
            return event
    raise TimelineError(f"the daemon's log has no event '{name}' {fields or ''}".rstrip())
