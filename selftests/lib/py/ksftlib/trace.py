# SPDX-License-Identifier: GPL-2.0
"""Trace events, by tracefs."""

import re
from functools import partial
from pathlib import Path

from .files import write
from .ktap import Context, Skip

_TRACING = Path("/sys/kernel/tracing")

_LOST = re.compile(r"^(?:overrun|dropped events): (\d+)", re.MULTILINE)


class Trace:
    """Events of a subsystem, written from now on until the end of the test."""

    def __init__(self, context: Context, subsystem: str, *events: str) -> None:
        folder = _TRACING / "events" / subsystem
        if not folder.is_dir():
            raise Skip(f"no {subsystem} trace events: tracefs is not mounted, or not built in")
        # Truncating it empties the buffer.
        (_TRACING / "trace").open("w").close()
        for name in events:
            write(folder / name / "enable", "1")
            context.defer(partial(write, folder / name / "enable", "0"))
        self._events = events

    @staticmethod
    def lost() -> int:
        """Events that found no room in the buffer, or were overwritten."""
        return sum(
            int(number)
            for statistics in _TRACING.glob("per_cpu/cpu*/stats")
            for number in _LOST.findall(statistics.read_text(encoding="ascii"))
        )

    def events(self) -> list[tuple[str, str]]:
        """Name and text of each event so far, oldest first."""
        return [event[1:] for event in self.events_by_task()]

    def events_by_task(self) -> list[tuple[str, str, str]]:
        """Task, name and text of each event so far, oldest first."""
        found = []
        for line in (_TRACING / "trace").read_text(errors="replace").splitlines():
            for name in self._events:
                before, separator, text = line.partition(f": {name}: ")
                if separator:
                    # "kworker/0:1-12  [000] d..1. 3.141592"
                    task, _, _ = before.rpartition("[")
                    found.append((task.strip(), name, text.strip()))
        return found
